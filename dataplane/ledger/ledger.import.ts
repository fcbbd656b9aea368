/**
 * Posts the checked rows of a file to a ledger, as often as it takes and not once more.
 *
 * Rows go to their shard in the order of the file, one batch in flight a shard. Each row's key comes from its id, so a
 * batch whose answer was lost is simply sent again, and a second run finds everything done. From the first row of a
 * batch that has no answer yet, the rest of the batch is sent again too: a later row must not overtake it.
 *
 * A refusal that hangs on a balance is final for its key. With `retry`, a row whose key was refused earlier is sent under
 * the key of the next attempt, and so on to the first that was not refused: whoever walks this way stops at the one
 * attempt that was posted, so that no row is posted twice.
 */
import { backoffMs } from "../../lib/core/backoff.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { type ErrorCode, OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { parseShardMap, type ShardMap } from "../../lib/core/shard-map.ts";
import { shardOf } from "./account-locator.ts";
import { ATTEMPTS_MAX, type RowKeys } from "./import/row-keys.ts";
import type { BrokenRow, CsvRow, ParsedRow } from "./import/rows.ts";
import { STORED_REFUSALS } from "./ledger.decider.ts";
import { answerError, type LedgerClient } from "./ledger-client.ts";
import { externalAccount } from "./ledger-state.ts";

export interface ImportOptions {
  readonly client: Pick<LedgerClient, "send">;
  readonly rows: Iterable<ParsedRow>;
  readonly keys: RowKeys;
  readonly asset: string;
  /** Whether rows that were refused for good are tried again, under another key. */
  readonly retry: boolean;
  readonly batchSize: number;
  /** Without an answered row for this long the import gives up. */
  readonly timeoutSeconds: number;
  readonly clock: Clock;
  /** A row was refused, or cannot be read; in no particular order. */
  readonly onReject: (rejected: BrokenRow) => void;
  readonly onProgress?: (progress: ImportProgress) => void;
}

/** Figures so far. */
export interface ImportProgress {
  readonly rows: number;
}

/** Figures of one shard. */
export interface ShardSummary {
  readonly shard: number;
  posted: number;
  alreadyThere: number;
  rejected: number;
  /** Longest time from the sending of a batch to its answer, with every attempt in between. */
  longestPauseSeconds: number;
}

export interface ImportSummary {
  /** Rows of the file. */
  readonly rows: number;
  readonly posted: number;
  readonly alreadyThere: number;
  readonly rejected: Readonly<Record<string, number>>;
  readonly shards: readonly ShardSummary[];
  readonly seconds: number;
  readonly rowsPerSecond: number;
  readonly longestPauseSeconds: number;
}

/** Batches that may wait for a shard before reading stops. */
const BATCHES_WAITING_MAX = 4;
const RETRY = { baseMs: 100, capMs: 2_000 };
/** Failures that heal by themselves; everything else ends the import. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set([
  "OUTCOME_UNKNOWN",
  "OVERLOADED",
  "WRITER_UNAVAILABLE",
  "SHARD_UNAVAILABLE",
  "SHARD_DISK_FULL",
  "SHARD_MAP_STALE",
  "SHUTTING_DOWN",
  "FENCED",
  "INTERNAL",
  "KUBE_UNREACHABLE",
  "LEDGER_NOT_READY",
]);

interface BulkAnswer {
  readonly items: readonly {
    readonly status: number;
    readonly replayed?: boolean;
    readonly code?: ErrorCode;
    readonly detail?: string;
  }[];
}

/** @throws OperatorError of the last attempt after `timeoutSeconds` without progress, or of the first that cannot heal */
export async function importRows(options: ImportOptions): Promise<ImportSummary> {
  const { clock } = options;
  const startedAt = clock.monotonic();
  const run: Run = { options, progressAt: startedAt, stopped: undefined, wake: new Set() };
  const map = await readMap(run);
  const lanes = new Map<number, Lane>();
  const rejected: Record<string, number> = {};
  let rows = 0;
  const reject = (broken: BrokenRow): void => {
    rejected[broken.code] = (rejected[broken.code] ?? 0) + 1;
    options.onReject(broken);
  };
  const laneOf = (shard: number): Lane => {
    const found = lanes.get(shard);
    if (found !== undefined) return found;
    const summary = { shard, posted: 0, alreadyThere: 0, rejected: 0, longestPauseSeconds: 0 };
    const lane: Lane = { summary, waiting: [], ended: false, sending: Promise.resolve() };
    lanes.set(shard, lane);
    lane.sending = sendLane(run, lane, reject).catch((error: unknown) => stop(run, error));
    return lane;
  };

  try {
    for (const parsed of options.rows) {
      if (run.stopped !== undefined) break;
      rows += 1;
      options.onProgress?.({ rows });
      if ("broken" in parsed) {
        reject(parsed.broken);
        continue;
      }
      const lane = laneOf(shardOf(map, parsed.row.account));
      lane.waiting.push({ row: parsed.row, attempt: 1 });
      if (lane.waiting.length % options.batchSize === 0) notify(run);
      await roomIn(run, lane);
    }
  } catch (error) {
    stop(run, error);
  }
  for (const lane of lanes.values()) lane.ended = true;
  notify(run);
  await Promise.all([...lanes.values()].map((lane) => lane.sending));
  if (run.stopped !== undefined) throw run.stopped;
  return summarize({ rows, rejected, lanes: [...lanes.values()], seconds: (clock.monotonic() - startedAt) / 1000 });
}

