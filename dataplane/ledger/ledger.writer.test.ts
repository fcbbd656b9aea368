import { describe, expect, test } from "@jest/globals";
import { DatabaseError } from "pg";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { prng } from "../../lib/core/prng.ts";
import type { ShardMemory } from "../../lib/core/shard-memory.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createMemoryDatabase, type MemoryDatabase } from "../testing/memory-store.ts";
import { identitiesOf, type TransferRequest } from "./fingerprint.ts";
import { emptyResults, RESULT, setProblem, type TransferResults } from "./ledger.work.ts";
import { ANSWER_WITHIN_MS, createWriter, type LedgerWriter, QUEUE_COMMANDS_MAX } from "./ledger.writer.ts";
import { createLocalLease } from "./local-lease.ts";
import type { WriterLease } from "./writer-takeover.ts";

// Goal: one effect a key and honest answers under every fault of the database: refused commits, lost answers, takeovers
// by another writer, a changed shard map, a database that stays away. The database is in memory and fails on demand.

interface Stage {
  database: MemoryDatabase;
  clock: ManualClock;
  writer: LedgerWriter;
  send(requests: TransferRequest[], mapVersion?: number): Promise<TransferResults>;
}

function stage(options: { database?: MemoryDatabase; lease?: WriterLease } = {}): Stage {
  const database = options.database ?? createMemoryDatabase();
  const clock = createManualClock();
  const writer = createWriter({
    shard: 0,
    lease: options.lease ?? createLocalLease(),
    openStore: () => database.open(),
    snapshotEvery: 100,
    clock,
    log: silentLogger,
  });
  void writer.run();
  const send = (requests: TransferRequest[], mapVersion = 1): Promise<TransferResults> =>
    writer.transfer({ requests, identities: identitiesOf(requests), createAccounts: true, mapVersion });
  return { database, clock, writer, send };
}

const deposit = (id: string, amount = 1, account = "a"): TransferRequest => ({
  id,
  debitAccount: "system:external:CZK",
  creditAccount: account,
  amount,
});
const withdrawal = (id: string, amount: number): TransferRequest => ({
  id,
  debitAccount: "a",
  creditAccount: "system:external:CZK",
  amount,
});

const FAULTS = ["lost", "refused", "full"] as const;

/** A request that was not taken, as if each of its transfers had been answered with the error. */
function allFailed(requests: readonly TransferRequest[], error: unknown): TransferResults {
  const results = emptyResults(requests.length);
  const { code, message } = toOperatorError(error);
  requests.forEach((_, index) => setProblem(results, index, { status: RESULT.failed, code, detail: message }));
  return results;
}

/** Lets a writer that waits for its backoff go on, until the answer is there. */
async function settle<T>(clock: ManualClock, answer: Promise<T>): Promise<T> {
  let done = false;
  const finished = answer.finally(() => {
    done = true;
  });
  finished.catch(() => undefined);
  for (let step = 0; step < 400 && !done; step += 1) await clock.advance(100);
  return finished;
}

describe("keys", () => {
  test("twice in one request, in two batches in flight, and after the commit: one effect", async () => {
    const { database, clock, send } = stage();
    let open: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      open = resolve;
    });
    await settle(clock, send([deposit("warm")]));
    database.gate = () => held;
    const first = send([deposit("k", 5), deposit("k", 5), deposit("k", 6)]);
    await clock.advance(0);
    const second = send([deposit("k", 5), ...Array.from({ length: 600 }, (_, index) => deposit(`f${index}`))]);
    await clock.advance(0);
    open();
    const [one, two] = await settle(clock, Promise.all([first, second]));
    expect([...one.status]).toEqual([RESULT.posted, RESULT.posted, RESULT.refused]);
    expect([...one.replayed]).toEqual([0, 1, 0]);
    expect(one.problems.get(2)?.code).toBe("IDEMPOTENCY_KEY_REUSED");
    expect([two.status[0], two.replayed[0], two.position[0]]).toEqual([RESULT.posted, 1, one.position[0]]);
    const three = await settle(clock, send([deposit("k", 5)]));
    expect([three.replayed[0], three.position[0], three.creditBalance[0]]).toEqual([
      1,
      one.position[0],
      one.creditBalance[0],
    ]);
    expect(database.events().filter(({ id }) => id === "k")).toHaveLength(1);
  });

  test("a stored refusal is replayed by a later writer", async () => {
    const { database, clock, send, writer } = stage();
    const refused = await settle(clock, send([deposit("d"), withdrawal("w", 5)]));
    expect(refused.problems.get(1)).toMatchObject({ code: "INSUFFICIENT_CREDIT" });
    await settle(clock, writer.stop("drain"));
    const next = stage({ database });
    const again = await settle(next.clock, next.send([deposit("more", 100), withdrawal("w", 5)]));
    expect([again.status[1], again.replayed[1]]).toEqual([RESULT.refused, 1]);
    expect(again.problems.get(1)).toEqual(refused.problems.get(1));
  });

  test("most new keys cost no look-up", async () => {
    const { database, clock, send } = stage();
    await settle(clock, send([deposit("first")]));
    const before = database.lookups;
    for (let index = 0; index < 20; index += 1) await settle(clock, send([deposit(`n${index}`)]));
    expect(database.lookups - before).toBeLessThan(3);
  });
});

