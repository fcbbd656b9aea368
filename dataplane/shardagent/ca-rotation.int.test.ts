// A whole replacement of a CA under load: the agent with a real PostgreSQL, the controllers' own decisions, and clients that
// connect all the time. The kubelet is played by copies that come late, and a minute of the controller is two seconds.
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { createPkiModel, MODEL_NAMES } from "../../controllers/kit/testing/pki-model.ts";
import { type AgentStatus, agentStatus, OPERATOR_COMMON_NAME } from "../../crds/agent-status.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import { formatIdentities } from "../../lib/core/shard-identity.ts";
import { formatShardMap } from "../../lib/core/shard-map.ts";
import { certificatesIn } from "../../lib/core/trust-bundle.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import * as certificates from "../../lib/node/certificates.ts";
import { openClient } from "../../lib/node/postgres.ts";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { trustedCa } from "../ledger/ledger.targets.ts";
import { createShardHost, startAgent } from "./testing/agent-container.ts";

const OPERATOR = "bank-operator-tls";
const SHARD = "bank-0-tls";
const PASSWORD = "correct-horse-battery-staple";
/** The controller's clock runs so much faster, and starts so long ago that it does not overtake ours. */
const SPEED = 30;
const START_AGO_MS = 120 * 60_000;
const LIMIT_MS = 90_000;
/** Copies into the pod and to the clients, milliseconds after the Secret: never together. */
const LATE_MS = { agentBundle: 1_500, agentCertificate: 700, clientBundle: 2_500 };

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(async () => {
  await plane?.stop();
});

async function publish(): Promise<void> {
  const kube = plane.client();
  const metadata = (name: string) => ({ name, namespace: "default" });
  const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: metadata("bank-0"), spec: {} };
  await kube.create(RESOURCES.Lease, lease);
  const data = {
    ...formatShardMap({ version: 1, epoch: 1, owners: proposeOwners(1) }),
    ...formatIdentities(new Map([[0, { state: "new" }]])),
  };
  await kube.create(RESOURCES.ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata: metadata("bank-map"), data });
  await kube.create(RESOURCES.Secret, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: metadata("bank-databases"),
    data: { "databases.json": Buffer.from(JSON.stringify({ databases: [] })).toString("base64") },
  });
}

