import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { rolloutRun } from "../../../crds/rollout-run.ts";
import { replay } from "../judge/replay.ts";
import { taskOf } from "../testing/counting-pods.ts";
import { sideOf } from "./answer.ts";
import type { Reading } from "./reading.ts";
import { beginRelease, enterPlace, type Release, takeAnswer } from "./release.ts";
import type { SampleTask } from "./task.ts";

// Goal: whatever restarts, vanishes, falls silent or moves, nothing is counted that was not answered; and while nothing of the
// kind happens, nothing is lost.

const BOUNDS = [100, 500];

/** What happens to one of the pods, or to the release, between two samples. */
type Event =
  | {
      readonly type: "serve";
      readonly pod: number;
      readonly requests: number;
      readonly errors: number;
      readonly slow: number;
    }
  | { readonly type: "restart" | "silence" | "vanish"; readonly pod: number }
  | { readonly type: "move"; readonly stage: number; readonly weightBps: number }
  | { readonly type: "sample"; readonly afterMs: number; readonly wallJumpMs: number };

interface Pod {
  readonly side: "canary" | "stable";
  readonly name: string;
  counted: { requests: number; errors: number; slow: number };
  answered: { requests: number; errors: number; slow: number };
  isSilent: boolean;
  isGone: boolean;
}

const NOTHING = { requests: 0, errors: 0, slow: 0 };

function world() {
  const pods = Array.from({ length: 4 }, (_, index): Pod => {
    const side = index % 2 === 0 ? "canary" : "stable";
    // They have a life behind them.
    const counted = { requests: 1_000 * index, errors: 500 * index, slow: 300 * index };
    return { side, name: `pod-${index}`, counted, answered: { ...NOTHING }, isSilent: false, isGone: false };
  });
  const readingOf = ({ counted: { requests, errors, slow } }: Pod): Reading => ({
    counters: { requests, errors },
    ...(requests === 0 ? {} : { histogram: { boundsMs: BOUNDS, upTo: [requests - slow, requests] } }),
    missing: [],
  });
  const sideAnswer = (side: Pod["side"]) => {
    const there = pods.filter((pod) => pod.side === side && !pod.isGone);
    return sideOf(there.map((pod) => [pod.name, pod.isSilent ? `pod ${pod.name}: silent` : readingOf(pod)]));
  };
  return { pods, answer: () => ({ canary: sideAnswer("canary"), stable: sideAnswer("stable") }) };
}

function add(to: Pod["counted"], more: Pod["counted"]): Pod["counted"] {
  return { requests: to.requests + more.requests, errors: to.errors + more.errors, slow: to.slow + more.slow };
}

/** The release after the events, and what its pods answered since its first sample. */
function tell(events: readonly Event[]): { readonly release: Release; readonly pods: readonly Pod[] } {
  const { pods, answer } = world();
  const clock = { wallMs: 1_735_689_600_000, monotonicMs: 0 };
  let task: SampleTask = taskOf({ canary: [], stable: [] });
  let release = takeAnswer(beginRelease(task, undefined), answer(), clock);
  for (const event of events) {
    if (event.type === "sample") {
      clock.wallMs += event.afterMs + event.wallJumpMs;
      clock.monotonicMs += event.afterMs;
      release = takeAnswer(release, answer(), { ...clock });
    } else if (event.type === "move") {
      task = { ...task, stage: event.stage, weightBps: event.weightBps };
      release = enterPlace(release, task);
    } else happen(pods[event.pod] as Pod, event);
  }
  return { release, pods };
}

function happen(pod: Pod, event: Exclude<Event, { type: "move" | "sample" }>): void {
  if (event.type === "serve") {
    pod.counted = add(pod.counted, event);
    pod.answered = add(pod.answered, event);
  } else if (event.type === "restart") pod.counted = { ...NOTHING };
  else if (event.type === "silence") pod.isSilent = !pod.isSilent;
  else pod.isGone = !pod.isGone;
}

function sums({ release, pods }: ReturnType<typeof tell>, side: Pod["side"]) {
  const rows = release.open.run.rows.map((row) => row[side] ?? { requests: 0, errors: 0 });
  const counted = {
    requests: rows.reduce((sum, { requests }) => sum + requests, 0),
    errors: rows.reduce((sum, { errors }) => sum + errors, 0),
    slow: rows.reduce((sum, { latency = [] }) => sum + (latency[1] ?? 0) + (latency[2] ?? 0), 0),
  };
  const answered = pods.filter((pod) => pod.side === side).reduce((sum, pod) => add(sum, pod.answered), NOTHING);
  return { counted, answered };
}

const pod = fc.nat(3);
const serve = fc
  .record({ pod, requests: fc.nat(50), errors: fc.nat(50), slow: fc.nat(50) })
  .map(({ requests, errors, slow, ...of }): Event => {
    return { type: "serve", ...of, requests, errors: Math.min(errors, requests), slow: Math.min(slow, requests) };
  });
const sample = (wallJumpMs: fc.Arbitrary<number>) =>
  fc
    .record({ afterMs: fc.integer({ min: 0, max: 60_000 }), wallJumpMs })
    .map((of): Event => ({ type: "sample", ...of }));
const trouble = fc.record({ type: fc.constantFrom("restart" as const, "silence" as const, "vanish" as const), pod });
const move = fc
  .record({ stage: fc.nat(4), weightBps: fc.constantFrom(0, 100, 500) })
  .map((of): Event => ({ type: "move", ...of }));

describe("a release", () => {
  it("never counts more than was answered, and stays a run that is read and tells the same again", () => {
    const jump = fc.oneof(fc.constant(0), fc.integer({ min: -1e7, max: 1e7 }));
    const event = fc.oneof({ weight: 4, arbitrary: serve }, { weight: 4, arbitrary: sample(jump) }, trouble, move);
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80, size: "max" }), (events) => {
        const told = tell(events);
        for (const side of ["canary", "stable"] as const) {
          const { counted, answered } = sums(told, side);
          expect(counted.requests).toBeLessThanOrEqual(answered.requests);
          expect(counted.errors).toBeLessThanOrEqual(answered.errors);
          expect(counted.slow).toBeLessThanOrEqual(answered.slow);
        }
        const { run } = told.release.open;
        expect(rolloutRun.safeParse(JSON.parse(JSON.stringify(run))).error?.issues).toBeUndefined();
        expect(replay(run).rows.filter(({ differs }) => differs)).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  it("counts all that was answered while nothing happens", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(serve, sample(fc.constant(0))), { maxLength: 60, size: "max" }), (events) => {
        const told = tell([...events, { type: "sample", afterMs: 5_000, wallJumpMs: 0 }]);
        for (const side of ["canary", "stable"] as const) {
          const { counted, answered } = sums(told, side);
          expect(counted).toEqual(answered);
        }
      }),
      { numRuns: 100 },
    );
  });
});
