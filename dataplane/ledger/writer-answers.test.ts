import { describe, expect, test } from "@jest/globals";
import { deposit, settle, stage, withdrawal } from "../testing/writer-stage.ts";
import { RESULT, type TransferResults } from "./ledger.work.ts";
import { ANSWER_WITHIN_MS } from "./ledger.writer.ts";

// Goal: what a sender was told is never contradicted later; ledger.simulation.test.ts looks for what nobody thought of.

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
