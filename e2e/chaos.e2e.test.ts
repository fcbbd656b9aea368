// Promise: SIGKILL of a PostgreSQL server, a PostgreSQL pod, a ledger pod or a controller at random moments, twenty times in
// a row, loses and doubles nothing, also where two transfers have one key, and after each kill writes resume by themselves. SEED=n repeats a run.
import { expect } from "@jest/globals";
import { prng } from "../lib/core/prng.ts";
import type { KubeObject } from "../lib/kube/types.ts";
import { createBank, LEDGER, type LedgerApi, openLedgerApi } from "./bank.ts";
import { type Cluster, killPodProcesses, SYSTEM_NAMESPACE } from "./cluster.ts";
import { type Load, type Settled, startLoad } from "./load.ts";
import { waitFor } from "./run.ts";
import { suite } from "./suite.ts";

const NAMESPACE = "chaos";
const SHARDS = 2;
const KILLS = Number(process.env["KILLS"] ?? 20);
const SEED = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));

/** A Lease that expires (15 s), a pod that starts, a crash recovery, on two busy cores. */
const RESUME_MS = 120_000;

type Kill = (cluster: Cluster, random: () => number) => Promise<string>;

function pick<T>(list: readonly T[], random: () => number): T {
  const found = list[Math.floor(random() * list.length)];
  if (found === undefined) throw new Error("nothing to pick from");
  return found;
}

/** Picks a pod that runs. */
async function pickPod(cluster: Cluster, where: Place, random: () => number): Promise<KubeObject> {
  const draw = random();
  return waitFor(`a running pod ${where.selector}`, 60_000, async () => {
    const pods = await cluster.list("pods", where.namespace, where.selector);
    const running = pods.filter((pod) => (pod["status"] as { phase?: string }).phase === "Running");
    return running[Math.floor(draw * running.length)];
  });
}

interface Place {
  readonly namespace: string;
  readonly selector: string;
}

const POSTGRES: Place = { namespace: NAMESPACE, selector: "shieldx.dev/kind=ShardSet,shieldx.dev/shard" };
const LEDGERS: Place = {
  namespace: NAMESPACE,
  selector: "shieldx.dev/kind=CreditLedger,app.kubernetes.io/component=ledger",
};
const CONTROLLERS: Place = { namespace: SYSTEM_NAMESPACE, selector: "app.kubernetes.io/component=controller" };

/** SIGKILL to all processes of a pod; the pod object stays and its containers start again. */
function killProcesses(where: Place): Kill {
  return (cluster, random) =>
    waitFor(`processes to kill in ${where.selector}`, RESUME_MS, async () => {
      // A container that waits for its next start has none: pick again.
      const pod = await pickPod(cluster, where, random);
      return (await killPodProcesses(pod)) ? pod.metadata.name : undefined;
    });
}

/** The pod object is removed at once, another pod takes its place. */
function deletePod(where: Place): Kill {
  return async (cluster, random) => {
    const { name } = (await pickPod(cluster, where, random)).metadata;
    const args = ["delete", "pod", name, "-n", where.namespace, "--grace-period=0", "--force", "--wait=false"];
    await cluster.kubectl(args);
    return name;
  };
}

/** Only the server process: its parent, the agent, lives on. */
const killPostmaster: Kill = async (cluster, random) => {
  const pod = await pickPod(cluster, POSTGRES, random);
  const kill = "kill -KILL $(head -n 1 /var/lib/postgresql/data/postmaster.pid)";
  await waitFor(`a server to kill in ${pod.metadata.name}`, 60_000, async () => {
    const args = ["exec", "-n", NAMESPACE, pod.metadata.name, "--", "sh", "-c", kill];
    return (await cluster.tryKubectl(args, { timeoutMs: 20_000 })).code === 0;
  });
  return pod.metadata.name;
};

