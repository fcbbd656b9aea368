/** From the answers of single processes to counters of both versions, and what is wrong with them in words. */
import type { CounterSample, Counters } from "../../../crds/rollout-run.ts";
import type { Answer, SideAnswer } from "./answer.ts";
import { commonBounds, project } from "./histogram.ts";
import type { Reading } from "./reading.ts";

/** Counters of both versions; one that is absent told nothing. */
export interface Sides extends Pick<CounterSample, "canary" | "stable"> {
  /** Bounds of the latency, once both versions have told theirs; those of the run do not change any more. */
  readonly boundsMs?: readonly number[];
  /** Why something is not told. */
  readonly trouble?: string;
}

/** Longest text of a trouble. */
const TROUBLE_MAX = 500;

const NONE = { requests: 0, errors: 0 };

/**
 * A version has answered when one of its processes has: a canary of which only some still answer must not be safe from its
 * judge, and what the others count comes when they answer again. Who is silent is a trouble, so that nothing passes unseen.
 * A canary without weight need not answer: it has nothing to tell.
 *
 * A metric that one process of either version has is only waiting on the others, for their first request. One that nobody
 * has does not exist; then nothing is counted.
 * @param known bounds that the run has already
 */
export function sidesOf(answer: Answer, weightBps: number, known: readonly number[] | undefined): Sides {
  const { canary, stable } = answer;
  const isCounted = [...canary.readings.values(), ...stable.readings.values()].some((of) => of.counters !== undefined);
  const boundsMs = known ?? agreedBounds(canary, stable);
  const isTold = (side: SideAnswer): boolean => isCounted && side.readings.size > 0;
  const trouble = troublesOf(answer, weightBps, boundsMs).join("; ").slice(0, TROUBLE_MAX);
  return {
    // What a canary without a share answers is asked by checks and testers, who may ask for failures.
    ...(weightBps === 0 ? { canary: {} } : isTold(canary) ? { canary: countersOf(canary, boundsMs) } : {}),
    ...(isTold(stable) ? { stable: countersOf(stable, boundsMs) } : {}),
    ...(boundsMs === undefined ? {} : { boundsMs }),
    ...(trouble === "" ? {} : { trouble }),
  };
}

const histogramsOf = ({ readings }: SideAnswer) => [...readings.values()].flatMap(({ histogram }) => histogram ?? []);

/** Both versions have to tell theirs first, for a canary may have others. */
function agreedBounds(canary: SideAnswer, stable: SideAnswer): readonly number[] | undefined {
  const [ofCanary, ofStable] = [histogramsOf(canary), histogramsOf(stable)];
  if (ofCanary.length === 0 || ofStable.length === 0) return undefined;
  const common = commonBounds([...ofCanary, ...ofStable]);
  return common.length === 0 ? undefined : common;
}

function countersOf({ readings }: SideAnswer, boundsMs: readonly number[] | undefined): Record<string, Counters> {
  const one = ({ counters = NONE, histogram }: Reading): Counters => {
    const latency = boundsMs === undefined || histogram === undefined ? undefined : project(histogram, boundsMs);
    return latency === undefined ? counters : { ...counters, latency };
  };
  return Object.fromEntries([...readings].map(([name, reading]) => [name, one(reading)]));
}

function troublesOf(answer: Answer, weightBps: number, boundsMs: readonly number[] | undefined): string[] {
  const { canary, stable } = answer;
  return [
    ...silenceOf("canary", canary),
    ...silenceOf("stable", stable),
    ...(weightBps > 0 ? absenceOf("canary", canary) : []),
    ...absenceOf("stable", stable),
    ...missingOf(answer, weightBps),
    ...boundsTroubleOf(answer, boundsMs),
  ];
}

function silenceOf(side: string, { readings, silent }: SideAnswer): string[] {
  const [first] = silent.values();
  if (first === undefined) return [];
  return [`${side}: ${silent.size} of ${silent.size + readings.size} tell nothing: ${first}`];
}

function absenceOf(side: string, { readings, silent, resting }: SideAnswer): string[] {
  if (readings.size > 0 || silent.size > 0) return [];
  return [`${side}: ${resting.size === 0 ? "there is nobody to ask" : "no pod is ready, and none answers"}`];
}

function missingOf({ canary, stable }: Answer, weightBps: number): string[] {
  const everywhere = missingIn([canary, stable]);
  if (everywhere.length > 0) return everywhere.map((name) => `nobody has the metric ${name}`);
  return weightBps === 0 ? [] : missingIn([canary]).map((name) => `canary: has not counted ${name} yet`);
}

/** Metrics that no process of these has. */
function missingIn(sides: readonly SideAnswer[]): string[] {
  const [first, ...others] = sides.flatMap(({ readings }) => [...readings.values()]);
  return (first?.missing ?? []).filter((name) => others.every(({ missing }) => missing.includes(name)));
}

function boundsTroubleOf({ canary, stable }: Answer, boundsMs: readonly number[] | undefined): string[] {
  const [ofCanary, ofStable] = [histogramsOf(canary), histogramsOf(stable)];
  if (boundsMs === undefined) {
    const haveBoth = ofCanary.length > 0 && ofStable.length > 0;
    return haveBoth ? ["the latency histograms of both versions have no bound in common"] : [];
  }
  const lacks = (side: string, of: typeof ofCanary): string[] =>
    of.every((histogram) => project(histogram, boundsMs) !== undefined)
      ? []
      : [`${side}: the latency histogram lacks a bound that the run began with`];
  return [...lacks("canary", ofCanary), ...lacks("stable", ofStable)];
}
