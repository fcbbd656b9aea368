import { expect, test } from "@jest/globals";
import type { KubeObject } from "../../lib/kube/types.ts";
import { shardNetworkPolicy } from "./shardset.objects.ts";
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
const shardTarget = { ...target(), apiServerPorts: [443, 6443] };
const CLIENTS = [{ namespaceSelector: { matchLabels: { team: "payments" } } }];

/** Rules of one direction as `port <- peers`, short enough to read. */
function table(rules: readonly Rule[]): string[] {
  return rules.map(({ ports, from, to }) => {
    const peers = from ?? to;
    return `${ports.map(({ protocol, port }) => `${protocol} ${String(port)}`).join(", ")}: ${peers === undefined ? "all" : JSON.stringify(peers)}`;
  });
}

test("pods of a shard: everybody to PostgreSQL, controllers to the agent, out only to DNS and the API", () => {
  const spec = specOf(shardNetworkPolicy(shardTarget));
  expect(spec.policyTypes).toEqual(["Ingress", "Egress"]);
  expect(spec.podSelector).toEqual({
    matchLabels: { "shieldx.dev/kind": "ShardSet", "shieldx.dev/name": shardTarget.owner.name },
  });
  const [postgres, agent, metrics] = table(spec.ingress);
  expect(postgres).toBe("TCP 5432: all");
  expect(agent).toMatch(/^TCP 8443: .*"app.kubernetes.io\/component":"controller"/);
  expect(metrics).toBe("TCP 9187: all");
  expect(table(spec.egress)).toEqual(["UDP 53, TCP 53: all", "TCP 443, TCP 6443: all"]);
});

test("named clients of a shard and the ledgers of its namespace, and nobody else", () => {
  const { spec } = shardTarget;
  const policy = shardNetworkPolicy({ ...shardTarget, spec: { ...spec, networkPolicy: { clients: CLIENTS } } });
  expect(specOf(policy).ingress[0]?.from).toEqual([
    ...CLIENTS,
    { podSelector: { matchLabels: { "shieldx.dev/kind": "CreditLedger" } } },
  ]);
});

test("told to make none, the operator makes none", () => {
  expect(shardNetworkPolicy(target())).toBeUndefined();
});
