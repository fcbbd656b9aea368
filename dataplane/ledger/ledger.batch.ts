/**
 * Makes one batch of what waits: first the commands are taken and their keys looked up, then all are decided at once. What
 * the earlier use of a key means is in batch-keys.ts. Pure but for the results it fills in.
 */
import { assertNever } from "../../lib/core/assert.ts";
import { type ErrorCode, OperatorError } from "../../lib/core/errors.ts";
import {
  type EarlierKeys,
  type KeyedCommand,
  keyText,
  meetEarlier,
  noKeys,
  type PendingKeys,
  rememberKey,
  setClaimed,
} from "./batch-keys.ts";
import { IDENTITY_BYTES, type TransferRequest } from "./fingerprint.ts";
import { RECORD_BYTES } from "./journal-codec.ts";
import type { KeyFilter } from "./key-filter.ts";
import { keyBucket } from "./key-owner.ts";
import type { StoredOutcome } from "./key-reads.ts";
import {
  beginDraft,
  type Draft,
  decideTransfer,
  fingerprintAt,
  keyAt,
  notePointer,
  openAccount,
  POSTED,
  REFUSALS,
  refusalCode,
  type SealedBlock,
  STORED_REFUSALS,
  sealDraft,
  type TransferCommand,
} from "./ledger.decider.ts";
import type { ActedRun, KeyClaim, Refusal } from "./ledger.store.ts";
import {
  type AccountOutcome,
  type AccountRequest,
  type ClaimWork,
  RESULT,
  type Segment,
  setProblem,
  type TransferWork,
  type WorkQueue,
} from "./ledger.work.ts";
import { isSystemAccount, type LedgerState } from "./ledger-state.ts";

/** Most commands of a batch: about 40 ms of work for the database, and 1 MiB of journal. */
export const BATCH_COMMANDS_MAX = 8_192;
/** Most bytes of journal, for commands with large metadata. */
export const BATCH_BYTES_MAX = 4 * 1024 * 1024;

/** Commands that go into one batch. */
export interface TakenBatch {
  readonly segments: readonly Segment[];
  readonly commands: number;
}

/** Takes commands from the front of the queue, up to the caps. */
export function takeBatch(queue: WorkQueue): TakenBatch {
  const segments: Segment[] = [];
  let commands = 0;
  let bytes = 0;
  for (let work = queue.peek(); work !== undefined && commands < BATCH_COMMANDS_MAX; work = queue.peek()) {
    if (work.closed) {
      queue.shift();
      continue;
    }
    if (work.type === "account") {
      segments.push({ work, from: 0, to: 1 });
      commands += 1;
      queue.shift();
      continue;
    }
    const from = work.next;
    let to = from;
    while (to < work.count && commands < BATCH_COMMANDS_MAX && bytes < BATCH_BYTES_MAX) {
      bytes += work.type === "claims" ? CLAIM_BYTES : commandBytes(work.requests[to] as TransferRequest);
      commands += 1;
      to += 1;
    }
    if (to > from) segments.push({ work, from, to });
    work.next = to;
    if (to < work.count) break;
    queue.shift();
  }
  queue.taken(commands);
  return { segments, commands };
}

/** Of a claim's row; it leaves nothing in the journal. */
const CLAIM_BYTES = 64;

function commandBytes(request: TransferRequest): number {
  return RECORD_BYTES + request.id.length + (request.metadata?.length ?? 0);
}

/** Keys that only the database can tell about. */
export function keysToLookUp(
  batch: TakenBatch,
  pending: readonly PendingKeys[],
  filter: KeyFilter | undefined,
): Buffer[] {
  const found: Buffer[] = [];
  for (const { work, from, to } of batch.segments) {
    if (work.type === "account") continue;
    for (let index = from; index < to; index += 1) {
      const offset = index * IDENTITY_BYTES;
      if (filter !== undefined && !filter.mayHave(work.identities, offset)) continue;
      const text = keyText(work.identities, offset);
      if (!pending.some((keys) => keys.slots.has(text))) found.push(keyAt(work.identities, offset));
    }
  }
  return found;
}

