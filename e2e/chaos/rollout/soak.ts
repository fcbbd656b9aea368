/**
 * A whole ladder, and releases that are taken back at random moments of random phases, under a load of which every request is
 * counted. For each that had a share when it was decided to take it away:
 *
 *   T0  the decision: the request Abort was sent, or the status says so
 *   T1  the route was seen with weight 0
 *   T2  the last answer of that version came
 */
import { type Outcome } from "../../../crds/rollout-status.ts";
import { push, statusOf } from "../../release.ts";
import {
  type Arena,
  beginRelease,
  ended,
  lookAt,
  type Moment,
  momentText,
  pass,
  pushNext,
  RATE,
  reach,
  releaseOf,
  request,
  sound,
  type Trial,
} from "./arena.ts";
import { attribute, lostBySwitching, total } from "./counts.ts";
import { type Distribution, distributionOf, histogramLines } from "./figures.ts";

/** Moments at which releases are taken back, as often as they stand here. */
const MOMENTS: readonly Moment[] = [
  { phase: "Preparing" },
  { phase: "Verifying" },
  { phase: "Canary", stage: 0 },
  { phase: "Canary", stage: 0, isVerified: true },
  { phase: "Canary", stage: 1 },
  { phase: "Canary", stage: 1, isVerified: true },
  { phase: "Canary", stage: 2 },
  { phase: "Canary", stage: 2, isVerified: true },
  { phase: "Baking" },
  { phase: "Switching" },
];
/** Most seconds from such a moment on: about as long as a stage takes; less where the release ends soon. */
const laterSeconds = ({ phase }: Moment): number => (phase === "Baking" ? 2 : phase === "Switching" ? 0 : 4);

/** How a release comes to be taken back, and how it ends then. */
const WAYS = {
  abort: "Aborted",
  push: "Superseded",
  revert: "Superseded",
  harm: "RolledBack",
} as const satisfies Record<string, Outcome>;
type Way = keyof typeof WAYS;
/** Of twenty. */
const DECK: readonly Way[] = [
  ...Array<Way>(8).fill("abort"),
  ...Array<Way>(5).fill("push"),
  ...Array<Way>(3).fill("revert"),
  ...Array<Way>(4).fill("harm"),
];
const BAD_ERRORS = 0.5;
/** T2-T0 that is promised for 99 of 100. */
const SLO_SECONDS = 5;

interface Back {
  readonly way: Way;
  readonly when: string;
  readonly outcome: string;
  /** Absent where it had no share. */
  readonly routeSeconds?: number;
  readonly lastAnswerSeconds?: number;
}

export interface SoakFigures {
  readonly requests: number;
  readonly lostBySwitching: number;
  /** Not answered in time, while the route without releases had such requests too. */
  readonly lostBesides: number;
  /** The route without releases. */
  readonly control: { readonly requests: number; readonly lost: number };
  readonly errorsOfBadVersions: number;
  /** T1-T0. */
  readonly weightZero: Distribution | undefined;
  /** T2-T0. */
  readonly lastAnswer: Distribution | undefined;
  readonly back: readonly Back[];
}

/** @param goesOn asked before each release that is taken back */
export async function soak(arena: Arena, count: number, goesOn: () => boolean): Promise<SoakFigures> {
  const { load, control, say, check } = arena;
  const bad = new Set<string>();
  const [before, controlBefore] = await Promise.all([load.results(), control.results()]);
  const good = await beginRelease(arena);
  check("a good release goes up the whole ladder", (await ended(arena, good)).outcome === "Promoted", good.version);
  let serving = good;

  const back: Back[] = [];
  const deck = shuffled(DECK, arena.random);
  let carried: Trial | undefined;
  for (let turn = 0; turn < count && goesOn(); turn += 1) {
    const way = deck[turn % deck.length] ?? "abort";
    const isFresh = way === "harm" || carried === undefined;
    // A release that took the place of another one goes on to its end where it cannot be the bad one.
    if (isFresh && carried !== undefined) serving = await promoted(arena, carried, serving);
    const trial: Trial =
      isFresh || carried === undefined ? await beginRelease(arena, way === "harm" ? BAD_ERRORS : 0) : carried;
    if (trial.isBad) bad.add(trial.version);
    const taken = await takeBack(arena, trial, { way, serving });
    carried = taken.next;
    back.push(taken.back);
    if (taken.back.outcome === "Promoted") serving = trial;
    const { when, outcome, routeSeconds, lastAnswerSeconds } = taken.back;
    const seconds =
      routeSeconds === undefined || lastAnswerSeconds === undefined
        ? ""
        : `, weight 0 after ${routeSeconds.toFixed(2)} s, last answer after ${lastAnswerSeconds.toFixed(2)} s`;
    say(`  ${String(turn + 1)}/${String(count)} ${way} ${when}: ${outcome}${seconds}`);
  }
  if (carried !== undefined) await promoted(arena, carried, serving);
  await sound(arena);

  const counted = attribute(before, await load.results(), bad);
  const beside = attribute(controlBefore, await control.results(), new Set());
  const { requests, strange, ofBadVersions } = counted;
  const lost = lostBySwitching(counted, beside);
  const numbers = { requests, lost, control: { requests: beside.requests, lost: beside.lost } };
  check("no request is lost by switching", total(lost) === 0, JSON.stringify(numbers));
  if (total(lost) !== total(counted.lost)) {
    say(
      `  the machine is short of time: ${JSON.stringify(counted.lost)}, on the route without releases ${JSON.stringify(beside.lost)}`,
    );
  }
  check("no good version answers with an error", total(strange) === 0, JSON.stringify(strange));
  const figures: SoakFigures = {
    requests,
    lostBySwitching: total(lost),
    lostBesides: total(counted.lost) - total(lost),
    control: { requests: beside.requests, lost: total(beside.lost) },
    errorsOfBadVersions: ofBadVersions,
    weightZero: distribution(back.map(({ routeSeconds }) => routeSeconds)),
    lastAnswer: distribution(back.map(({ lastAnswerSeconds }) => lastAnswerSeconds)),
    back,
  };
  judge(arena, figures);
  return figures;
}