describe("faults", () => {
  test.each(["refused", "lost"] as const)("a commit that is %s is answered truthfully, once", async (fault) => {
    const { database, clock, send } = stage();
    await settle(clock, send([deposit("warm")]));
    let faults = 1;
    database.fault = () => (faults-- > 0 ? fault : "none");
    const results = await settle(clock, send([deposit("k", 5), withdrawal("w", 2)]));
    expect([...results.status]).toEqual([RESULT.posted, RESULT.posted]);
    expect([...results.replayed]).toEqual([0, 0]);
    expect(database.events().map(({ id }) => id)).toEqual(["warm", "k", "w"]);
  });

  test("two batches in flight when the first one fails keep their order", async () => {
    const { database, clock, send } = stage();
    await settle(clock, send([deposit("warm", 1)]));
    let faults = 1;
    database.fault = () => (faults-- > 0 ? "refused" : "none");
    const many = Array.from({ length: 600 }, (_, index) => deposit(`m${index}`));
    const answers = [
      send([deposit("one", 10)]),
      send([withdrawal("two", 11), ...many]),
      send([withdrawal("three", 500)]),
    ];
    const [one, two, three] = (await settle(clock, Promise.all(answers))) as [
      TransferResults,
      TransferResults,
      TransferResults,
    ];
    expect([one.status[0], two.status[0], three.status[0]]).toEqual([RESULT.posted, RESULT.posted, RESULT.posted]);
    const ids = database.events().map(({ id }) => id);
    expect(ids.slice(0, 3)).toEqual(["warm", "one", "two"]);
    expect(ids.at(-1)).toBe("three");
  });

  test("a database that stays away: what was tried is unknown, what waits was not begun", async () => {
    const { database, clock, send } = stage();
    await settle(clock, send([deposit("warm")]));
    database.fault = () => {
      database.down = true;
      return "refused";
    };
    const tried = send([deposit("tried")]);
    await clock.advance(10);
    const waiting = send([deposit("waiting")]);
    const [first, second] = await settle(clock, Promise.all([tried, waiting]));
    expect(first.problems.get(0)?.code).toBe("OUTCOME_UNKNOWN");
    expect(second.problems.get(0)?.code).toBe("WRITER_UNAVAILABLE");
    expect(clock.monotonic()).toBeGreaterThanOrEqual(ANSWER_WITHIN_MS);

    database.down = false;
    database.fault = () => "none";
    const again = await settle(clock, send([deposit("tried"), deposit("waiting")]));
    expect([...again.status]).toEqual([RESULT.posted, RESULT.posted]);
    expect(database.events().filter(({ id }) => id === "tried")).toHaveLength(1);
  });

  test("random faults: every key has one effect and each answer is true", async () => {
    for (let seed = 1; seed <= 25; seed += 1) {
      const random = prng(seed);
      const { database, clock, send } = stage();
      database.fault = () => (random() < 0.15 ? FAULTS[Math.floor(random() * FAULTS.length)] : undefined) ?? "none";
      const sent: { requests: TransferRequest[]; answer: Promise<TransferResults> }[] = [];
      for (let group = 0; group < 30; group += 1) {
        const requests = Array.from({ length: 1 + Math.floor(random() * 40) }, () => {
          const id = `k${Math.floor(random() * 300)}`;
          return random() < 0.6 ? deposit(id, 1 + Number(id.slice(1))) : withdrawal(`w${id}`, 1 + Number(id.slice(1)));
        });
        sent.push({ requests, answer: send(requests).catch((error: unknown) => allFailed(requests, error)) });
        if (random() < 0.5) await clock.advance(1);
        if (random() < 0.1) await clock.advance(3_000);
      }
      await settle(clock, Promise.all(sent.map(({ answer }) => answer)));
      const events = database.events();
      expect([seed, new Set(events.map(({ id }) => id)).size]).toEqual([seed, events.length]);
      for (const { requests, answer } of sent) {
        const results = await answer;
        requests.forEach(({ id }, index) => {
          if (results.status[index] !== RESULT.posted) return;
          expect([seed, id, events[(results.position[index] as number) - 1]?.id]).toEqual([seed, id, id]);
        });
      }
      const answersOf = new Map<string, (string | undefined)[]>();
      for (const { requests, answer } of sent) {
        const results = await answer;
        requests.forEach(({ id }, index) => {
          answersOf.set(id, [...(answersOf.get(id) ?? []), results.problems.get(index)?.code]);
        });
      }
      // "Nothing was written" is as binding as "posted".
      const refused = [...answersOf].filter(([, codes]) => codes.every((code) => code === "SHARD_DISK_FULL"));
      expect([seed, refused.filter(([id]) => events.some((event) => event.id === id))]).toEqual([seed, []]);
      let balance = 0;
      for (const { id, amount } of events) {
        balance += id.startsWith("w") ? -amount : amount;
        expect(balance).toBeGreaterThanOrEqual(0);
      }
    }
  });
});

