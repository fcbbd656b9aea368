/** What follows from the world: the next step of the release, and what each colour is to have. */
import { ANNOTATIONS } from "../../crds/group.ts";
import type { Colour } from "../../crds/rollout-status.ts";
import { checkFacts } from "./rollout.checks.ts";
import { testedColour } from "./rollout.mirror.ts";
import { COLOURS } from "./rollout.names.ts";
import type { World } from "./rollout.observe.ts";
import { advance, leftAlone } from "./rollout.phases.ts";
import type { ColourFacts, Mirror, Progress, ReleaseFacts } from "./rollout.progress.ts";
import { isOfOneRelease, runName } from "./rollout.run.ts";
import type { Unusable, VersionContent, Wanted } from "./rollout.template.ts";
import { canaryBps, mirrored, replicasOf, weightsOf } from "./rollout.weights.ts";
import { closedAt } from "./rollout.windows.ts";
import type { Standing } from "./sampling/release.ts";

export interface Decision {
  readonly world: World;
  readonly facts: ReleaseFacts;
  /** What is remembered next. */
  readonly next: Progress;
  /**
   * What is acted upon: what is remembered already, so that a crash goes on where it was. A retreat alone is acted upon at once, and
   * the route remembers it.
   */
  readonly acting: Progress;
  /** Share of the canary, in basis points. */
  readonly shareBps: number;
  readonly weights: Readonly<Record<Colour, number>> | undefined;
  /** Copies of requests that the canary is to get. */
  readonly mirror: Mirror | undefined;
  /** Where requests of testers are to go, in place of the version that serves. */
  readonly tested: Colour | undefined;
  readonly replicas: Readonly<Record<Colour, number>>;
  /** What each colour runs; absent for a colour without a version. */
  readonly contents: Readonly<Record<Colour, VersionContent | undefined>>;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export function isUsable(wanted: Wanted | Unusable): wanted is Wanted {
  return "template" in wanted;
}

/** Revisions that have a part in the release, a colour or a pod. */
export function runningRevisions({ colours, podRevisions }: World, progresses: readonly Progress[]): readonly string[] {
  return [
    ...progresses.flatMap(({ stable, canary }) => [stable?.revision, canary?.revision]),
    ...COLOURS.map((colour) => colours[colour]?.revision),
    ...podRevisions,
  ].filter((revision) => revision !== undefined);
}

/** @param now milliseconds since the epoch */
export function decide(world: World, now: number): Decision {
  const facts = releaseFacts(world, now);
  const { annotations, deletionTimestamp } = world.rollout.metadata;
  const isLeftAlone = annotations?.[ANNOTATIONS.paused] === "true" || deletionTimestamp !== undefined;
  // Nothing is done while it is left alone, so nothing is remembered as if it were.
  const next = isLeftAlone ? leftAlone(world.progress, now) : advance(world.progress, facts, now);
  const acting = next.phase === "RollingBack" ? next : world.progress;
  const shareBps = canaryBps(acting, facts);
  return {
    world,
    facts,
    next,
    acting,
    shareBps,
    weights: weightsOf(acting, facts),
    mirror: mirrored(acting, facts),
    tested: testedColour(acting, facts, shareBps),
    replicas: replicasOf(acting, facts),
    contents: contentsOf(world, acting),
    now,
  };
}

/** The world as the phase machine sees it. */
function releaseFacts(world: World, now: number): ReleaseFacts {
  const { rollout, wanted, colours, pods, traffic, standing } = world;
  const route = traffic.seen;
  const factsOf = (colour: Colour): ColourFacts => {
    const revision = colours[colour]?.revision;
    const ready = pods.filter((pod) => pod.colour === colour && pod.revision === revision && pod.ready).length;
    return { revision, replicas: colours[colour]?.replicas ?? 0, ready };
  };
  const run = runName(rollout);
  const isSame = standing !== undefined && standing.revision === run;
  // Harm that copies have shown counts at the stages, too.
  const isOfRelease = standing !== undefined && run !== undefined && isOfOneRelease(standing.revision, run);
  return {
    spec: rollout.spec,
    wanted: isUsable(wanted) ? wanted.revision : undefined,
    replicas: wholeReplicas(world),
    colours: { Blue: factsOf("Blue"), Green: factsOf("Green") },
    isStableGone: isStableGone(world),
    route: {
      weights: route?.weights,
      mirror: route?.mirror,
      isAccepted: route?.isAccepted ?? false,
      retreat: route?.retreat,
    },
    lacks: traffic.lacks,
    checks: checkFacts(world),
    closed: closedAt(rollout.spec.windows, now),
    flags: world.flags,
    judged: {
      // Nobody goes on to more requests while something is not told, or the weight is not served.
      verdict: isSame && isBorneOut(standing) ? standing.verdict : undefined,
      failure: isOfRelease ? standing.failure : undefined,
      unknownSince: isSame ? standing?.unknownSinceMs : undefined,
    },
  };
}

/** As when a Rollout is made again under its name while the objects of the former one are being collected. */
function isStableGone({ progress: { stable }, wanted, colours, podRevisions, versions }: World): boolean {
  // What is wanted is known.
  if (stable === undefined || !isUsable(wanted) || wanted.revision === stable.revision) return false;
  const { revision } = stable;
  return colours[stable.colour]?.revision !== revision && !versions.has(revision) && !podRevisions.includes(revision);
}

function isBorneOut({ trouble, shareTrouble }: Standing): boolean {
  return trouble === undefined && shareTrouble === undefined;
}

/** Pods of a version that serves everything: where autoscalers are, as many as the stable one has now. */
function wholeReplicas({ rollout, wanted, colours, progress }: World): number {
  const { autoscaling } = rollout.spec;
  const { stable, heldReplicas = 0 } = progress;
  if (autoscaling !== undefined && stable !== undefined) {
    return Math.max(colours[stable.colour]?.replicas ?? 0, autoscaling.minReplicas, heldReplicas);
  }
  return isUsable(wanted) ? wanted.replicas : Math.max(1, ...COLOURS.map((colour) => colours[colour]?.replicas ?? 0));
}

function contentsOf({ wanted, versions, colours }: World, acting: Progress): Decision["contents"] {
  const contentOf = (colour: Colour): VersionContent | undefined => {
    const version = [acting.stable, acting.canary].find((it) => it?.colour === colour);
    const revision = version?.revision ?? colours[colour]?.revision;
    if (revision === undefined) return undefined;
    return versions.get(revision) ?? (isUsable(wanted) && wanted.revision === revision ? wanted : undefined);
  };
  return { Blue: contentOf("Blue"), Green: contentOf("Green") };
}
