import { describe, expect, test } from "@jest/globals";
import { deposit, settle, stage } from "../testing/writer-stage.ts";
import { identitiesOf, type TransferRequest } from "./fingerprint.ts";
import { RESULT, type TransferResults } from "./ledger.work.ts";
import { CLAIM_WITHIN_MS, type LedgerWriter } from "./ledger.writer.ts";

// Goal: the writer of a key's owner binds each key to one payload, durably, before anybody uses it (docs/adr/0024-keys-of-the-ledger.md).

const claim = (writer: LedgerWriter, requests: readonly TransferRequest[], shard = 1): Promise<TransferResults> =>
  writer.claimKeys({
    identities: identitiesOf(requests),
    shards: new Int16Array(requests.length).fill(shard),
    buckets: new Int16Array(requests.length).fill(7),
    mapVersion: 1,
  });

const outcomes = ({ status, replayed, position, problems }: TransferResults): unknown[] =>
  Array.from(status, (each, index) =>
    each === RESULT.claimed
      ? `for ${position[index]}${replayed[index] === 1 ? " again" : ""}`
      : (problems.get(index)?.code ?? "posted"),
  );

describe("claims", () => {
  test("the first payload has the key, in one batch, later, and after a takeover", async () => {
    const { database, clock, writer } = stage();
    const [a, b] = [deposit("k", 1), deposit("k", 2)];
    expect(outcomes(await settle(clock, claim(writer, [a, b, a])))).toEqual([
      "for 1",
      "IDEMPOTENCY_KEY_REUSED",
      "for 1 again",
    ]);
    expect(outcomes(await settle(clock, claim(writer, [b, a])))).toEqual(["IDEMPOTENCY_KEY_REUSED", "for 1 again"]);
    await writer.stop("drain");
    const next = stage({ database });
    expect(outcomes(await settle(next.clock, claim(next.writer, [b, a])))).toEqual([
      "IDEMPOTENCY_KEY_REUSED",
      "for 1 again",
    ]);
    expect(database.events()).toEqual([]);
  });

  test("a transfer here meets a claim as a claim meets a transfer", async () => {
    const { clock, writer, send } = stage();
    await settle(clock, claim(writer, [deposit("lent")]));
    const results = await settle(clock, send([deposit("lent", 9), deposit("used")]));
    expect(outcomes(results)).toEqual(["IDEMPOTENCY_KEY_REUSED", "posted"]);
    const met = await settle(clock, claim(writer, [deposit("used", 9), deposit("used")]));
    expect(outcomes(met)).toEqual(["IDEMPOTENCY_KEY_REUSED", "posted"]);
    expect([met.replayed[1], met.position[1]]).toEqual([1, results.position[1]]);
  });

  test("the same payload under a claim for another shard waits for a newer map", async () => {
    const { clock, writer, send } = stage();
    await settle(clock, claim(writer, [deposit("k")]));
    expect(outcomes(await settle(clock, send([deposit("k")])))).toEqual(["SHARD_MAP_STALE"]);
  });

  test("a claim is answered after COMMIT, and found when the answer of the COMMIT was lost", async () => {
    const { database, clock, writer } = stage();
    await settle(clock, claim(writer, [deposit("warm")]));
    let fault: "lost" | "none" = "lost";
    database.fault = () => {
      const now = fault;
      fault = "none";
      return now;
    };
    const commits = database.commits;
    expect(outcomes(await settle(clock, claim(writer, [deposit("k")])))).toEqual(["for 1"]);
    expect(database.commits).toBe(commits + 1);
  });

  test("a claim whose COMMIT was refused is made anew", async () => {
    const { database, clock, writer } = stage();
    await settle(clock, claim(writer, [deposit("warm")]));
    let fault: "refused" | "none" = "refused";
    database.fault = () => {
      const now = fault;
      fault = "none";
      return now;
    };
    expect(outcomes(await settle(clock, claim(writer, [deposit("k")])))).toEqual(["for 1"]);
  });

  test("a claim is answered in time for the transfer under it", async () => {
    const { database, clock, writer } = stage();
    await settle(clock, claim(writer, [deposit("warm")]));
    database.gate = () => clock.sleep(60_000);
    const answer = claim(writer, [deposit("k")]);
    await clock.advance(CLAIM_WITHIN_MS + 500);
    expect(outcomes(await answer)).toEqual(["OUTCOME_UNKNOWN"]);
  });

  test("ten thousand go in two batches", async () => {
    const { database, clock, writer } = stage();
    await settle(clock, claim(writer, [deposit("warm")]));
    const commits = database.commits;
    const many = Array.from({ length: 10_000 }, (_, index) => deposit(`k${index}`));
    const results = await settle(clock, claim(writer, many));
    expect(results.status.every((status) => status === RESULT.claimed)).toBe(true);
    expect(database.commits).toBe(commits + 2);
  });
});

describe("a refusal that is not kept", () => {
  const unkept = (amount: number): TransferRequest => ({ ...deposit("k", amount), asset: "EUR" });

  test("binds the key to its payload, and is decided anew", async () => {
    const { database, clock, send } = stage();
    expect(outcomes(await settle(clock, send([unkept(1), unkept(1), unkept(2)])))).toEqual([
      "ASSET_UNKNOWN",
      "ASSET_UNKNOWN",
      "IDEMPOTENCY_KEY_REUSED",
    ]);
    const commits = database.commits;
    expect(outcomes(await settle(clock, send([deposit("k"), unkept(1)])))).toEqual([
      "IDEMPOTENCY_KEY_REUSED",
      "ASSET_UNKNOWN",
    ]);
    expect(database.commits).toBe(commits);
  });

  test("binds nothing here when another shard owns the key", async () => {
    const { database, clock, writer } = stage();
    const requests = [unkept(1)];
    const group = { requests, identities: identitiesOf(requests), createAccounts: true, mapVersion: 1 };
    await settle(clock, claim(writer, [deposit("warm")]));
    const commits = database.commits;
    const foreign = Uint8Array.of(1);
    expect(outcomes(await settle(clock, writer.transfer({ ...group, foreign })))).toEqual(["ASSET_UNKNOWN"]);
    expect(database.commits).toBe(commits);
  });
});