describe("what was told stays true", () => {
  /** A gate that is shut until it is opened. */
  function shut(): { gate: () => Promise<undefined>; open: () => void } {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    return { gate: () => promise, open: () => resolve(undefined) };
  }

  test("work that waits in a look-up is answered in time, and not carried out after that", async () => {
    const { database, clock, send } = stage();
    await settle(clock, send([deposit("warm")]));
    const { gate, open } = shut();
    database.lookupGate = gate;
    let told: TransferResults | undefined;
    const many = Array.from({ length: 10_000 }, (_, index) => deposit(`m${index}`));
    void send([deposit("warm"), ...many]).then((results) => {
      told = results;
    });
    await clock.advance(ANSWER_WITHIN_MS + 1_000);
    const codes = new Set([...(told?.problems.values() ?? [])].map(({ code }) => code));
    expect([...codes]).toEqual(["WRITER_UNAVAILABLE"]);
    open();
    await clock.advance(5_000);
    expect(database.events()).toHaveLength(1);
    expect((await settle(clock, send([deposit("m1")]))).status[0]).toBe(RESULT.posted);
  });

  test("work that waits in a look-up is answered when the right to write is lost", async () => {
    const { database, clock, send, writer } = stage();
    await settle(clock, send([deposit("warm")]));
    const { gate, open } = shut();
    database.lookupGate = gate;
    const answer = send([deposit("warm"), deposit("late")]);
    await clock.advance(10);
    const stopped = writer.stop("lost");
    open();
    await settle(clock, stopped);
    expect([...(await answer).problems.values()].map(({ code }) => code)).toEqual([
      "WRITER_UNAVAILABLE",
      "WRITER_UNAVAILABLE",
    ]);
    expect(database.events().map(({ id }) => id)).toEqual(["warm"]);
  });

  test("a retry behind a command whose sender was told that its outcome is unknown gets the outcome", async () => {
    const { database, clock, send } = stage();
    await settle(clock, send([deposit("warm")]));
    const { gate, open } = shut();
    database.gate = gate;
    const first = send([deposit("k", 5)]);
    await clock.advance(ANSWER_WITHIN_MS + 1_000);
    expect((await first).problems.get(0)?.code).toBe("OUTCOME_UNKNOWN");
    const retry = send([deposit("k", 5), ...Array.from({ length: 600 }, (_, index) => deposit(`m${index}`))]);
    await clock.advance(10);
    open();
    const results = await settle(clock, retry);
    expect([results.problems.get(0)?.code, results.status[0], results.replayed[0]]).toEqual([
      undefined,
      RESULT.posted,
      1,
    ]);
    // What the first sender was told is not changed under it.
    expect((await first).problems.get(0)?.code).toBe("OUTCOME_UNKNOWN");
    expect(database.events().filter(({ id }) => id === "k")).toHaveLength(1);
  });

  test("of two batches whose answers were lost, the first of refusals alone, both are told as what they were", async () => {
    const { database, clock, send } = stage();
    await settle(clock, send([deposit("warm", 1)]));
    const { gate, open } = shut();
    database.gate = gate;
    let lost = 2;
    database.fault = () => (lost-- > 0 ? "lost" : "none");
    const refusals = send([withdrawal("w", 500)]);
    await clock.advance(1);
    const postings = send(Array.from({ length: 600 }, (_, index) => deposit(`m${index}`)));
    await clock.advance(1);
    open();
    const [refused, posted] = await settle(clock, Promise.all([refusals, postings]));
    expect([refused.problems.get(0)?.code, refused.replayed[0]]).toEqual(["INSUFFICIENT_CREDIT", 0]);
    expect([...posted.status].every((status) => status === RESULT.posted)).toBe(true);
    expect([...posted.replayed].filter((replayed) => replayed === 1)).toEqual([]);
  });
});