/** Everything that decides a batch besides the state. */
export interface BatchContext {
  readonly shard: number;
  readonly epoch: number;
  readonly nowMicros: number;
  readonly snapshotEvery: number;
  /** Keys of the batches that were not durable when the look-up began, oldest first. */
  readonly pending: readonly PendingKeys[];
  readonly stored: ReadonlyMap<string, StoredOutcome>;
  readonly filter: KeyFilter;
}

/** A decided batch on its way to the database. */
export interface DecidedBatch {
  readonly segments: readonly Segment[];
  readonly block: SealedBlock;
  readonly refusals: readonly Refusal[];
  readonly claims: readonly KeyClaim[];
  readonly acted: readonly ActedRun[];
  readonly keys: PendingKeys;
}

/** A batch that needs no COMMIT: replays, and refusals that bind nothing new. */
export function changesNothing({ block, refusals, claims }: DecidedBatch): boolean {
  return block.content === undefined && refusals.length === 0 && claims.length === 0;
}

/** Decides all commands of a batch in order. The results are filled in now and told after COMMIT. */
export function decideBatch(state: LedgerState, batch: TakenBatch, context: BatchContext): DecidedBatch {
  const draft = beginDraft(state, {
    capacity: batch.commands,
    snapshotEvery: context.snapshotEvery,
    nowMicros: context.nowMicros,
  });
  const { pending, stored, shard } = context;
  const earlier = { own: noKeys(), pending, stored, shard };
  const decision: Decision = { state, draft, context, earlier, refusals: [], claims: [], command: emptyCommand() };
  const acted: ActedRun[] = [];
  for (const { work, from, to } of batch.segments) {
    work.tried = true;
    if (work.type === "account") {
      work.outcome = decideAccount(draft, work.request);
      continue;
    }
    if (work.type === "claims") {
      for (let index = from; index < to; index += 1) decideClaim(decision, work, index);
      continue;
    }
    const before = state.position;
    for (let index = from; index < to; index += 1) decideOne(decision, work, index);
    noteActor(acted, work.actor, { first: before + 1, last: state.position });
  }
  const block = sealDraft(draft, { shard: context.shard, epoch: context.epoch });
  const { refusals, claims } = decision;
  return { segments: batch.segments, block, refusals, claims, acted, keys: earlier.own };
}

/** Notes whose events these are; those of one key that follow each other are one run. */
function noteActor(acted: ActedRun[], actor: string | undefined, run: { first: number; last: number }): void {
  if (actor === undefined || run.last < run.first) return;
  const before = acted.at(-1);
  if (before?.actor === actor && before.last + 1 === run.first) acted[acted.length - 1] = { ...before, last: run.last };
  else acted.push({ actor, ...run });
}

interface Decision {
  readonly state: LedgerState;
  readonly draft: Draft;
  readonly context: BatchContext;
  readonly earlier: EarlierKeys;
  readonly refusals: Refusal[];
  readonly claims: KeyClaim[];
  /** Reused for each transfer. */
  readonly command: TransferCommand;
}

function emptyCommand(): TransferCommand {
  return {
    debit: 0,
    credit: 0,
    amount: 0,
    effectiveAtMicros: Number.NaN,
    id: "",
    metadata: "",
    identities: Buffer.alloc(0),
    identityOffset: 0,
  };
}

function decideOne(decision: Decision, work: TransferWork, index: number): void {
  const { state } = decision;
  const keyed = { work, index, key: keyText(work.identities, index * IDENTITY_BYTES) };
  const meeting = meetEarlier(keyed, decision.earlier);
  if (meeting === "answered") return;
  const asked = { ...keyed, isBound: meeting === "bound" };

  const request = work.requests[index] as TransferRequest;
  let debit = findAccount(state, request.debitAccount);
  let credit = findAccount(state, request.creditAccount);
  if (debit <= 0 || credit <= 0) {
    const problem = openMissing(decision, work, { request, debit, credit });
    if (problem !== undefined) return refuse(decision, asked, problem);
    debit = findAccount(state, request.debitAccount);
    credit = findAccount(state, request.creditAccount);
  }
  const { command } = decision;
  command.debit = debit;
  command.credit = credit;
  command.amount = request.amount;
  command.effectiveAtMicros = request.effectiveAtMicros ?? Number.NaN;
  command.id = request.id;
  command.metadata = request.metadata ?? "";
  command.identities = work.identities;
  command.identityOffset = index * IDENTITY_BYTES;
  const outcome = isOtherAsset(state, request, debit) ? ASSET_MISMATCH : decideTransfer(decision.draft, command);
  if (outcome !== POSTED) return refuse(decision, asked, explain(state, request, { outcome, debit, credit }));

  const { results } = work;
  results.status[index] = RESULT.posted;
  results.replayed[index] = 0;
  results.position[index] = state.position;
  results.debitBalance[index] = state.posted[debit] as number;
  results.creditBalance[index] = state.posted[credit] as number;
  results.recordedAtMicros[index] = state.recordedAtMicros;
  remember(decision, asked, true);
}

