import { describe, expect, test } from "@jest/globals";
import { createMemoryDatabase } from "../testing/memory-store.ts";
import { deposit, settle, stage, withdrawal } from "../testing/writer-stage.ts";
import { RESULT, type TransferResults } from "./ledger.work.ts";
import { ANSWER_WITHIN_MS, QUEUE_COMMANDS_MAX } from "./ledger.writer.ts";
import { createLocalLease } from "./local-lease.ts";

// Goal: one effect a key and honest answers under every fault of the database: refused commits, lost answers, takeovers
// by another writer, a changed shard map, a database that stays away. The database is in memory and fails on demand; at random
// it does so in ledger.simulation.test.

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