describe("data that was there (trial 13)", () => {
  const remembering = (memory: ShardMemory): WriterLease => ({ ...createLocalLease(7), memory: () => memory });
  const CLUSTER = "7400000000000000000";

  test.each([
    {
      name: "an empty database",
      memory: { position: 200, systemIdentifier: CLUSTER },
      message: "the log of shard 0 ends at position 0, but it has reached position 200",
    },
    {
      name: "the database of the version that kept positions alone",
      memory: { position: 200, systemIdentifier: undefined },
      message: "the log of shard 0 ends at position 0, but it has reached position 200",
    },
    {
      name: "another cluster",
      memory: { position: 0, systemIdentifier: "7400000000000000009" },
      message:
        "shard 0 is PostgreSQL cluster 7400000000000000000, but the ledger's data is in cluster 7400000000000000009, where its log reached position 0",
    },
  ])("$name is not written to, and senders are told at once", async ({ memory, message }) => {
    const { database, clock, writer, send } = stage({ lease: remembering(memory) });
    const early = send([deposit("early")]);
    const answer = await settle(clock, early);
    expect([...answer.problems.values()].map(({ code }) => code)).toEqual(["WRITER_UNAVAILABLE"]);
    expect(writer.status()).toMatchObject({ phase: "recovering", problem: { code: "DATA_LOST", message } });
    await expect(send([deposit("later")])).rejects.toMatchObject({ code: "WRITER_UNAVAILABLE" });
    // Nothing was changed: not even the epoch.
    expect([database.epoch, database.commits]).toEqual([0, 0]);
  });

  test("what has all that is remembered is written to; so is what is left, once the memory was taken away", async () => {
    const database = createMemoryDatabase();
    let memory: ShardMemory = { position: undefined, systemIdentifier: undefined };
    const lease = { ...createLocalLease(), memory: () => memory };
    const first = stage({ database, lease });
    await settle(first.clock, first.send([deposit("one")]));
    const { position, systemIdentifier } = first.writer.status();
    expect([position, systemIdentifier]).toEqual([1, CLUSTER]);
    memory = { position, systemIdentifier };
    const second = stage({ database, lease });
    await settle(second.clock, second.send([deposit("two")]));
    memory = { position: 3, systemIdentifier };
    const third = stage({ database, lease });
    await third.clock.advance(1_000);
    expect(third.writer.status().problem?.code).toBe("DATA_LOST");
    memory = { position: undefined, systemIdentifier: undefined };
    await third.clock.advance(5_000);
    await settle(third.clock, third.send([deposit("three")]));
    expect(third.writer.status()).toMatchObject({ phase: "writing", position: 3, problem: undefined });
  });

  test("a database that comes back with less than this writer has seen is noticed before the Lease knows", async () => {
    const database = createMemoryDatabase();
    const { clock, writer, send } = stage({ database, lease: remembering({ position: 0, systemIdentifier: CLUSTER }) });
    await settle(clock, send([deposit("one")]));
    const emptied = createMemoryDatabase();
    database.open = () => emptied.open();
    database.fault = () => "refused";
    const lost = await settle(clock, send([deposit("two")]));
    expect([...lost.problems.values()].map(({ code }) => code)).toEqual(["OUTCOME_UNKNOWN"]);
    expect(writer.status().problem?.message).toContain("ends at position 0, but it has reached position 1");
  });
});