/** Lends a key of this shard to the shard that asks for it. */
function decideClaim(decision: Decision, work: ClaimWork, index: number): void {
  const command = { work, index, key: keyText(work.identities, index * IDENTITY_BYTES) };
  if (meetEarlier(command, decision.earlier) === "answered") return;
  const shard = work.shards[index] as number;
  const bucket = work.buckets[index] as number;
  setClaimed(work.results, index, { shard, replayed: false });
  remember(decision, command, true);
  decision.claims.push(claimOf(command, { bucket, shard }));
}

function claimOf({ work, index }: KeyedCommand, given: { bucket: number; shard: number }): KeyClaim {
  const offset = index * IDENTITY_BYTES;
  return { key: keyAt(work.identities, offset), fingerprint: fingerprintAt(work.identities, offset), ...given };
}

/** A transfer that has no answer yet. */
interface Asked extends KeyedCommand {
  readonly work: TransferWork;
  /** Its payload is the key's already. */
  readonly isBound: boolean;
}

interface Problem {
  readonly code: ErrorCode;
  readonly detail: string;
}

const ASSET_MISMATCH = REFUSALS.indexOf("ASSET_MISMATCH") + 1;

/** Account number; 0 = there is none, -1 = it lives where its placement key leads. */
function findAccount(state: LedgerState, extId: string): number {
  return state.numbers.get(extId) ?? (state.pointers.has(extId) ? -1 : 0);
}

function isOtherAsset(state: LedgerState, request: TransferRequest, debit: number): boolean {
  return request.asset !== undefined && state.assets[state.asset[debit] as number] !== request.asset;
}

function remember(decision: Decision, command: KeyedCommand, isKept: boolean): void {
  rememberKey(decision.earlier.own, command, isKept);
  decision.context.filter.add(command.work.identities, command.index * IDENTITY_BYTES);
}

/**
 * Refusals that depend on a balance are kept for ever. The others follow from the payload and what exists, and are decided
 * anew each time; a key of this shard is bound to the payload all the same.
 */
function refuse(decision: Decision, command: Asked, problem: Problem): void {
  const { work, index } = command;
  const isStale = problem.code === "SHARD_MAP_STALE";
  setProblem(work.results, index, { status: isStale ? RESULT.failed : RESULT.refused, ...problem });
  if (isStale) return;
  const { id } = work.requests[index] as TransferRequest;
  const offset = index * IDENTITY_BYTES;
  if ((STORED_REFUSALS as readonly string[]).includes(problem.code)) {
    remember(decision, command, true);
    const [key, fingerprint] = [keyAt(work.identities, offset), fingerprintAt(work.identities, offset)];
    decision.refusals.push({ key, fingerprint, id, ...problem });
    return;
  }
  if (command.isBound || work.foreign?.[index] === 1) return;
  remember(decision, command, false);
  const bucket = keyBucket(id, work.identities, offset);
  decision.claims.push(claimOf(command, { bucket, shard: decision.context.shard }));
}