/** As a kubelet does: a file changes as a whole. */
async function put(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

test("trial 7c: a CA is asked for, then its Secrets are lost, under load: no connection fails, and PostgreSQL stays", async () => {
  await publish();
  const host = await createShardHost("bank", 0);
  const elsewhere = await mkdtemp(join(tmpdir(), "shieldx-client-"));
  const model = createPkiModel(certificates, {
    [OPERATOR]: { commonName: OPERATOR_COMMON_NAME, usage: "client" },
    [SHARD]: { commonName: "bank-0", usage: "server", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] },
  });
  const stop = new AbortController();
  const startedAt = systemClock.monotonic();
  const now = (): number => systemClock.now() - START_AGO_MS + (systemClock.monotonic() - startedAt) * (SPEED - 1);
  let status: AgentStatus | undefined;
  let request: string | undefined;
  const reconcile = (): Promise<boolean> => {
    const { tls } = status ?? {};
    const shard = { what: "shard 0", secret: SHARD, answers: status !== undefined };
    return model.reconcile({
      now: now(),
      request,
      trusters: [{ ...shard, trusts: tls?.authorities, shows: tls?.certificate }],
    });
  };

  for (let turn = 0; turn < 3; turn += 1) await reconcile();
  const copies: readonly [path: string, lateMs: number, texts: () => string][] = [
    [join(host.directory, "ca/ca.crt"), LATE_MS.agentBundle, () => model.text(MODEL_NAMES.ca, "ca.crt")],
    [join(host.directory, "tls/tls.key"), LATE_MS.agentCertificate, () => model.text(SHARD, "tls.key")],
    [join(host.directory, "tls/tls.crt"), LATE_MS.agentCertificate, () => model.text(SHARD, "tls.crt")],
    [join(elsewhere, "ca.crt"), LATE_MS.clientBundle, () => model.text(MODEL_NAMES.ca, "ca.crt")],
  ];
  for (const [path, , text] of copies) await put(path, text());
  const agent = await startAgent(host, { shardSet: "bank", shard: 0, kubeconfig: plane.kubeconfig });
  const operatorPair = () => ({ certPem: model.text(OPERATOR, "tls.crt"), keyPem: model.text(OPERATOR, "tls.key") });
  const ask = async (): Promise<AgentStatus> =>
    agentStatus.parse(JSON.parse((await agent.get("/status", { ...operatorPair(), caPem: model.trusted() })).body));

  const failures: string[] = [];
  const counts = { operator: 0, client: 0 };
  /** Again and again until the end; what fails is kept. */
  const loop = async (pauseMs: number, work: () => Promise<void>): Promise<void> => {
    while (!stop.signal.aborted) {
      await work().catch((error: unknown) => failures.push(String(error)));
      await systemClock.sleep(pauseMs, stop.signal);
    }
  };
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    const endsAt = systemClock.monotonic() + LIMIT_MS;
    while (!holds()) {
      if (systemClock.monotonic() > endsAt) throw new Error(`not ${what}: ${JSON.stringify(status)}`);
      await systemClock.sleep(50);
    }
  };
  const issuedBySigning = (): boolean =>
    [OPERATOR, SHARD].every((name) =>
      certificates.isIssuedBy(
        { certPem: model.text(name, "tls.crt"), keyPem: model.text(name, "tls.key") },
        model.text(MODEL_NAMES.caKey, "tls.crt"),
      ),
    );

  let loops: Promise<unknown> = Promise.resolve();
  try {
    for (;;) {
      status = await ask().catch(() => undefined);
      if (status?.ready === true) break;
      if (systemClock.monotonic() - startedAt > LIMIT_MS) throw new Error(`not ready: ${await agent.logs()}`);
      await systemClock.sleep(100);
    }
    await agent.sql("postgres", `CREATE ROLE probe LOGIN PASSWORD '${PASSWORD}'`);
    await agent.sql("postgres", "GRANT CONNECT ON DATABASE postgres TO probe");
    const { startedAt: postgresSince } = status;
    const caPem = await trustedCa(join(elsewhere, "ca.crt"), systemClock);
    loops = Promise.all([
      loop(200, async () => void (await reconcile())),
      loop(50, async () => {
        status = await ask();
        counts.operator += 1;
      }),
      loop(20, async () => {
        const client = await openClient({
          address: { host: "127.0.0.1", port: host.postgresPort, caPem },
          database: "postgres",
          user: "probe",
          password: PASSWORD,
          applicationName: "probe",
        });
        await client.end();
        counts.client += 1;
      }),
      ...copies.map(async ([path, lateMs, text]) => {
        let shown = text();
        await loop(50, async () => {
          const wanted = text();
          if (wanted === shown || wanted === "") return;
          await systemClock.sleep(lateMs, stop.signal);
          await put(path, wanted);
          shown = wanted;
        });
      }),
    ]);

    const authorities = (): string[] => certificatesIn(model.text(MODEL_NAMES.ca, "ca.crt"));
    const replaced = async (): Promise<void> => {
      const former = authorities();
      expect(former).toHaveLength(1);
      return until("replaced", () => {
        const [only, ...others] = authorities();
        return only !== undefined && others.length === 0 && !former.includes(only) && issuedBySigning();
      });
    };
    const first = replaced();
    request = "now";
    await first;
    const second = replaced();
    model.secrets.delete(MODEL_NAMES.caKey);
    model.secrets.delete(MODEL_NAMES.ca);
    await second;

    expect([...new Set(failures)]).toEqual([]);
    expect(counts.client).toBeGreaterThan(200);
    expect(counts.operator).toBeGreaterThan(200);
    const last = await ask();
    expect([last.startedAt, last.restarts]).toEqual([postgresSince, 0]);
    process.stderr.write(`${JSON.stringify(counts)} connections, ${String(failures.length)} failed\n`);
  } finally {
    stop.abort();
    await loops;
    await agent.kill();
    await host.remove();
    await rm(elsewhere, { recursive: true, force: true });
  }
});