describe("a database that somebody spoilt", () => {
  const missing = new OperatorError("INTERNAL", 'shard 0: relation "ledger.event" does not exist (SQLSTATE 42P01)');

  test("is told within 15 s by a writer that has nothing to write, and written to again when it is mended", async () => {
    const { database, clock, writer, send } = stage();
    await settle(clock, send([deposit("one")]));
    database.spoilt = () => missing;
    await clock.advance(15_000);
    expect(writer.status()).toMatchObject({ phase: "recovering", problem: { message: missing.message } });
    await expect(send([deposit("two")])).rejects.toMatchObject({ code: "WRITER_UNAVAILABLE" });
    database.spoilt = () => undefined;
    await clock.advance(5_000);
    expect(writer.status()).toMatchObject({ phase: "writing", problem: undefined });
    expect((await settle(clock, send([deposit("two")]))).problems.size).toBe(0);
  });

  test.each(["28P01", "28000", "3D000"])("that refuses logins (%s) is told when that lasts", async (state) => {
    const { database, clock, writer } = stage();
    await clock.advance(1_000);
    const cause = Object.assign(new DatabaseError("refused", 7, "error"), { code: state });
    const refused = new OperatorError("SHARD_UNAVAILABLE", `role is refused (SQLSTATE ${state})`, { cause });
    const open = database.open;
    database.open = () => Promise.reject(refused);
    database.spoilt = () => refused;
    await clock.advance(20_000);
    expect(writer.status().problem).toBeUndefined();
    await clock.advance(15_000);
    expect(writer.status().problem?.message).toBe(refused.message);
    database.open = open;
    database.spoilt = () => undefined;
    await clock.advance(5_000);
    expect(writer.status()).toMatchObject({ phase: "writing", problem: undefined });
  });

  test("that is away is the shard's to tell, not the writer's", async () => {
    const { database, clock, writer } = stage();
    await clock.advance(1_000);
    database.down = true;
    await clock.advance(120_000);
    expect(writer.status().problem).toBeUndefined();
  });
});

describe("a full volume (trial 1)", () => {
  test("is a coded refusal within a second, also for what waits, and writes go on with the room", async () => {
    const { database, clock, send, writer } = stage();
    await settle(clock, send([deposit("warm")]));
    const began = clock.monotonic();
    database.fault = () => "full";
    const tried = send([deposit("tried"), deposit("tried-too")]);
    const first = await settle(clock, tried);
    expect([...first.problems.values()].map(({ code }) => code)).toEqual(["SHARD_DISK_FULL", "SHARD_DISK_FULL"]);
    expect(first.problems.get(0)?.detail).toContain("No space left on device");
    expect(clock.monotonic() - began).toBeLessThan(1_000);

    // The server begins to refuse even the takeover: every sender is told at once.
    database.full = true;
    for (let second = 0; second < 10; second += 1) {
      await clock.advance(1_000);
      const sentAt = clock.monotonic();
      const late = await settle(
        clock,
        send([deposit(`late${second}`)]).catch((error: unknown) => error),
      );
      const code =
        late instanceof Error
          ? (late as { code?: string }).code
          : late && (late as TransferResults).problems.get(0)?.code;
      expect([second, code]).toEqual([second, "SHARD_DISK_FULL"]);
      expect(clock.monotonic() - sentAt).toBeLessThan(1_000);
    }
    expect(writer.status()).toMatchObject({ phase: "recovering", refusing: "SHARD_DISK_FULL" });
    expect(database.events().map(({ id }) => id)).toEqual(["warm"]);

    database.full = false;
    database.fault = () => "none";
    await clock.advance(3_000);
    const again = await settle(clock, send([deposit("tried"), deposit("late0")]));
    expect([...again.status]).toEqual([RESULT.posted, RESULT.posted]);
    expect(writer.status()).toMatchObject({ phase: "writing", refusing: undefined });
  });

  test("is told in place of a trouble that is over", async () => {
    const { database, clock, send, writer } = stage();
    await settle(clock, send([deposit("warm")]));
    // As a server says for a moment that crashes for want of room.
    database.spoilt = () => new OperatorError("INTERNAL", "shard 0: could not read file (SQLSTATE XX000)");
    database.fault = () => "full";
    await settle(
      clock,
      send([deposit("one")]).catch(() => undefined),
    );
    await clock.advance(5_000);
    expect(writer.status().problem?.code).toBe("INTERNAL");
    database.spoilt = () => undefined;
    database.full = true;
    await clock.advance(5_000);
    expect(writer.status()).toMatchObject({ problem: undefined, refusing: "SHARD_DISK_FULL" });
    await expect(send([deposit("two")])).rejects.toMatchObject({ code: "SHARD_DISK_FULL" });
  });

  test("a commit whose answer was lost before is unknown, not refused", async () => {
    const { database, clock, send } = stage();
    await settle(clock, send([deposit("warm")]));
    database.fault = () => {
      database.full = true;
      return "lost";
    };
    const began = clock.monotonic();
    const lost = await settle(clock, send([deposit("k", 5)]));
    expect(lost.problems.get(0)).toMatchObject({
      code: "OUTCOME_UNKNOWN",
      detail: expect.stringContaining("No space left on device"),
    });
    expect(clock.monotonic() - began).toBeLessThan(1_000);
    expect(database.events().map(({ id }) => id)).toEqual(["warm", "k"]);
    database.full = false;
    database.fault = () => "none";
    await clock.advance(3_000);
    const again = await settle(clock, send([deposit("k", 5)]));
    expect([again.status[0], again.replayed[0]]).toEqual([RESULT.posted, 1]);
  });
});