/** Opens what is missing where the sender asked for it; an account that would only be refused is not opened. */
function openMissing(
  decision: Decision,
  work: TransferWork,
  found: { request: TransferRequest; debit: number; credit: number },
): Problem | undefined {
  const { state, draft } = decision;
  const { request, debit, credit } = found;
  if (debit < 0 || credit < 0) {
    const extId = debit < 0 ? request.debitAccount : request.creditAccount;
    return { code: "SHARD_MAP_STALE", detail: `account "${extId}" lives on another shard` };
  }
  const missing = [debit === 0 ? request.debitAccount : "", credit === 0 ? request.creditAccount : ""].filter(Boolean);
  const notFound = missing.find((extId) => !work.createAccounts || isSystemAccount(extId));
  if (notFound !== undefined) return { code: "ACCOUNT_NOT_FOUND", detail: `account "${notFound}" does not exist` };
  const known = debit > 0 ? debit : credit;
  const asset = request.asset ?? (known > 0 ? state.assets[state.asset[known] as number] : undefined);
  if (asset === undefined) return { code: "ACCOUNT_NOT_FOUND", detail: `account "${missing[0]}" does not exist` };
  if (!state.assets.includes(asset)) return { code: "ASSET_UNKNOWN", detail: `asset ${asset} is not kept here` };
  // A new account has nothing to give.
  if (debit === 0) return insufficient(request, 0);
  if (isOtherAsset(state, request, debit)) return explain(state, request, { outcome: ASSET_MISMATCH, debit, credit });
  if ((state.posted[debit] as number) - request.amount < (state.floor[debit] as number)) {
    return insufficient(request, (state.posted[debit] as number) - (state.floor[debit] as number));
  }
  openAccount(draft, { extId: request.creditAccount, placementKey: request.creditAccount, asset, floor: 0 });
  return undefined;
}

function insufficient(request: TransferRequest, available: number): Problem {
  return {
    code: "INSUFFICIENT_CREDIT",
    detail: `account "${request.debitAccount}" has ${available} available, the transfer takes ${request.amount}`,
  };
}

function explain(
  state: LedgerState,
  request: TransferRequest,
  refused: { outcome: number; debit: number; credit: number },
): Problem {
  const code = refusalCode(refused.outcome);
  switch (code) {
    case "INSUFFICIENT_CREDIT":
      return insufficient(request, (state.posted[refused.debit] as number) - (state.floor[refused.debit] as number));
    case "BALANCE_OVERFLOW":
      return { code, detail: `the balance of account "${request.creditAccount}" would pass 9007199254740991` };
    case "SAME_ACCOUNT":
      return { code, detail: `debit and credit account are both "${request.debitAccount}"` };
    case "ASSET_MISMATCH":
      return { code, detail: `the transfer and its accounts do not all keep the same asset` };
    default:
      return assertNever(code);
  }
}

function decideAccount(draft: Draft, request: AccountRequest): AccountOutcome | OperatorError {
  const { state } = draft;
  const { extId, placementKey } = request;
  const conflict = (what: string): OperatorError =>
    new OperatorError("ACCOUNT_CONFLICT", `account "${extId}" exists with another ${what}`);
  const number = state.numbers.get(extId);
  const pointer = state.pointers.get(extId);
  const isKept = state.assets.includes(request.asset);
  const unknownAsset = new OperatorError("ASSET_UNKNOWN", `asset ${request.asset} is not kept here`);
  // The account itself is on another shard, or an opening stopped before it was there.
  if (pointer !== undefined && pointer !== placementKey) {
    return new OperatorError("ACCOUNT_CONFLICT", `id "${extId}" is taken with placement key "${pointer}"`);
  }
  if (number !== undefined && (state.placements.get(extId) ?? extId) !== placementKey) return conflict("placement key");
  if (request.role === "pointer") {
    // Every shard keeps the same assets: what the account's own shard would refuse must not reserve its id here.
    if (pointer === undefined && !isKept) return unknownAsset;
    if (pointer === undefined) notePointer(draft, { extId, placementKey });
    return { created: pointer === undefined };
  }
  if (number === undefined) {
    if (!isKept) return unknownAsset;
    openAccount(draft, { extId, placementKey, asset: request.asset, floor: request.floor });
    return { created: true };
  }
  if (state.assets[state.asset[number] as number] !== request.asset) return conflict("asset");
  if (state.floor[number] !== request.floor) return conflict("credit limit");
  return { created: false };
}
