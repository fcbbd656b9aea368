/** A Rollout with a load on it, followed from its first version to its end: where faults are made. */
import { setTimeout as wait } from "node:timers/promises";
import { ROLLOUT } from "../../../crds/rollout.ts";
import { WHOLE_BPS } from "../../../crds/rollout-ladder.ts";
import { type RolloutRequest } from "../../../crds/rollout-request.ts";
import { type EndedRelease, type Phase, type RolloutStatus } from "../../../crds/rollout-status.ts";
import { RESOURCES } from "../../../lib/kube/types.ts";
import type { Cluster } from "../../cluster.ts";
import { applicationObjects } from "../../gateway/application.ts";
import { type ApplicationImages, gatewayUrl } from "../../gateway/gateways.ts";
import { type Load, startLoad } from "../../gateway/load-pod.ts";
import { backendRefs, routeObject } from "../../gateway/routes.ts";
import { APP, loadOf, openStage, push, quickStage, rolloutManifest, type Stage, statusOf } from "../../release.ts";
import { waitFor } from "../../run.ts";
import type { Finding } from "../chaos-run.ts";
import type { Ladder } from "./invariants.ts";
import type { OperatorPods } from "./operator-pods.ts";
import { type RolloutSight, type Sight, saidBy } from "./sights.ts";
import { followRelease, type Timeline } from "./timeline.ts";

/** Requests per second. */
export const RATE = 200;
/** The load ends by itself, should a run be killed. */
const LOAD_SECONDS = 7_200;
const REPLICAS = 2;

/** Weights of the stages, in basis points. */
const WEIGHTS = [1_000, 5_000, 10_000] as const;
export const LADDER: Ladder = { name: APP, stages: WEIGHTS, holdbackBps: 500 };

/** The longest wait for anything on a machine that has other work: nothing here is judged by its seconds. */
export const PATIENCE_MS = 240_000;

export interface Arena {
  readonly cluster: Cluster;
  readonly stage: Stage;
  readonly load: Load;
  /** The same gateway and application, and no release. */
  readonly control: Load;
  readonly timeline: Timeline;
  readonly operator: OperatorPods;
  /** In [0, 1), seeded. */
  readonly random: () => number;
  readonly say: (line: string) => void;
  /** Notes what had to hold, and whether it did. */
  readonly check: (what: string, ok: boolean, value: string) => void;
  /** Revisions of the route that were written by hand. */
  readonly foreign: Set<number>;
  /** A name that no version had. */
  readonly newVersion: () => string;
}

export interface ArenaOptions extends Pick<Arena, "cluster" | "operator" | "random" | "say"> {
  readonly namespace: string;
  readonly images: ApplicationImages;
  readonly findings: (finding: Finding) => void;
}

/** Brings up the first version and the load. */
export async function openArena(options: ArenaOptions): Promise<Arena> {
  const { cluster, namespace, images, findings } = options;
  const stage = await openStage({ cluster, namespace, gateway: "traefik", images, replicas: REPLICAS });
  let versions = 0;
  const newVersion = (): string => {
    versions += 1;
    return `${namespace}-v${String(versions)}`;
  };
  await push(stage, { version: newVersion(), image: images.image });
  await askFor(stage, {});
  await waitFor("the first version to serve", PATIENCE_MS, async () => {
    const { phase, stable } = await statusOf(stage);
    return phase === "Idle" && stable !== undefined;
  });
  const load = await loadOf(stage, { rate: RATE, seconds: LOAD_SECONDS });
  return {
    ...options,
    stage,
    load,
    control: await startControl(stage),
    timeline: await followRelease(stage.client, namespace),
    check: (what, ok, value) => {
      findings({ what, ok, value });
    },
    foreign: new Set(),
    newVersion,
  };
}

const CONTROL = "control";
const CONTROL_HOST = "control.example";
const CONTROL_RATE = 40;