describe("two writers (C28)", () => {
  test("the newer one fences the older, which steps down when its Lease is gone", async () => {
    const database = createMemoryDatabase();
    let held = true;
    const old = stage({
      database,
      lease: {
        ...createLocalLease(),
        isHeld: () => held,
        epoch: () => 1,
        setMinimumEpoch: () => Promise.reject(new Error("not reached")),
      },
    });
    await settle(old.clock, old.send([deposit("old")]));
    const young = stage({ database, lease: createLocalLease(2) });
    await settle(young.clock, young.send([deposit("young")]));
    held = false;
    const late = old.send([deposit("late")]).catch((error: unknown) => error);
    const answer = await settle(old.clock, late);
    expect(
      JSON.stringify(answer instanceof Error ? answer : [...(answer as TransferResults).problems.values()]),
    ).toMatch(/WRITER_UNAVAILABLE|OUTCOME_UNKNOWN/);
    expect(database.events().map(({ id }) => id)).toEqual(["old", "young"]);
    expect(old.writer.status().phase).toBe("ended");
  });

  test("a database that is ahead of the Lease raises the Lease's epoch", async () => {
    const database = createMemoryDatabase();
    database.epoch = 41;
    const { clock, send, writer } = stage({ database });
    await settle(clock, send([deposit("k")]));
    expect(writer.status().epoch).toBe(42);
  });
});

describe("intake", () => {
  test("another shard map is refused at once, or at COMMIT, and nothing is written", async () => {
    const { database, clock, send } = stage();
    await settle(clock, send([deposit("warm")]));
    await expect(send([deposit("k")], 2)).rejects.toMatchObject({ code: "SHARD_MAP_STALE" });
    database.mapVersion = 2;
    const stale = await settle(clock, send([deposit("k")], 1));
    expect(stale.problems.get(0)?.code).toBe("SHARD_MAP_STALE");
    expect(database.events()).toHaveLength(1);
    const fresh = await settle(clock, send([deposit("k")], 2));
    expect(fresh.status[0]).toBe(RESULT.posted);
  });

  test("a full queue refuses more", async () => {
    // The first commit, of the external accounts, never ends: everything waits.
    const database = createMemoryDatabase();
    database.gate = () => new Promise(() => undefined);
    const { send } = stage({ database });
    void send(Array.from({ length: QUEUE_COMMANDS_MAX }, (_, index) => deposit(`q${index}`)));
    await expect(send([deposit("more")])).rejects.toMatchObject({ code: "OVERLOADED" });
  });

  test("a drained writer has finished what it took and takes no more", async () => {
    const { database, clock, send, writer } = stage();
    const answer = send([deposit("k")]);
    const stopped = writer.stop("drain");
    await settle(clock, stopped);
    expect((await answer).status[0]).toBe(RESULT.posted);
    await expect(send([deposit("late")])).rejects.toMatchObject({ code: "WRITER_UNAVAILABLE" });
    expect(database.events().map(({ id }) => id)).toEqual(["k"]);
  });
});