function judge({ check, say }: Arena, { back, lastAnswer, weightZero }: SoakFigures): void {
  // The moment of one that was promoted had passed before anybody could act.
  const odd = back.filter(({ way, outcome }) => outcome !== WAYS[way] && outcome !== "Promoted");
  check(
    "each ends as it was taken back",
    odd.length === 0,
    odd.length === 0 ? `${String(back.length)} releases` : JSON.stringify(odd),
  );
  if (lastAnswer === undefined || weightZero === undefined) return;
  say(`  T2-T0, from the decision to the last answer of the canary (${String(RATE)} requests/s):`);
  for (const line of histogramLines(lastAnswer)) say(`    ${line}`);
  const { p50, p90, p99, worst } = lastAnswer;
  const text = `median ${p50.toFixed(2)}, p90 ${p90.toFixed(2)}, p99 ${p99.toFixed(2)}, worst ${worst.toFixed(2)} s; weight 0 in the median after ${weightZero.p50.toFixed(2)} s`;
  check(`p99 of T2-T0 is below ${String(SLO_SECONDS)} s`, p99 < SLO_SECONDS, text);
}

interface Taking {
  readonly way: Way;
  /** The version to which a revert returns. */
  readonly serving: Trial;
}

async function takeBack(arena: Arena, trial: Trial, taking: Taking): Promise<{ back: Back; next: Trial | undefined }> {
  const { way } = taking;
  const isPatient = way !== "harm";
  const moment = pick(MOMENTS, arena.random);
  const later = arena.random() * laterSeconds(moment);
  let asked: number | undefined;
  let next: Trial | undefined;
  if (isPatient) {
    await reach(arena, trial, moment);
    await pass(later);
    ({ asked, next } = await act(arena, trial, taking));
  }
  const { outcome } = await ended(arena, trial);
  const when = isPatient ? `${later.toFixed(1)} s after ${momentText(moment)}` : "by the verdict";
  if (outcome === "Promoted") return { back: { way, when, outcome }, next };
  return { back: { way, when, outcome, ...(await times(arena, trial, asked)) }, next };
}

async function act(
  arena: Arena,
  trial: Trial,
  { way, serving }: Taking,
): Promise<{ asked?: number; next: Trial | undefined }> {
  if (way === "abort") return { asked: await request(arena, "Abort"), next: undefined };
  if (way === "revert") {
    // A return to what served before a release that has ended would be a release of its own.
    if ((await statusOf(arena.stage)).releaseStartedAt === trial.startedAt)
      await push(arena.stage, { version: serving.version, image: arena.stage.images.next });
    return { next: undefined };
  }
  const since = lookAt(arena);
  return { next: await releaseOf(arena, since, await pushNext(arena)) };
}

/** Waits for the release that took the place of another one. @returns what serves then */
async function promoted(arena: Arena, trial: Trial, serving: Trial): Promise<Trial> {
  const { outcome } = await ended(arena, trial);
  arena.check(
    "a version that took another one's place goes out",
    outcome === "Promoted",
    `${trial.version}: ${outcome}`,
  );
  return outcome === "Promoted" ? trial : serving;
}

/** Times of a release that was taken back. @param asked when somebody asked for it, in milliseconds since 1970 */
async function times(
  { timeline, load }: Arena,
  trial: Trial,
  asked: number | undefined,
): Promise<Pick<Back, "routeSeconds" | "lastAnswerSeconds">> {
  const sights = timeline.sights();
  const decided = sights.find(
    (sight) => sight.kind === "rollout" && sight.status?.releaseStartedAt === trial.startedAt && sight.status.retreat,
  );
  if (decided?.kind !== "rollout") return {};
  const decidedAt = Date.parse(decided.status?.retreat?.decidedAt ?? "");
  const t0 = asked ?? decidedAt;
  const routes = sights.flatMap((sight) =>
    sight.kind === "route" ? [{ at: sight.at, share: sight.weights?.[trial.service] ?? 0 }] : [],
  );
  const shareThen = routes.findLast(({ at }) => at <= t0)?.share ?? 0;
  const zero = routes.find(({ at, share }) => at > t0 && share === 0);
  const last = (await load.results()).seen[trial.version]?.last;
  if (shareThen === 0 || zero === undefined || last === undefined) return {};
  return { routeSeconds: (zero.at - t0) / 1_000, lastAnswerSeconds: Math.max(0, last - t0 / 1_000) };
}

function distribution(seconds: readonly (number | undefined)[]): Distribution | undefined {
  const known = seconds.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : distributionOf(known);
}

function pick<T>(list: readonly T[], random: () => number): T {
  const found = list[Math.floor(random() * list.length)];
  if (found === undefined) throw new Error("nothing to pick from");
  return found;
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  return list
    .map((value) => ({ value, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value);
}
