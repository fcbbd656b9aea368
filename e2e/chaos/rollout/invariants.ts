/**
 * What must hold of every release, whatever is broken meanwhile. All of it is read from the versions of Rollout and route in the
 * order in which the server took them:
 *
 *   - the canary has a share of its ladder, and none that the step written before does not allow
 *   - once it is decided that a release goes back, by the status or by the route, no share of it rises
 *   - a release goes its phases and stages one by one, and none comes back
 *   - each release ends once, and no other one begins beside it
 */
import { WHOLE_BPS } from "../../../crds/rollout-ladder.ts";
import { type Phase, type RolloutStatus } from "../../../crds/rollout-status.ts";
import type { RolloutSight, RouteSight, Sight, Weights } from "./sights.ts";

/** What a Rollout asks for. */
export interface Ladder {
  /** Name of the Rollout: its Services are `<name>-<colour>`. */
  readonly name: string;
  readonly stages: readonly number[];
  readonly holdbackBps: number;
}

export interface Rules {
  readonly ladder: Ladder;
  /** Revisions of the route that somebody else has written: they are looked at only for what follows. */
  readonly foreign: ReadonlySet<number>;
}

interface State {
  readonly status: RolloutStatus | undefined;
  readonly weights: Weights | undefined;
  /** Start of each release that goes back, or has gone back. */
  readonly back: ReadonlySet<string>;
}

const NOTHING: State = { status: undefined, weights: undefined, back: new Set() };

/** What did not hold after a revision, a sentence each; empty when all did. @param sights in the server's order, from the beginning */
export function findBreaches(sights: readonly Sight[], rules: Rules, after = 0): readonly string[] {
  const breaches: string[] = [];
  let state = NOTHING;
  for (const sight of sights) {
    const found = sight.kind === "route" ? routeBreaches(state, sight, rules) : statusBreaches(state, sight);
    if (sight.revision > after) breaches.push(...found.map((what) => `revision ${String(sight.revision)}: ${what}`));
    state = next(state, sight);
  }
  return [...breaches, ...endBreaches(sights)];
}

function next(state: State, sight: Sight): State {
  const { back } = state;
  if (sight.kind === "route") {
    const isNew = sight.takenBack !== undefined && !back.has(sight.takenBack);
    return { ...state, weights: sight.weights, back: isNew ? new Set([...back, sight.takenBack]) : back };
  }
  const { status } = sight;
  const started = status?.releaseStartedAt;
  const isNew = status?.phase === "RollingBack" && started !== undefined && !back.has(started);
  return { ...state, status, back: isNew ? new Set([...back, started]) : back };
}

function routeBreaches(state: State, { weights, revision }: RouteSight, { ladder, foreign }: Rules): string[] {
  const { status, back } = state;
  if (weights === undefined || status?.stable === undefined || foreign.has(revision)) return [];
  const other = serviceOf(ladder, status.stable.colour === "Blue" ? "Green" : "Blue");
  const [share, before] = [weights[other] ?? 0, state.weights?.[other] ?? 0];
  if (JSON.stringify(weights) === JSON.stringify(state.weights)) return [];
  const found: string[] = [];
  const whole = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  if (whole !== WHOLE_BPS) found.push(`the weights are ${JSON.stringify(weights)}, which is not all requests`);
  const allowed = allowedBps(status, ladder);
  if (share > 0 && (!stepsOf(ladder).includes(share) || share > allowed)) {
    found.push(`the canary has ${String(share)}, and phase ${String(status.phase)} allows ${String(allowed)}`);
  }
  const { releaseStartedAt } = status;
  if (share > before && releaseStartedAt !== undefined && back.has(releaseStartedAt)) {
    found.push(`the share of a release that goes back rose from ${String(before)} to ${String(share)}`);
  }
  return found;
}

function serviceOf({ name }: Ladder, colour: "Blue" | "Green"): string {
  return `${name}-${colour.toLowerCase()}`;
}

/** Shares that a canary may ever have. */
function stepsOf({ stages, holdbackBps }: Ladder): readonly number[] {
  return [...stages.map((bps) => Math.min(bps, WHOLE_BPS - holdbackBps)), WHOLE_BPS];
}

/** Largest share that the step allows. */
function allowedBps({ phase, stage = 0 }: RolloutStatus, ladder: Ladder): number {
  if (phase === "Switching") return WHOLE_BPS;
  if (phase === "Baking") return WHOLE_BPS - ladder.holdbackBps;
  return phase === "Canary" ? (stepsOf(ladder)[stage] ?? 0) : 0;
}

/** A release goes through them in this order; one that goes back does so from any of them. */
const ORDER: readonly Phase[] = ["Preparing", "Verifying", "Canary", "Baking", "Switching"];

function statusBreaches({ status: before, back }: State, { status }: RolloutSight): string[] {
  if (before === undefined || status === undefined) return [];
  const { phase = "Idle", stage = 0, releaseStartedAt } = status;
  if (releaseStartedAt !== before.releaseStartedAt) return beginBreaches(before, status);
  if (releaseStartedAt === undefined) return [];
  const found: string[] = [];
  if (back.has(releaseStartedAt) && phase !== "RollingBack") {
    found.push(`a release that goes back is in phase ${phase}`);
  }
  if (before.canary?.revision !== status.canary?.revision) found.push("the revision of a release changed on its way");
  const [from, to] = [ORDER.indexOf(before.phase ?? "Idle"), ORDER.indexOf(phase)];
  if (from >= 0 && to >= 0 && to < from) found.push(`phase ${String(before.phase)} was followed by ${phase}`);
  if (phase === "Canary" && before.phase === "Canary" && stage !== before.stage && stage !== (before.stage ?? 0) + 1) {
    found.push(`stage ${String(before.stage)} was followed by stage ${String(stage)}`);
  }
  return found;
}

/** A release begins only where none is under way, and one that ended is remembered. */
function beginBreaches(before: RolloutStatus, status: RolloutStatus): string[] {
  const found: string[] = [];
  const { releaseStartedAt: last } = before;
  if (last === undefined) return found;
  if (status.releaseStartedAt !== undefined) found.push("a release began while another one was under way");
  if (status.releases?.some(({ startedAt }) => startedAt === last) !== true) {
    found.push(`the release of ${last} vanished without an outcome`);
  }
  return found;
}

/** No release has two outcomes. */
function endBreaches(sights: readonly Sight[]): string[] {
  const last = sights.findLast((sight) => sight.kind === "rollout" && sight.status !== undefined);
  if (last?.kind !== "rollout") return [];
  const starts = (last.status?.releases ?? []).map(({ startedAt }) => startedAt);
  const twice = starts.filter((start, index) => starts.indexOf(start) !== index);
  return twice.map((start) => `the release of ${start} ended twice`);
}