interface Run {
  readonly options: ImportOptions;
  /** Monotonic time of the last answered row. */
  progressAt: number;
  stopped: OperatorError | undefined;
  readonly wake: Set<() => void>;
}

/** A row on its way, at its first attempt or a later one. */
interface Sent {
  readonly row: CsvRow;
  readonly attempt: number;
}

/** The rows of one shard on their way. */
interface Lane {
  readonly summary: ShardSummary;
  waiting: Sent[];
  ended: boolean;
  sending: Promise<void>;
}

function stop(run: Run, error: unknown): void {
  run.stopped ??= toOperatorError(error);
  notify(run);
}

function notify(run: Run): void {
  for (const wake of run.wake) wake();
  run.wake.clear();
}

function changed(run: Run): Promise<void> {
  return new Promise((resolve) => run.wake.add(resolve));
}

async function roomIn(run: Run, lane: Lane): Promise<void> {
  while (lane.waiting.length >= run.options.batchSize * BATCHES_WAITING_MAX && run.stopped === undefined) {
    await changed(run);
  }
}

async function sendLane(run: Run, lane: Lane, reject: (broken: BrokenRow) => void): Promise<void> {
  const { batchSize, clock } = run.options;
  while (run.stopped === undefined) {
    if (lane.waiting.length < batchSize && !lane.ended) {
      await changed(run);
      continue;
    }
    const batch = lane.waiting.splice(0, batchSize);
    if (batch.length === 0) return;
    notify(run);
    const sentAt = clock.monotonic();
    await sendBatch(run, batch, { lane, reject });
    const pause = (clock.monotonic() - sentAt) / 1000;
    lane.summary.longestPauseSeconds = Math.max(lane.summary.longestPauseSeconds, pause);
  }
}

/** Sends a batch until each of its rows has a final answer. */
async function sendBatch(
  run: Run,
  batch: readonly Sent[],
  to: { lane: Lane; reject: (broken: BrokenRow) => void },
): Promise<void> {
  for (let round = batch; round.length > 0; ) {
    const again: Sent[] = [];
    let rest = round;
    for (let attempt = 0; rest.length > 0 && run.stopped === undefined; ) {
      const failure = await attemptBatch(run, rest);
      const done = failure.answered.length;
      for (const [index, answer] of failure.answered.entries()) {
        const sent = rest[index] as Sent;
        if (isTriedAgain(run, sent, answer)) again.push({ row: sent.row, attempt: sent.attempt + 1 });
        else note(to, sent.row, answer);
      }
      rest = rest.slice(done);
      if (done > 0) {
        run.progressAt = run.options.clock.monotonic();
        attempt = 0;
      }
      if (failure.error !== undefined) await pauseBeforeRetry(run, failure.error, attempt++);
    }
    round = again;
  }
}

/** An old refusal is walked past; a new one is the answer. */
function isTriedAgain(run: Run, { attempt }: Sent, { code, replayed }: BulkAnswer["items"][number]): boolean {
  return run.options.retry && replayed === true && code !== undefined && isFinal(code) && attempt < ATTEMPTS_MAX;
}

