/**
 * A seeded simulation of the writers of one shard over the database in memory: clients that send and send again, commits
 * that are refused, lost, slow or without room, look-ups that hang, databases that go and come, shard maps that change,
 * writers that are drained, cut off, or rivals. Time is a manual clock, so a seed tells the whole story, and an hour of
 * trouble takes a second.
 *
 * The oracle compares what every sender was told with what the database holds in the end: see `lies`.
 */
import { type ErrorCode, OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { prng } from "../../lib/core/prng.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { identitiesOf, type TransferRequest } from "../ledger/fingerprint.ts";
import { RESULT } from "../ledger/ledger.work.ts";
import { ANSWER_WITHIN_MS, createWriter, type LedgerWriter } from "../ledger/ledger.writer.ts";
import type { WriterLease } from "../ledger/writer-takeover.ts";
import { createMemoryDatabase, type Fault, type MemoryDatabase } from "./memory-store.ts";

/** What one sender was told of one command, or nothing yet. */
export interface Told {
  readonly request: TransferRequest;
  /** "posted", a code, or `undefined`. */
  outcome: "posted" | ErrorCode | undefined;
  position: number;
  replayed: boolean;
  /** Milliseconds from the sending to the answer. */
  afterMs: number;
}

export interface SimulationResult {
  readonly commands: number;
  readonly told: readonly Told[];
  readonly events: ReturnType<MemoryDatabase["events"]>;
}

/** Rounds of one seed; each sends some groups and lets some time pass. */
const ROUNDS = 60;
/** Ids that senders draw from: few, so that keys meet each other in batches, in flight and in the database. */
const IDS = 4_000;
/** Commands of a large group: with them a second batch goes while the first one commits. */
const GROUP_MAX = 700;
/** Commands of the largest requests that the API takes: more than one batch. */
const BULK = 10_000;
/** Deadlines are looked at twice a second. */
const ANSWERED_WITHIN_MS = ANSWER_WITHIN_MS + 1_000;

interface Scene {
  readonly random: () => number;
  readonly clock: ManualClock;
  readonly database: MemoryDatabase;
  readonly told: Told[];
  readonly writers: { writer: LedgerWriter; lease: { held: boolean } }[];
  epoch: number;
}

const chance = (scene: Scene, part: number): boolean => scene.random() < part;
const below = (scene: Scene, limit: number): number => Math.floor(scene.random() * limit);

/** Runs one seed to its end: all faults are gone by then, and every sender has an answer. */
export async function simulate(seed: number): Promise<SimulationResult> {
  const random = prng(seed);
  const database = createMemoryDatabase();
  const scene: Scene = { random, clock: createManualClock(), database, told: [], writers: [], epoch: 0 };
  addFaults(scene);
  startWriter(scene);
  const answers: Promise<void>[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    trouble(scene);
    for (let groups = below(scene, 4); groups > 0; groups -= 1) answers.push(sendGroup(scene));
    await scene.clock.advance(passing(scene));
  }
  calm(scene);
  await scene.clock.advance(60_000);
  await Promise.all(answers);
  for (const { writer } of scene.writers) void writer.stop("lost");
  await scene.clock.advance(60_000);
  return { commands: scene.told.length, told: scene.told, events: database.events() };
}

/** Mostly moments, now and then longer than any sender waits. */
function passing(scene: Scene): number {
  const kind = scene.random();
  if (kind < 0.6) return below(scene, 3);
  return kind < 0.95 ? below(scene, 1_500) : 25_000;
}

function addFaults(scene: Scene): void {
  const { database, clock } = scene;
  const slow = async (part: number, ms: number): Promise<void> => {
    if (chance(scene, part)) await clock.sleep(1 + below(scene, ms));
  };
  const faults: readonly Fault[] = ["lost", "lost", "refused", "full"];
  database.fault = () => (chance(scene, 0.06) ? (faults[below(scene, faults.length)] as Fault) : "none");
  database.gate = () => slow(0.3, chance(scene, 0.05) ? 40_000 : 300);
  database.lookupGate = () => slow(0.3, chance(scene, 0.1) ? 40_000 : 300);
}

/** Something that happens to a shard, now and then. */
function trouble(scene: Scene): void {
  const { database, writers } = scene;
  if (database.down) database.down = !chance(scene, 0.5);
  else if (chance(scene, 0.04)) database.down = true;
  if (database.full) database.full = !chance(scene, 0.5);
  else if (chance(scene, 0.03)) database.full = true;
  if (chance(scene, 0.04)) database.mapVersion += 1;
  const newest = writers.at(-1);
  if (newest === undefined || !chance(scene, 0.08)) return;
  // A pod that stops in order, one that loses its right, and one that does not know yet that another one has it.
  const how = below(scene, 3);
  if (how === 0) void newest.writer.stop("drain");
  if (how === 1) {
    newest.lease.held = false;
    void newest.writer.stop("lost");
  }
  startWriter(scene);
}

function calm(scene: Scene): void {
  const { database, writers } = scene;
  Object.assign(database, { down: false, full: false });
  database.fault = () => "none";
  database.gate = async () => undefined;
  database.lookupGate = async () => undefined;
  for (const { lease } of writers.slice(0, -1)) lease.held = false;
}

function startWriter(scene: Scene): void {
  const { clock, database } = scene;
  scene.epoch += 1;
  let epoch = scene.epoch;
  const right = { held: true };
  const lease: WriterLease = {
    isHeld: () => right.held,
    memory: () => ({ position: undefined, systemIdentifier: undefined }),
    epoch: () => epoch,
    setMinimumEpoch: async (minimum) => {
      // As the Lease has it: only its holder may raise the epoch, and the newest writer holds it.
      if (scene.writers.at(-1)?.lease !== right) {
        right.held = false;
        throw new OperatorError("LEASE_LOST", "another writer holds the Lease");
      }
      epoch = Math.max(epoch, minimum);
      scene.epoch = Math.max(scene.epoch, epoch);
      return epoch;
    },
  };
  const writer = createWriter({
    shard: 0,
    lease,
    openStore: () => database.open(),
    snapshotEvery: 100,
    clock,
    log: silentLogger,
  });
  scene.writers.push({ writer, lease: right });
  void writer.run();
}

/** One request of one client, to one of the writers that it may still know of, with the map that it may still have. */
function sendGroup(scene: Scene): Promise<void> {
  const { database, writers } = scene;
  const size = sizeOf(scene);
  const requests = Array.from({ length: size }, () => command(scene));
  const told = requests.map(
    (request): Told => ({ request, outcome: undefined, position: 0, replayed: false, afterMs: Number.NaN }),
  );
  scene.told.push(...told);
  const sentAt = scene.clock.monotonic();
  const to = writers[Math.max(0, writers.length - 1 - (chance(scene, 0.1) ? 1 : 0))] as (typeof writers)[number];
  const mapVersion = Math.max(1, database.mapVersion - (chance(scene, 0.05) ? 1 : 0));
  return to.writer
    .transfer({ requests, identities: identitiesOf(requests), createAccounts: true, mapVersion })
    .then(
      (results) =>
        told.forEach((each, index) => {
          each.outcome = results.status[index] === RESULT.posted ? "posted" : results.problems.get(index)?.code;
          each.position = results.position[index] as number;
          each.replayed = results.replayed[index] === 1;
        }),
      (error: unknown) => {
        for (const each of told) each.outcome = toOperatorError(error).code;
      },
    )
    .finally(() => {
      for (const each of told) each.afterMs = scene.clock.monotonic() - sentAt;
    });
}

function sizeOf(scene: Scene): number {
  const kind = scene.random();
  if (kind < 0.02) return BULK;
  return 1 + below(scene, kind < 0.3 ? GROUP_MAX : 20);
}

/** A deposit or a withdrawal; the id says which, so that a key comes with one payload, but for some. */
function command(scene: Scene): TransferRequest {
  const id = chance(scene, 0.5) ? `k${below(scene, IDS)}` : `once${scene.told.length}-${below(scene, 2 ** 30)}`;
  const isDeposit = id.charCodeAt(id.length - 1) % 2 === 0;
  const [debitAccount, creditAccount] = isDeposit ? ["system:external:CZK", "a"] : ["a", "system:external:CZK"];
  return { id, debitAccount, creditAccount, amount: chance(scene, 0.02) ? 3 : 1 + (id.length % 2) };
}

/** Told by these, a sender may take it that nothing of its command was done, nor will be. */
const NOT_DONE: readonly unknown[] = ["WRITER_UNAVAILABLE", "SHARD_MAP_STALE", "SHARD_DISK_FULL", "OVERLOADED"];

/** Every sentence is one answer that the database does not bear out. */
export function lies({ told, events }: SimulationResult): string[] {
  const found: string[] = [];
  const positionOf = new Map<string, number>();
  events.forEach(({ id }, index) => {
    if (positionOf.has(id)) found.push(`${id} has two effects`);
    positionOf.set(id, index + 1);
  });
  let balance = 0;
  for (const { id, amount, debit } of events) {
    balance += debit === events[0]?.debit ? amount : -amount;
    if (balance < 0) found.push(`the balance is ${balance} after ${id}`);
  }
  const byId = new Map<string, Told[]>();
  for (const each of told) byId.set(each.request.id, [...(byId.get(each.request.id) ?? []), each]);
  for (const [id, answers] of byId) found.push(...liesAbout(id, answers, { events, position: positionOf.get(id) }));
  return found;
}

function liesAbout(
  id: string,
  answers: readonly Told[],
  truth: { readonly events: SimulationResult["events"]; readonly position: number | undefined },
): string[] {
  const found: string[] = [];
  const event = truth.position === undefined ? undefined : truth.events[truth.position - 1];
  for (const { outcome, position, request, replayed, afterMs } of answers) {
    if (outcome === undefined) found.push(`${id} was never answered`);
    if (afterMs > ANSWERED_WITHIN_MS) found.push(`${id} was answered after ${afterMs} ms`);
    if (outcome === "OUTCOME_UNKNOWN" && replayed) found.push(`${id} was told somebody else's open outcome`);
    if (outcome === "posted" && (position !== truth.position || event?.amount !== request.amount)) {
      found.push(`${id} was told posted at ${position}, it is at ${truth.position} with ${event?.amount}`);
    }
    if (outcome === "INSUFFICIENT_CREDIT" && event?.amount === request.amount) {
      found.push(`${id} was told that it is refused for ever, it is at ${truth.position}`);
    }
  }
  const first = answers.filter(({ outcome, replayed }) => outcome === "posted" && !replayed);
  if (first.length > 1) found.push(`${id} was told posted for the first time ${first.length} times`);
  const causes = answers.filter(({ request }) => request.amount === event?.amount);
  if (event !== undefined && causes.every(({ outcome, replayed }) => outcome === "posted" && replayed)) {
    found.push(`${id} is at ${truth.position}, and nobody was the first to be told`);
  }
  // One effect needs one sender who may have caused it.
  const mayHave = answers.some(
    ({ outcome, request }) => !NOT_DONE.includes(outcome) && request.amount === event?.amount,
  );
  if (event !== undefined && !mayHave) {
    found.push(`${id} is at ${truth.position}, and all were told ${answers.map(({ outcome }) => outcome).join(", ")}`);
  }
  return found;
}
