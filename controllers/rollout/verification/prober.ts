/**
 * Asks pods over HTTP for the checks of releases, aside: a reconcile reads what has come of it and waits for nothing, so that
 * nothing here holds up a retreat. It asks while this replica leads; another leader asks again what was not remembered.
 */
import type { HealthCheckSpec, HttpCheckSpec } from "../../../crds/rollout-verify.ts";
import { toOperatorError } from "../../../lib/core/errors.ts";
import type { Key, Source, SourceContext } from "../../../operator/runtime/types.ts";
import { type AskHttp, complaintOf, type HttpAnswer } from "./answers.ts";
import type { Seen } from "./memory.ts";

/** A pod that may be asked. */
export interface ProbeTarget {
  readonly name: string;
  readonly ip: string | undefined;
  readonly isReady: boolean;
}

/** What is to be found out. */
export type ProbeTask = {
  /** Hash of the check. */
  readonly hash: string;
  /** Pods of the canary; they may change while it runs. */
  readonly pods: readonly ProbeTarget[];
  readonly port: number;
} & (
  | { readonly kind: "health"; readonly health: HealthCheckSpec; readonly podsWanted: number }
  | { readonly kind: "http"; readonly http: HttpCheckSpec }
);

export interface Prober {
  /** Asks for the tasks of a Rollout, each once; tasks that are not named any more end. */
  follow(uid: string, key: Key, tasks: readonly ProbeTask[]): void;
  /** Ends all tasks of a Rollout. */
  forget(uid: string): void;
  /** What came of a task. */
  seen(uid: string, hash: string): Seen;
  readonly source: Source;
}

/** As an agent on a node under full load; probes of kubelets have one second. */
const HEALTH_TIMEOUT_MS = 2_000;
/** Pods that are asked at once for one Rollout. */
const PODS_AT_ONCE = 32;
/** Between two tries to connect. */
const CONNECT_AGAIN_MS = 1_000;
/** Rollouts that are verified at once; the oldest is forgotten, and asked again when it is looked at. */
const FOLLOWED_MAX = 1_000;

interface Probe {
  task: ProbeTask;
  seen: Seen;
  readonly stop: AbortController;
  isRunning: boolean;
}

interface Followed {
  readonly key: Key;
  readonly probes: Map<string, Probe>;
}

export function createProber(ask: AskHttp): Prober {
  const followed = new Map<string, Followed>();
  let context: SourceContext | undefined;

  const start = (key: Key, probe: Probe): void => {
    if (context === undefined || probe.isRunning) return;
    probe.isRunning = true;
    void work(probe, { ask, key, context });
  };
  const forget = (uid: string): void => {
    for (const { stop } of followed.get(uid)?.probes.values() ?? []) stop.abort();
    followed.delete(uid);
  };

  return {
    forget,
    follow: (uid, key, tasks) => {
      if (tasks.length === 0) return forget(uid);
      const of = followed.get(uid) ?? { key, probes: new Map<string, Probe>() };
      followed.set(uid, of);
      for (const [hash, { stop }] of of.probes) {
        if (tasks.some((task) => task.hash === hash)) continue;
        stop.abort();
        of.probes.delete(hash);
      }
      for (const task of tasks) {
        const known = of.probes.get(task.hash);
        if (known !== undefined) known.task = task;
        const probe = known ?? { task, seen: { state: "Absent" }, stop: new AbortController(), isRunning: false };
        of.probes.set(task.hash, probe);
        start(key, probe);
      }
      const [oldest] = followed.keys();
      if (followed.size > FOLLOWED_MAX && oldest !== undefined) forget(oldest);
    },
    seen: (uid, hash) => followed.get(uid)?.probes.get(hash)?.seen ?? { state: "Absent" },
    source: {
      name: "checks",
      run: async (given) => {
        context = given;
        for (const { key, probes } of followed.values()) for (const probe of probes.values()) start(key, probe);
        await new Promise<void>((resolve) => {
          if (given.signal.aborted) resolve();
          given.signal.addEventListener("abort", () => resolve(), { once: true });
        });
        context = undefined;
        for (const uid of [...followed.keys()]) forget(uid);
      },
    },
  };
}

interface Work {
  readonly ask: AskHttp;
  readonly key: Key;
  readonly context: SourceContext;
}