/** A load on a route on which nothing ever changes: what it loses, the machine has lost. */
async function startControl({ cluster, client, namespace, gateway, images: { image } }: Stage): Promise<Load> {
  const name = CONTROL;
  for (const object of applicationObjects({ namespace, name, version: name, image })) await cluster.apply(object);
  const rules = [{ backendRefs: backendRefs([[name, 1]]) }];
  await cluster.apply(routeObject("HTTPRoute", { gateway, namespace, name, host: CONTROL_HOST, rules }));
  const probe = { namespace, image, url: gatewayUrl(gateway), host: CONTROL_HOST, rate: CONTROL_RATE };
  const load = await startLoad(client, { ...probe, name: CONTROL_LOAD, seconds: LOAD_SECONDS });
  // Until the gateway serves the route it refuses: what is counted later is compared with what is known then.
  await waitFor("the route without releases", PATIENCE_MS, async () => {
    const { counts } = await load.results();
    return (counts[`${name}/200`] ?? 0) > CONTROL_RATE;
  });
  return load;
}

const CONTROL_LOAD = "control-load";

/** Lets go of what the arena holds here; its namespace is the caller's. */
export async function closeArena({ timeline, stage }: Arena): Promise<void> {
  await timeline.stop();
  await stage.client.close();
}

export interface Wanted {
  /** Time that each stage takes at least: so many requests are asked for. */
  readonly holdSeconds?: number;
  /** Everything else of the spec. */
  readonly more?: object;
}

/** Writes the spec of the Rollout, as Git does. */
export async function askFor(stage: Stage, { holdSeconds = 4, more = {} }: Wanted): Promise<void> {
  const stages = WEIGHTS.map((weightBps) => {
    const share = Math.min(weightBps, WHOLE_BPS - LADDER.holdbackBps) / WHOLE_BPS;
    return quickStage(weightBps, holdSeconds, { minSamples: Math.ceil(RATE * share * holdSeconds * SAMPLED) });
  });
  const { holdbackBps } = LADDER;
  await stage.cluster.apply(rolloutManifest(stage, { stages, holdbackBps, bakeSeconds: 3, drainSeconds: 3, ...more }));
}

/** Part of the requests of a stage that its samples may be: the others come before the gateway takes the weight. */
const SAMPLED = 0.8;

/** A release under way. */
export interface Trial {
  readonly version: string;
  readonly isBad: boolean;
  /** From here on sights belong to it. */
  readonly mark: number;
  readonly startedAt: string;
  /** Service of its colour. */
  readonly service: string;
}

/** Where the timeline stands: what begins after it is new. */
export interface Since {
  readonly mark: number;
  readonly known: ReadonlySet<string>;
}

export function lookAt({ timeline }: Arena): Since {
  return { mark: timeline.mark(), known: new Set(timeline.sights().flatMap((sight) => startOf(sight) ?? [])) };
}

/** Pushes a version, as a pipeline does, and waits until its release is seen. */
export async function beginRelease(arena: Arena, errors = 0): Promise<Trial> {
  const since = lookAt(arena);
  return releaseOf(arena, since, await pushNext(arena, errors));
}

/** Pushes another version. */
export async function pushNext(arena: Arena, errors = 0): Promise<Pick<Trial, "version" | "isBad">> {
  const version = arena.newVersion();
  await push(arena.stage, { version, image: arena.stage.images.next, errors });
  return { version, isBad: errors > 0 };
}

/** The release of a version that was pushed. */
export async function releaseOf(
  { timeline }: Arena,
  { mark, known }: Since,
  pushed: Pick<Trial, "version" | "isBad">,
): Promise<Trial> {
  return timeline.until("a release to begin", {
    from: mark,
    timeoutMs: PATIENCE_MS,
    match: (sight) => {
      const startedAt = startOf(sight);
      if (startedAt === undefined || known.has(startedAt) || sight.kind !== "rollout") return undefined;
      const { canary } = sight.status ?? {};
      return canary && { ...pushed, mark, startedAt, service: `${APP}-${canary.colour.toLowerCase()}` };
    },
  });
}

function startOf(sight: Sight): string | undefined {
  return sight.kind === "rollout" ? sight.status?.releaseStartedAt : undefined;
}

/** A moment of a release. */
export interface Moment {
  readonly phase: Phase;
  readonly stage?: number;
  /** The gateway has taken the weight of the stage. */
  readonly isVerified?: boolean;
}

export function momentText({ phase, stage, isVerified }: Moment): string {
  return `${phase}${stage === undefined ? "" : ` ${String(stage)}`}${isVerified === true ? " (weight taken)" : ""}`;
}

