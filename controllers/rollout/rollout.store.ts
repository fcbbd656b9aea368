/** The record of the release under way, in ConfigMap `<name>-run`: what another leader goes on with, and what is replayed later. */
import type { RolloutRun } from "../../crds/rollout-run.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { createThrottle } from "../../operator/runtime/throttle.ts";
import type { ReconcileContext } from "../../operator/runtime/types.ts";
import type { RunRecord } from "./rollout.observe.ts";
import type { Standing } from "./sampling/release.ts";
import { decodeRun, encodeRun, RUN_DATA_KEY } from "./sampling/run.store.ts";

/** A record that says nothing new but more counts is written at most this often: so much evidence a crash may cost. */
const RECORD_INTERVAL_SECONDS = 30;

/** The same record is tried again after this time, when it, or another step beside it, has failed: it may be large. */
const RETRY_SECONDS = 10;

export interface RunRecorder {
  /** The record as it is to be, when it is time to write it. @param uid of the Rollout */
  due(uid: string, standing: Standing | undefined, clock: Clock): RunRecord | undefined;
  /** It was written. One that was not is due again soon. */
  written(uid: string, record: RunRecord, clock: Clock): void;
}

/** Writes when the verdict changes, and with that before every step of a release, else now and then. */
export function createRunRecorder(): RunRecorder {
  const written = createThrottle<string>(RECORD_INTERVAL_SECONDS);
  const tried = createThrottle<string>(RETRY_SECONDS);
  return {
    due: (uid, standing, clock) => {
      if (standing === undefined || standing.run.rows.length === 0) return undefined;
      const { revision, verdict, failure } = standing;
      const news = [revision, verdict?.verdict, verdict?.reason, failure?.reason].join(" ");
      if (written.last(uid, clock) === news || tried.last(uid, clock) === news) return undefined;
      tried.mark(uid, clock, news);
      return { news, data: { [RUN_DATA_KEY]: encodeRun(standing.run) }, rows: standing.run.rows.length };
    },
    written: (uid, { news }, clock) => written.mark(uid, clock, news),
  };
}

/** Where a record is. */
interface RecordPlace {
  readonly namespace: string;
  readonly record: string;
}

/**
 * What an earlier leader has recorded of this run. It is asked for once a run, and never fails: without it the release is judged
 * from here on, which costs time and no safety, for what was decided is in status and route.
 */
export async function recordedRun(
  { revision, ...place }: RecordPlace & { readonly revision: string },
  context: Pick<ReconcileContext, "live" | "log" | "signal">,
): Promise<RolloutRun | undefined> {
  const run = await lastRun(place, context);
  return run?.revision === revision ? run : undefined;
}

/** The record of the last release, whichever; none where it cannot be had. */
export async function lastRun(
  { namespace, record }: RecordPlace,
  { live, log, signal }: Pick<ReconcileContext, "live" | "log" | "signal">,
): Promise<RolloutRun | undefined> {
  try {
    const { items } = await live.list(RESOURCES.ConfigMap, {
      namespace,
      fieldSelector: `metadata.name=${record}`,
      signal,
    });
    const text = items[0]?.data?.[RUN_DATA_KEY];
    if (text === undefined) return undefined;
    const { run, reason } = decodeRun(text);
    if (run === undefined) log.warn({ record, reason }, "the record of a release cannot be read");
    return run;
  } catch (error) {
    if (!isOperatorError(error)) throw error;
    log.warn({ record, code: error.code, error: error.message }, "the record of a release cannot be asked for");
    return undefined;
  }
}