async function work(probe: Probe, { ask, key, context }: Work): Promise<void> {
  const { clock, log, add } = context;
  const { signal } = probe.stop;
  try {
    const seen = await (probe.task.kind === "health" ? health : smoke)(probe, { ask, clock });
    if (signal.aborted) return;
    probe.seen = seen;
  } catch (error) {
    if (signal.aborted) return;
    const { message } = toOperatorError(error);
    log.error({ rollout: `${key.namespace}/${key.name}`, error: message }, "a check of a release could not be made");
    probe.seen = { state: "Failed", message: `it could not be made: ${message}` };
  }
  add(key);
}

type Asking = Pick<Work, "ask"> & Pick<SourceContext, "clock">;

/** Looks at all pods until they are well, or looked at often enough. */
async function health(probe: Probe, { ask, clock }: Asking): Promise<Seen> {
  const { signal } = probe.stop;
  for (let attempt = 1; ; attempt += 1) {
    const began = clock.monotonic();
    const { task } = probe;
    if (task.kind !== "health") return { state: "Absent" };
    const { attempts, intervalSeconds } = task.health;
    const trouble = await troubleOfPods(task, ask, signal);
    if (trouble === undefined) return { state: "Passed", message: `${String(task.podsWanted)} pods answer` };
    if (attempt >= attempts)
      return { state: "Failed", message: `${trouble}, at the last of ${String(attempts)} looks` };
    probe.seen = { state: "Running", message: trouble };
    await clock.sleep(Math.max(0, began + intervalSeconds * 1_000 - clock.monotonic()), signal);
    if (signal.aborted) return { state: "Absent" };
  }
}

async function troubleOfPods(
  { pods, podsWanted, health: { http }, port }: ProbeTask & { readonly kind: "health" },
  ask: AskHttp,
  signal: AbortSignal,
): Promise<string | undefined> {
  const ready = pods.filter(({ isReady, ip }) => isReady && ip !== undefined);
  if (ready.length < podsWanted) return `${String(ready.length)} of ${String(podsWanted)} pods are ready`;
  for (let from = 0; from < ready.length; from += PODS_AT_ONCE) {
    const troubles = await Promise.all(
      ready.slice(from, from + PODS_AT_ONCE).map(async ({ name, ip = "" }) => {
        const question = { host: ip, port, path: http.path, method: "GET", headers: {} } as const;
        const complaint = complaintOf(await ask({ ...question, timeoutMs: HEALTH_TIMEOUT_MS, signal }), http);
        return complaint === undefined ? undefined : `pod ${name}: ${complaint}`;
      }),
    );
    const [trouble] = troubles.filter((found) => found !== undefined);
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

/** Sends one request; only a connection that could not be made is tried again. */
async function smoke(probe: Probe, { ask, clock }: Asking): Promise<Seen> {
  const { signal } = probe.stop;
  const began = clock.monotonic();
  for (;;) {
    const { task } = probe;
    if (task.kind !== "http") return { state: "Absent" };
    const { http } = task;
    const leftMs = began + http.timeoutSeconds * 1_000 - clock.monotonic();
    const pod = task.pods.find(({ isReady, ip }) => isReady && ip !== undefined);
    const answer: HttpAnswer =
      pod?.ip === undefined
        ? { failure: "no pod is ready", isUnsent: true }
        : await ask({ ...questionOf(task, pod.ip), timeoutMs: Math.max(1, leftMs), signal });
    const isTriedAgain = "failure" in answer && answer.isUnsent && leftMs > CONNECT_AGAIN_MS;
    if (!isTriedAgain) return verdictOf(complaintOf(answer, http), pod?.name);
    await clock.sleep(CONNECT_AGAIN_MS, signal);
    if (signal.aborted) return { state: "Absent" };
  }
}

function questionOf({ http, port }: ProbeTask & { readonly kind: "http" }, host: string) {
  const { path, method, headers = [], body } = http;
  const named = Object.fromEntries(headers.map(({ name, value }) => [name, value]));
  return { host, port, path, method, headers: named, ...(body === undefined ? {} : { body }) };
}

function verdictOf(complaint: string | undefined, pod: string | undefined): Seen {
  const who = pod === undefined ? "" : `pod ${pod}: `;
  if (complaint === undefined) return { state: "Passed", message: `${who}answers as expected` };
  return { state: "Failed", message: `${who}${complaint}` };
}