/** Waits for a moment of a release. @returns the sight of it */
export function reach({ timeline }: Arena, trial: Trial, moment: Moment): Promise<RolloutSight> {
  return timeline.until(momentText(moment), {
    from: trial.mark,
    timeoutMs: PATIENCE_MS,
    match: (sight) => sight.kind === "rollout" && isAt(trial, sight.status, moment) && sight,
  });
}

function isAt(trial: Trial, status: RolloutStatus | undefined, { phase, stage, isVerified }: Moment): boolean {
  if (status?.phase !== phase) return false;
  // A release that is promoted has ended: its phase is that of the former version.
  const isOurs =
    phase === "Retiring"
      ? status.releases?.[0]?.startedAt === trial.startedAt
      : status.releaseStartedAt === trial.startedAt;
  const isStage = stage === undefined || status.stage === stage;
  return isOurs && isStage && (isVerified !== true || status.verifiedAt !== undefined);
}

/** Waits until a release has ended. @returns what is remembered of it */
export function ended({ timeline }: Arena, { mark, startedAt }: Trial): Promise<EndedRelease> {
  return timeline.until("the end of the release", {
    from: mark,
    timeoutMs: PATIENCE_MS,
    match: (sight) =>
      sight.kind === "rollout" && sight.status?.releases?.find((release) => release.startedAt === startedAt),
  });
}

/** Waits until a line of some condition fits: what people are told meanwhile. */
export async function told(arena: Arena, what: RegExp, from: number): Promise<void> {
  const line = await arena.timeline
    .until(`a condition like ${String(what)}`, {
      from,
      timeoutMs: PATIENCE_MS,
      match: (sight) => (sight.kind === "rollout" ? saidBy(sight).find((text) => what.test(text)) : undefined),
    })
    .catch(() => undefined);
  arena.check(`a condition says ${String(what)}`, line !== undefined, line ?? "none did");
}

/** Asks the controller for something. @returns when, in milliseconds since 1970 */
export async function request({ stage }: Arena, action: RolloutRequest["action"]): Promise<number> {
  const at = Date.now();
  const patch = { spec: { request: { id: `chaos-${String(at)}`, action } } };
  await stage.client.patch(ROLLOUT, { namespace: stage.namespace, name: APP }, { format: "merge", patch });
  return at;
}

/**
 * Waits until everything is at rest: no release, all requests at the version that serves, its pods ready, none of the other.
 * Notes whether it came to that.
 */
export async function sound({ stage, check }: Arena): Promise<void> {
  const { client, namespace } = stage;
  const readyOf = async (colour: string) => {
    const found = await client.get(RESOURCES.Deployment, { namespace, name: `${APP}-${colour}` });
    const { replicas = 0 } = found["spec"] as { readonly replicas?: number };
    const { readyReplicas = 0 } = (found["status"] ?? {}) as { readonly readyReplicas?: number };
    return { replicas, ready: readyReplicas };
  };
  const isSound = async (): Promise<boolean> => {
    const { phase, canary, stable, weight } = await statusOf(stage);
    if (phase !== "Idle" || canary !== undefined || stable === undefined) return false;
    const [serves, other] = stable.colour === "Blue" ? ["blue", "green"] : ["green", "blue"];
    const [now, rest] = [await readyOf(serves), await readyOf(other)];
    const isServed = now.replicas === REPLICAS && now.ready === REPLICAS && rest.replicas === 0;
    return isServed && (weight === undefined || weight.desiredBps === 0 || weight.desiredBps === WHOLE_BPS);
  };
  const isThere = await waitFor("everything to be at rest", PATIENCE_MS, isSound).catch(() => false);
  check("it ends at rest: one version serves, the other has no pod", isThere, JSON.stringify(await brief(stage)));
}

async function brief(stage: Stage): Promise<object> {
  const { phase, stable, canary, conditions } = await statusOf(stage);
  const ready = conditions?.find(({ type }) => type === "Ready");
  return { phase, stable: stable?.colour, canary: canary?.colour, ready: ready && `${ready.reason}: ${ready.message}` };
}

/** Waits for seconds during which something must not happen. */
export async function pass(seconds: number): Promise<void> {
  await wait(seconds * 1_000);
}
