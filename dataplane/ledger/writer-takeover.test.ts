import { describe, expect, test } from "@jest/globals";
import { DatabaseError } from "pg";
import { OperatorError } from "../../lib/core/errors.ts";
import type { ShardMemory } from "../../lib/core/shard-memory.ts";
import { createMemoryDatabase } from "../testing/memory-store.ts";
import { deposit, settle, stage } from "../testing/writer-stage.ts";
import { RESULT, type TransferResults } from "./ledger.work.ts";
import { createLocalLease } from "./local-lease.ts";
import type { WriterLease } from "./writer-takeover.ts";

// Goal: a database that only people can mend, or that has no room, is not written to, and every sender is told so at once;
// once it is as it was, the writer goes on by itself.

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
