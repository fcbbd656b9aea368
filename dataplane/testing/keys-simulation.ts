/**
 * A seeded simulation of keys that several shards want: one router over the writers of three shards, each on a database in
 * memory with faults of its own. Clients use few keys with several payloads, whose accounts are on different shards; writers
 * die and come back; pods die between a claim and the transfer under it. Time is a manual clock, so a seed tells the whole story.
 *
 * The oracle compares what every sender was told with what the databases hold in the end: see `keyLies`.
 */
import { type ErrorCode, OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { prng } from "../../lib/core/prng.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { type AccountLocator, EVERYWHERE, shardOf } from "../ledger/account-locator.ts";
import type { TransferRequest } from "../ledger/fingerprint.ts";
import { createRouter, type LedgerRouter } from "../ledger/ledger.router.ts";
import { RESULT } from "../ledger/ledger.work.ts";
import { createWriter, type LedgerWriter } from "../ledger/ledger.writer.ts";
import { externalAsset } from "../ledger/ledger-state.ts";
import type { WriterLease } from "../ledger/writer-takeover.ts";
import { createMemoryDatabase, type Fault, type MemoryDatabase } from "./memory-store.ts";

const SHARDS = 3;
const ROUNDS = 50;
const EXTERNAL = "system:external:CZK";

/** What one sender was told of one transfer. */
export interface KeyTold {
  readonly request: TransferRequest;
  /** "posted", a code, "broken" when the pod died before it answered, or nothing yet. */
  outcome: "posted" | "broken" | ErrorCode | undefined;
  replayed: boolean;
}

export interface KeysResult {
  readonly told: readonly KeyTold[];
  /** By shard. */
  readonly events: readonly ReturnType<MemoryDatabase["events"]>[];
  /** Accounts by shard and number. */
  readonly map: ShardMap;
}

interface Shard {
  readonly database: MemoryDatabase;
  writer: LedgerWriter | undefined;
  lease: { held: boolean };
  epoch: number;
}

interface Scene {
  readonly random: () => number;
  readonly clock: ManualClock;
  readonly map: ShardMap;
  readonly shards: readonly Shard[];
  readonly router: LedgerRouter;
  readonly told: KeyTold[];
  /** Pods die between a claim and its transfer while true. */
  isDeadly: boolean;
}

const chance = ({ random }: Pick<Scene, "random">, part: number): boolean => random() < part;
const below = ({ random }: Pick<Scene, "random">, limit: number): number => Math.floor(random() * limit);

/** Every account is there, where the map leads. */
const locator: AccountLocator = {
  locate: async (map, ids) => ({
    shards: Int32Array.from(ids, (id) => (externalAsset(id) === undefined ? shardOf(map, id) : EVERYWHERE)),
    exists: new Uint8Array(ids.length).fill(1),
    failures: new Map(),
  }),
};

/** Runs one seed to its end: all faults are gone by then, and every sender has an answer. */
export async function simulateKeys(seed: number): Promise<KeysResult> {
  const scene = createScene(prng(seed));
  for (const shard of scene.shards) startWriter(scene, shard);
  const answers: Promise<void>[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    trouble(scene);
    for (let requests = below(scene, 6); requests > 0; requests -= 1) answers.push(send(scene));
    await scene.clock.advance(chance(scene, 0.7) ? below(scene, 4) : below(scene, 3_000));
  }
  scene.isDeadly = false;
  for (const { database } of scene.shards) {
    Object.assign(database, { down: false, fault: () => "none", gate: async () => undefined });
  }
  await scene.clock.advance(60_000);
  await Promise.all(answers);
  for (const { writer } of scene.shards) void writer?.stop("lost");
  await scene.clock.advance(60_000);
  return { told: scene.told, events: scene.shards.map(({ database }) => database.events()), map: scene.map };
}

function createScene(random: () => number): Scene {
  const clock = createManualClock();
  const map: ShardMap = { version: 1, epoch: 1, owners: proposeOwners(SHARDS) };
  const shards = Array.from({ length: SHARDS }, (): Shard => {
    const database = createMemoryDatabase();
    return { database, writer: undefined, lease: { held: false }, epoch: 0 };
  });
  const scene: { -readonly [Key in keyof Scene]: Scene[Key] } = {
    random,
    clock,
    map,
    shards,
    router: undefined as unknown as LedgerRouter,
    told: [],
    isDeadly: true,
  };
  const faults: readonly Fault[] = ["lost", "lost", "refused"];
  for (const { database } of shards) {
    database.fault = () => (chance(scene, 0.08) ? (faults[below(scene, faults.length)] as Fault) : "none");
    database.gate = async () => {
      if (chance(scene, 0.3)) await clock.sleep(1 + below(scene, chance(scene, 0.05) ? 30_000 : 200));
    };
  }
  scene.router = createRouter({
    seats: shards.map((shard, index) => ({
      shard: index,
      writer: () => mortal(scene, shard.writer),
      holderUrl: () => undefined,
      problem: () => undefined,
      look: () => undefined,
      stop: async () => undefined,
    })),
    map: { current: () => map, refresh: async () => undefined },
    locator,
    requireAnswer: () => undefined,
    peers: { post: async () => Promise.reject(new Error("there is one pod")), close: () => undefined },
  });
  return scene;
}

/** The pod of a request dies now and then before it hands its transfers to the writer: what it claimed stays claimed. */
function mortal(scene: Scene, writer: LedgerWriter | undefined): LedgerWriter | undefined {
  if (writer === undefined) return undefined;
  return {
    ...writer,
    transfer: async (group) => {
      if (scene.isDeadly && chance(scene, 0.1)) throw new OperatorError("SHUTTING_DOWN", "the pod died");
      return writer.transfer(group);
    },
  };
}

function startWriter(scene: Scene, shard: Shard): void {
  const { clock } = scene;
  shard.epoch += 1;
  let epoch = shard.epoch;
  const right = { held: true };
  const lease: WriterLease = {
    isHeld: () => right.held,
    memory: () => ({ position: undefined, systemIdentifier: undefined }),
    epoch: () => epoch,
    setMinimumEpoch: async (minimum) => {
      epoch = Math.max(epoch, minimum);
      shard.epoch = Math.max(shard.epoch, epoch);
      return epoch;
    },
  };
  shard.lease = right;
  shard.writer = createWriter({
    shard: scene.shards.indexOf(shard),
    lease,
    openStore: () => shard.database.open(),
    snapshotEvery: 100,
    clock,
    log: silentLogger,
  });
  void shard.writer.run();
}

/** Something that happens to a shard, now and then. */
function trouble(scene: Scene): void {
  for (const shard of scene.shards) {
    if (shard.database.down) shard.database.down = !chance(scene, 0.5);
    else if (chance(scene, 0.04)) shard.database.down = true;
    if (!chance(scene, 0.06)) continue;
    const former = shard.writer;
    if (chance(scene, 0.5)) shard.lease.held = false;
    void former?.stop(shard.lease.held ? "drain" : "lost");
    startWriter(scene, shard);
  }
}

/** One request: a transfer, or a bulk with keys that meet each other in it. */
async function send(scene: Scene): Promise<void> {
  const caller = { authorization: "", actor: "", forwarded: undefined };
  const isBulk = chance(scene, 0.4);
  const requests = Array.from({ length: isBulk ? 1 + below(scene, 40) : 1 }, () => command(scene));
  const told = requests.map((request): KeyTold => ({ request, outcome: undefined, replayed: false }));
  scene.told.push(...told);
  try {
    if (isBulk) {
      const call = { items: requests, parsed: requests, createAccounts: true, body: Buffer.from("") };
      const text = await scene.router.bulk(call, caller);
      const { items } = JSON.parse(text as string) as { items: { code?: ErrorCode; replayed: boolean }[] };
      items.forEach(({ code, replayed }, index) =>
        Object.assign(told[index] as KeyTold, { outcome: nameOf(code), replayed }),
      );
      return;
    }
    const outcome = await scene.router.transfer(requests[0] as TransferRequest, Buffer.from(""), caller);
    if (outcome.type !== "local") throw new Error("there is one pod");
    const { results, index } = outcome;
    const code = results.status[index] === RESULT.posted ? undefined : results.problems.get(index)?.code;
    Object.assign(told[0] as KeyTold, { outcome: nameOf(code), replayed: results.replayed[index] === 1 });
  } catch (error) {
    for (const each of told) each.outcome = nameOf(toOperatorError(error).code);
  }
}

/** Who is cut off was told nothing. */
function nameOf(code: ErrorCode | undefined): KeyTold["outcome"] {
  if (code === undefined) return "posted";
  return code === "SHUTTING_DOWN" ? "broken" : code;
}

/** Few keys, each with up to four payloads; some with a tag, some debits of what is not there. */
function command(scene: Scene): TransferRequest {
  const account = `a${below(scene, 12)}`;
  const number = below(scene, 400);
  const id = number % 5 === 0 ? `{a${number % 12}}:k${number}` : `k${number}`;
  const variant = chance(scene, 0.7) ? `a${number % 12}` : account;
  const isDeposit = number % 4 !== 0;
  return {
    id,
    debitAccount: isDeposit ? EXTERNAL : variant,
    creditAccount: isDeposit ? variant : EXTERNAL,
    amount: 1 + (number % 3),
    ...(number % 7 === 0 && chance(scene, 0.5) ? { asset: chance(scene, 0.5) ? "EUR" : "CZK" } : {}),
  };
}

/** Told by these, a sender may take it that nothing of its command was done, nor will be. */
const NOT_DONE: readonly unknown[] = [
  "WRITER_UNAVAILABLE",
  "SHARD_MAP_STALE",
  "OVERLOADED",
  "IDEMPOTENCY_KEY_REUSED",
  "ASSET_MISMATCH",
  "ASSET_UNKNOWN",
  "broken",
];

/** Every sentence is one answer that the databases do not bear out. */
export function keyLies({ told, events, map }: KeysResult): string[] {
  const found: string[] = [];
  const effects = new Map<string, { shard: number; amount: number }>();
  events.forEach((log, shard) => {
    for (const { id, amount } of log) {
      const former = effects.get(id);
      if (former !== undefined) found.push(`${id} has an effect on shard ${former.shard} and one on shard ${shard}`);
      effects.set(id, { shard, amount });
    }
  });
  const byId = new Map<string, KeyTold[]>();
  for (const each of told) byId.set(each.request.id, [...(byId.get(each.request.id) ?? []), each]);
  for (const [id, answers] of byId) {
    const effect = effects.get(id);
    const isIts = ({ request }: KeyTold): boolean => effect !== undefined && homeOf(request, map) === effect.shard;
    const posted = answers.filter(({ outcome }) => outcome === "posted");
    const payloads = new Set(posted.map(({ request }) => JSON.stringify(request)));
    if (payloads.size > 1) found.push(`${id} was told posted with ${payloads.size} payloads`);
    if (posted.some((each) => !isIts(each))) found.push(`${id} was told posted, which it is not`);
    if (answers.some(({ outcome }) => outcome === undefined)) found.push(`${id} was never answered`);
    const first = posted.filter(({ replayed }) => !replayed);
    if (first.length > 1) found.push(`${id} was told posted for the first time ${first.length} times`);
    if (effect !== undefined && !answers.some((each) => isIts(each) && !NOT_DONE.includes(each.outcome))) {
      found.push(
        `${id} is on shard ${effect.shard}, and all were told ${answers.map(({ outcome }) => outcome).join(", ")}`,
      );
    }
    // A writer that has seen a payload binds the key to it, whatever it said.
    const bound = answers.find(({ outcome }) => outcome === "ASSET_UNKNOWN" || outcome === "ASSET_MISMATCH");
    if (
      bound !== undefined &&
      posted.some(({ request }) => JSON.stringify(request) !== JSON.stringify(bound.request))
    ) {
      found.push(`${id} was posted, and seen with another payload`);
    }
    for (const { request, outcome } of answers) {
      const isSame = posted.some((each) => JSON.stringify(each.request) === JSON.stringify(request));
      if (outcome === "IDEMPOTENCY_KEY_REUSED" && isSame)
        found.push(`${id} was posted, and reused by the same payload`);
    }
  }
  return found;
}

function homeOf({ debitAccount, creditAccount }: TransferRequest, map: ShardMap): number {
  return shardOf(map, debitAccount === EXTERNAL ? creditAccount : debitAccount);
}