/** Each kind of kill is as likely as any other. */
const KINDS: readonly (readonly [string, Kill])[] = [
  ["SIGKILL of the postmaster in", killPostmaster],
  ["SIGKILL of PostgreSQL pod", killProcesses(POSTGRES)],
  ["SIGKILL of ledger pod", killProcesses(LEDGERS)],
  ["SIGKILL of controller", killProcesses(CONTROLLERS)],
  ["removal of PostgreSQL pod", deletePod(POSTGRES)],
  ["removal of ledger pod", deletePod(LEDGERS)],
];

interface Event {
  readonly position: number;
  readonly id: string;
}

async function allEvents(api: LedgerApi, shard: number): Promise<Event[]> {
  const events: Event[] = [];
  for (;;) {
    const after = events.at(-1)?.position ?? 0;
    const page = await api.call("GET", `/v1/events?shard=${shard}&after=${after}&limit=1000`);
    expect(page.status).toBe(200);
    const found = page.json?.["events"] as Event[];
    if (found.length === 0) return events;
    events.push(...found);
  }
}

/** What the client was told must be exactly what the ledger holds. */
async function compare(api: LedgerApi, settled: readonly Settled[]): Promise<void> {
  const stored: string[] = [];
  for (let shard = 0; shard < SHARDS; shard += 1) {
    const events = await allEvents(api, shard);
    expect(events.map((event) => event.position)).toEqual(events.map((_, index) => index + 1));
    stored.push(...events.map((event) => event.id));
  }
  const posted = settled.filter((item) => item.outcome === "posted").map((item) => item.id);
  expect(stored.sort()).toEqual(posted.sort());

  const expected = new Map<string, number>();
  for (const item of settled) expected.set(item.account, (expected.get(item.account) ?? 0) + item.effect);
  for (const [account, sum] of expected) {
    const balance = await api.call("GET", `/v1/accounts/${account}/balance`);
    expect({ account, posted: balance.json?.["posted"] }).toEqual({ account, posted: sum });
    expect(sum).toBeGreaterThanOrEqual(0);
  }
}

/** Waits until a request that began after now is answered in full. @returns seconds */
async function writesResume(load: Load): Promise<number> {
  const started = performance.now();
  const rounds = load.rounds();
  await waitFor("writes to resume", RESUME_MS, async () => load.rounds() >= rounds + 2);
  return (performance.now() - started) / 1000;
}

suite("chaos", [NAMESPACE], ({ cluster, prepare, promise }) => {
  prepare(() => createBank(cluster(), { namespace: NAMESPACE, shards: SHARDS, deletionPolicy: "Delete" }));

  promise(
    `loses and doubles nothing over ${KILLS} kills (SEED=${SEED})`,
    async () => {
      process.stdout.write(`chaos: SEED=${SEED} KILLS=${KILLS}\n`);
      const random = prng(SEED);
      const load = startLoad(cluster(), NAMESPACE, SEED);
      await waitFor("the load to run", 60_000, async () => load.rounds() >= 3);
      for (let kill = 1; kill <= KILLS; kill += 1) {
        const [kind, strike] = pick(KINDS, random);
        const rounds = load.rounds();
        const target = Math.floor(random() * 4);
        await waitFor("a random moment", RESUME_MS, async () => load.rounds() >= rounds + target);
        const name = await strike(cluster(), random);
        const seconds = await writesResume(load);
        process.stdout.write(`chaos: ${kill}/${KILLS} ${kind} ${name}: writes resumed after ${seconds.toFixed(1)} s\n`);
      }
      await load.stop();
      expect(load.settled.filter((item) => item.outcome === "refused").length).toBeGreaterThan(0);

      const api = await openLedgerApi(cluster(), NAMESPACE);
      try {
        await compare(api, load.settled);
      } finally {
        api.close();
      }
      const verified = await cluster().shieldx(["ledger", "verify", "--ledger", `${NAMESPACE}/${LEDGER}`]);
      expect({ code: verified.code, output: verified.code === 0 ? "" : verified.stdout + verified.stderr }).toEqual({
        code: 0,
        output: "",
      });
    },
    1_500_000,
  );
});
