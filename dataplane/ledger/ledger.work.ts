/** What waits for the writer of a shard, and how it is answered. */
import type { ErrorCode, OperatorError } from "../../lib/core/errors.ts";
import type { TransferRequest } from "./fingerprint.ts";

/** Status of one transfer or claim of a group. */
export const RESULT = { open: 0, posted: 1, refused: 2, failed: 3, claimed: 4 } as const;

/** Answers of a group of transfers, one column a figure: no object per transfer on the way. */
export interface TransferResults {
  /** One of RESULT. */
  readonly status: Uint8Array;
  /** 1 when the answer is that of an earlier request with the same key. */
  readonly replayed: Uint8Array;
  /** Of a claimed key: the shard that it is claimed for. */
  readonly position: Float64Array;
  readonly debitBalance: Float64Array;
  readonly creditBalance: Float64Array;
  readonly recordedAtMicros: Float64Array;
  /** Why, for `refused` (final: the same for ever) and `failed` (send it again). */
  readonly problems: Map<number, TransferProblem>;
}

export interface TransferProblem {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** Columns for `count` transfers, all open. */
export function emptyResults(count: number): TransferResults {
  return {
    status: new Uint8Array(count),
    replayed: new Uint8Array(count),
    position: new Float64Array(count),
    debitBalance: new Float64Array(count),
    creditBalance: new Float64Array(count),
    recordedAtMicros: new Float64Array(count),
    problems: new Map(),
  };
}

/** The same answers in columns of their own. */
export function copyResults(results: TransferResults): TransferResults {
  return {
    status: results.status.slice(),
    replayed: results.replayed.slice(),
    position: results.position.slice(),
    debitBalance: results.debitBalance.slice(),
    creditBalance: results.creditBalance.slice(),
    recordedAtMicros: results.recordedAtMicros.slice(),
    problems: new Map(results.problems),
  };
}

/** Sets the answer of one transfer to a refusal or failure. */
export function setProblem(
  results: TransferResults,
  index: number,
  problem: TransferProblem & { status: 2 | 3; replayed?: boolean },
): void {
  results.status[index] = problem.status;
  results.replayed[index] = problem.replayed === true ? 1 : 0;
  results.problems.set(index, { code: problem.code, detail: problem.detail });
}

/** Copies the answer of one transfer for a request with the same key. */
export function replayResult(
  to: TransferResults,
  index: number,
  from: { results: TransferResults; index: number },
): void {
  const { results } = from;
  to.status[index] = results.status[from.index] as number;
  to.replayed[index] = 1;
  to.position[index] = results.position[from.index] as number;
  to.debitBalance[index] = results.debitBalance[from.index] as number;
  to.creditBalance[index] = results.creditBalance[from.index] as number;
  to.recordedAtMicros[index] = results.recordedAtMicros[from.index] as number;
  const problem = results.problems.get(from.index);
  if (problem !== undefined) to.problems.set(index, problem);
}

/** What is decided one by one, in order, and answered together. */
interface GroupWork {
  /** How many there are. */
  readonly count: number;
  /** Keys and fingerprints, `IDENTITY_BYTES` each. */
  readonly identities: Buffer;
  /** Version of the shard map that led here. */
  readonly mapVersion: number;
  /** As decided; other commands with the same keys read them here, whatever this sender was told. */
  readonly results: TransferResults;
  /** Monotonic time after which the sender is answered, whatever is known. */
  readonly deadlineAt: number;
  /** Commands before this one are in a batch. */
  next: number;
  /** Commands before this one have a durable answer. */
  settled: number;
  /** A part was sent to the database at least once: its outcome may be unknown. */
  tried: boolean;
  /** The sender was answered already. */
  closed: boolean;
  readonly close: (told: TransferResults) => void;
}

/** A group of transfers of one request, in order. */
export interface TransferWork extends GroupWork {
  readonly type: "transfers";
  readonly requests: readonly TransferRequest[];
  /** Opens accounts that do not exist, with limit 0 and the id as placement key. */
  readonly createAccounts: boolean;
  /** Id of the API key that sent it. */
  readonly actor: string | undefined;
  /** By request: 1 when another shard owns the key, and has it claimed for this one. None where all keys are this shard's. */
  readonly foreign: Uint8Array | undefined;
}

/** Keys of this shard that transfers on other shards want to use. */
export interface ClaimWork extends GroupWork {
  readonly type: "claims";
  /** By key: the shard that may use it. */
  readonly shards: Int16Array;
  /** By key: the bucket that it falls into. */
  readonly buckets: Int16Array;
}

/** What an account is opened with, or where it is to be looked for. */
export interface AccountRequest {
  /** `account`: on the shard of its placement key. `pointer`: on the shard of its id. */
  readonly role: "account" | "pointer";
  readonly extId: string;
  readonly placementKey: string;
  readonly asset: string;
  readonly floor: number;
}

export interface AccountOutcome {
  /** False when the account was there with the same properties. */
  readonly created: boolean;
}

/** One account to open. */
export interface AccountWork {
  readonly type: "account";
  readonly request: AccountRequest;
  readonly mapVersion: number;
  readonly deadlineAt: number;
  /** What was decided; told to the sender after COMMIT. */
  outcome: AccountOutcome | OperatorError | undefined;
  tried: boolean;
  closed: boolean;
  readonly close: (outcome: AccountOutcome | OperatorError) => void;
}

/** Works whose commands have keys. */
export type KeyedWork = TransferWork | ClaimWork;

export type Work = KeyedWork | AccountWork;

/** A run of one work's commands that went into one batch. */
export interface Segment {
  readonly work: Work;
  readonly from: number;
  readonly to: number;
}

/** First in, first out, with a way back to the front for what has to be decided again. */
export interface WorkQueue {
  push(work: Work): void;
  /** The first work; it stays until `shift`. */
  peek(): Work | undefined;
  shift(): void;
  /** Puts segments back before everything else, in their order. */
  requeue(segments: readonly Segment[]): void;
  /** Commands that wait. */
  size(): number;
  /** Corrects the count after part of the first work was taken. */
  taken(commands: number): void;
  /** Every waiting work, for deadlines and the end. */
  all(): readonly Work[];
  /** Drops what was answered meanwhile. */
  sweep(): void;
}

/** Commands of a work that are not in a batch yet. */
function waiting(work: Work): number {
  return work.type === "account" ? 1 : work.count - work.next;
}

/** A queue in an array whose front moves; it is compacted when half of it is gone. */
export function createWorkQueue(): WorkQueue {
  let works: Work[] = [];
  let front = 0;
  let commands = 0;
  return {
    push: (work) => {
      works.push(work);
      commands += waiting(work);
    },
    peek: () => works[front],
    shift: () => {
      front += 1;
      if (front > 64 && front * 2 > works.length) {
        works = works.slice(front);
        front = 0;
      }
    },
    requeue: (segments) => {
      // A set keeps its order of insertion.
      const back = new Set<Work>();
      for (const { work, from } of segments) {
        if (work.closed || back.has(work)) continue;
        if (work.type === "account") work.outcome = undefined;
        else work.next = Math.min(work.next, from);
        back.add(work);
      }
      // The last of them may still be in front, with its rest.
      const rest = works.slice(front).filter((work) => !back.has(work));
      works = [...back, ...rest];
      front = 0;
      commands = works.reduce((sum, work) => sum + waiting(work), 0);
    },
    size: () => commands,
    taken: (count) => {
      commands -= count;
    },
    all: () => works.slice(front),
    sweep: () => {
      works = works.slice(front).filter((work) => !work.closed);
      front = 0;
      commands = works.reduce((sum, work) => sum + waiting(work), 0);
    },
  };
}