interface Attempt {
  /** Final answers of the first rows. */
  readonly answered: BulkAnswer["items"];
  /** Why the next row has none. */
  readonly error?: OperatorError;
}

async function attemptBatch(run: Run, rows: readonly Sent[]): Promise<Attempt> {
  const { client } = run.options;
  try {
    const body = JSON.stringify({ createAccounts: true, items: rows.map((sent) => toTransfer(sent, run.options)) });
    const answer = await client.send("POST", "/v1/transfers:bulk", { body });
    const error = answerError(answer);
    if (error !== undefined) return { answered: [], error };
    const { items } = answer.json<BulkAnswer>();
    const first = items.findIndex(({ code }) => code !== undefined && TRANSIENT.has(code));
    if (first < 0) return { answered: items };
    const { code, detail } = items[first] as { code: ErrorCode; detail: string };
    return { answered: items.slice(0, first), error: new OperatorError(code, detail) };
  } catch (error) {
    return { answered: [], error: toOperatorError(error) };
  }
}

function toTransfer({ row, attempt }: Sent, { asset, keys }: ImportOptions): object {
  const external = externalAccount(asset);
  return {
    id: keys.keyOf(row.id, attempt),
    debitAccount: row.direction === "credit" ? external : row.account,
    creditAccount: row.direction === "credit" ? row.account : external,
    amount: row.amount,
    asset,
    effectiveAt: row.date,
    metadata: row.details,
  };
}

function note(
  to: { lane: Lane; reject: (broken: BrokenRow) => void },
  row: CsvRow,
  answer: BulkAnswer["items"][number],
): void {
  const { summary } = to.lane;
  if (answer.status === 201) summary.posted += 1;
  else if (answer.status === 200) summary.alreadyThere += 1;
  else {
    summary.rejected += 1;
    const { line, id, fields } = row;
    to.reject({ line, id, fields, code: answer.code ?? "INTERNAL", reason: reasonOf(answer) });
  }
}

/** The ledger keeps such an answer for ever under its key. */
export function isFinal(code: string): boolean {
  return (STORED_REFUSALS as readonly string[]).includes(code);
}

function reasonOf({ code, detail = "" }: BulkAnswer["items"][number]): string {
  return code !== undefined && isFinal(code)
    ? `${detail}; this answer is final for the id, --retry tries again`
    : detail;
}

async function pauseBeforeRetry(run: Run, error: OperatorError, attempt: number): Promise<void> {
  const { clock, timeoutSeconds } = run.options;
  if (!TRANSIENT.has(error.code)) throw error;
  const silentMs = clock.monotonic() - run.progressAt;
  if (silentMs >= timeoutSeconds * 1000) {
    throw new OperatorError(error.code, `no row was answered for ${timeoutSeconds} s; last: ${error.message}`, {
      cause: error,
    });
  }
  await clock.sleep(Math.min(backoffMs(attempt, RETRY), (error.retryAfterSeconds ?? 1) * 1000));
}

async function readMap(run: Run): Promise<ShardMap> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const answer = await run.options.client.send("GET", "/v1/shards");
      const error = answerError(answer);
      if (error !== undefined) throw error;
      const { mapVersion, owners } = answer.json<{ mapVersion: number; owners: string }>();
      return parseShardMap({ version: String(mapVersion), epoch: "1", owners });
    } catch (error) {
      await pauseBeforeRetry(run, toOperatorError(error), attempt);
    }
  }
}

function summarize(found: {
  rows: number;
  rejected: Record<string, number>;
  lanes: readonly Lane[];
  seconds: number;
}): ImportSummary {
  const shards = found.lanes.map(({ summary }) => summary).sort((a, b) => a.shard - b.shard);
  const sum = (figure: (shard: ShardSummary) => number): number =>
    shards.reduce((total, shard) => total + figure(shard), 0);
  return {
    rows: found.rows,
    posted: sum((shard) => shard.posted),
    alreadyThere: sum((shard) => shard.alreadyThere),
    rejected: found.rejected,
    shards,
    seconds: found.seconds,
    rowsPerSecond: found.rows / Math.max(found.seconds, 1e-6),
    longestPauseSeconds: Math.max(0, ...shards.map((shard) => shard.longestPauseSeconds)),
  };
}
