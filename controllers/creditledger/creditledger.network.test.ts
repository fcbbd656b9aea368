import { expect, test } from "@jest/globals";
import type { KubeObject } from "../../lib/kube/types.ts";
import { ledgerNetworkPolicy } from "./creditledger.objects.ts";
import { target } from "./testing/builders.ts";

interface Rule {
  readonly ports: readonly { protocol: string; port: number }[];
  readonly from?: readonly object[];
  readonly to?: readonly object[];
}
interface Policy {
  readonly podSelector: object;
  readonly policyTypes: readonly string[];
  readonly ingress: readonly Rule[];
  readonly egress: readonly Rule[];
}

const specOf = (object: KubeObject | undefined): Policy => object?.["spec"] as Policy;
const ledgerTarget = { ...target(), apiServerPorts: [443, 6443] };
const CLIENTS = [{ namespaceSelector: { matchLabels: { team: "payments" } } }];

/** Rules of one direction as `port <- peers`, short enough to read. */
function table(rules: readonly Rule[]): string[] {
  return rules.map(({ ports, from, to }) => {
    const peers = from ?? to;
    return `${ports.map(({ protocol, port }) => `${protocol} ${String(port)}`).join(", ")}: ${peers === undefined ? "all" : JSON.stringify(peers)}`;
  });
}

test("pods of a ledger reach their own shards and each other", () => {
  const spec = specOf(ledgerNetworkPolicy(ledgerTarget));
  expect(table(spec.ingress)).toEqual(["TCP 8443: all", "TCP 9187: all"]);
  const [, shards, peers, api] = spec.egress;
  expect(shards?.to).toEqual([
    {
      podSelector: {
        matchLabels: { "shieldx.dev/kind": "ShardSet", "shieldx.dev/name": ledgerTarget.spec.shardSet },
      },
    },
  ]);
  expect(peers?.to).toHaveLength(1);
  expect(table(api === undefined ? [] : [api])).toEqual(["TCP 443, TCP 6443: all"]);
});

test("named clients of a ledger, and its own pods", () => {
  const { spec } = ledgerTarget;
  const policy = ledgerNetworkPolicy({ ...ledgerTarget, spec: { ...spec, networkPolicy: { clients: CLIENTS } } });
  expect(specOf(policy).ingress[0]?.from).toEqual([
    ...CLIENTS,
    expect.objectContaining({ podSelector: expect.anything() }),
  ]);
});

test("told to make none, the operator makes none", () => {
  expect(ledgerNetworkPolicy(target())).toBeUndefined();
});
