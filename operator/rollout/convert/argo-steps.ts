/** Steps of a canary of Argo Rollouts as a ladder. */
import { WHOLE_BPS } from "../../../crds/rollout-ladder.ts";
import { type Gate, gateOf, type Templates } from "./argo-analysis.ts";
import type { Entry } from "./documents.ts";
import { secondsOf } from "./durations.ts";
import { listOf } from "./frame.ts";
import { type StageDraft, stricter } from "./ladder.ts";
import type { Path } from "./reading.ts";

const CANARY: Path = ["spec", "strategy", "canary"];

/** The stages, and the names of counters that the analyses of the steps tell. */
export interface Steps {
  readonly drafts: readonly StageDraft[];
  readonly metrics: object | undefined;
}

/** @param background limit of the analysis that runs beside all steps from a step on */
export function stagesOfSteps(
  entry: Entry,
  templates: Templates,
  background: { readonly gate: Gate; readonly startingStep: number },
): Steps {
  const { reading } = entry;
  const drafts: StageDraft[] = [];
  let metrics = background.gate.metrics;
  const whole = maxWeightOf(entry);
  listOf(reading.peek([...CANARY, "steps"])).forEach((step, index) => {
    const path: Path = [...CANARY, "steps", index];
    const members = Object.keys(step ?? {});
    if (members.includes("setWeight")) addStage(entry, { path: [...path, "setWeight"], drafts, whole });
    const present = drafts.at(-1);
    if (members.includes("pause")) pauseAt(entry, [...path, "pause"], present);
    if (members.includes("analysis")) {
      const gate = analyseAt(entry, [...path, "analysis"], { present, templates });
      metrics = metrics ?? gate?.metrics;
    }
    const limit = index >= background.startingStep ? background.gate.maxErrorRateBps : undefined;
    const last = drafts.at(-1);
    if (last !== undefined) last.maxErrorRateBps = stricter(last.maxErrorRateBps, limit);
  });
  return { drafts, metrics };
}

function maxWeightOf({ reading }: Entry): number {
  const value = reading.use([...CANARY, "trafficRouting", "maxTrafficWeight"]);
  return typeof value === "number" && value > 0 ? value : 100;
}

interface Stages {
  readonly path: Path;
  readonly drafts: StageDraft[];
  /** Weight that is all requests. */
  readonly whole: number;
}

function addStage({ reading }: Entry, { path, drafts, whole }: Stages): void {
  const weight = Number(reading.peek(path));
  const weightBps = Math.round((weight * WHOLE_BPS) / whole);
  const before = drafts.at(-1)?.weightBps ?? 0;
  if (!(weightBps >= 1 && weightBps <= WHOLE_BPS)) {
    reading.drop(
      path,
      "a stage gives the new version a share above 0 and up to 100 %",
      "spec.paused: true holds a release before its first stage",
    );
  } else if (weightBps < before) {
    reading.drop(path, "weights only rise from stage to stage; a release that is bad goes back as a whole");
  } else {
    reading.use(path);
    if (weightBps > before) drafts.push({ weightBps, holdSeconds: 0, approval: false, maxErrorRateBps: undefined });
  }
}

const BEFORE_FIRST = "spec.paused: true holds a release before its first stage";

function pauseAt({ reading }: Entry, path: Path, present: StageDraft | undefined): void {
  const duration = reading.peek([...path, "duration"]);
  const seconds = secondsOf(duration);
  if (present === undefined) return reading.drop(path, "there is no stage before the first weight", BEFORE_FIRST);
  if (duration !== undefined && seconds === undefined) return reading.drop(path, "its duration cannot be read");
  if (duration === undefined || seconds === 0) {
    present.approval = true;
    return reading.change(path, "the stage waits for 'shieldx rollout promote' once it has passed (approval)");
  }
  present.holdSeconds += seconds ?? 0;
  reading.change(
    path,
    "the stage is held so long at most (holdSeconds): it passes earlier when the new version is shown to be good enough",
  );
}

function analyseAt(
  entry: Entry,
  path: Path,
  { present, templates }: { readonly present: StageDraft | undefined; readonly templates: Templates },
): Gate | undefined {
  if (present === undefined) {
    entry.reading.drop(path, "nothing is judged before the new version gets requests", BEFORE_FIRST);
    return undefined;
  }
  const gate = gateOf(entry, path, templates);
  present.maxErrorRateBps = stricter(present.maxErrorRateBps, gate.maxErrorRateBps);
  present.holdSeconds += gate.seconds;
  return gate;
}
