import { describe, expect, test } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import { deposit, withdrawal } from "../testing/writer-stage.ts";
import { setClaimed } from "./batch-keys.ts";
import type { TransferRequest } from "./fingerprint.ts";
import { type ClaimAt, claimForeignKeys, keyedGroup } from "./key-claims.ts";
import { emptyResults, RESULT, setProblem, type TransferProblem, type TransferResults } from "./ledger.work.ts";
import type { ClaimGroup } from "./ledger.writer.ts";

// Goal: only a transfer whose key is claimed goes on; the others are told what their key's owner said, in words of their own.

const MAP = { version: 4, epoch: 1, owners: proposeOwners(2) };
const ownerOf = (id: string): number => keyedGroup([deposit(id)], 0, MAP).owners[0] as number;
/** Ids that the shard owns. */
const idsOf = (shard: number, count: number): string[] =>
  Array.from({ length: 100 }, (_, index) => `k${index}`)
    .filter((id) => ownerOf(id) === shard)
    .slice(0, count);
const [foreign, second] = idsOf(1, 2) as [string, string];
const [own] = idsOf(0, 1) as [string];

const granting: ClaimAt = async (_owner, group) => answered(group, () => undefined);

function answered(group: ClaimGroup, problemOf: (index: number) => (TransferProblem & { status: 2 | 3 }) | undefined) {
  const results = emptyResults(group.shards.length);
  for (let index = 0; index < group.shards.length; index += 1) {
    const problem = problemOf(index);
    if (problem === undefined) setClaimed(results, index, { shard: group.shards[index] as number, replayed: false });
    else setProblem(results, index, problem);
  }
  return results;
}

/** What the transfers on shard 0 are told, those that go on as "goes on". */
async function told(requests: readonly TransferRequest[], claimAt: ClaimAt): Promise<(TransferProblem | string)[]> {
  const answers = await claimForeignKeys(keyedGroup(requests, 0, MAP), claimAt);
  return requests.map((_, index) => {
    const answer = answers.get(index);
    if (answer === undefined) return "goes on";
    return answer.results.problems.get(answer.index) ?? `posted at ${answer.results.position[answer.index]}`;
  });
}

describe("claims of foreign keys", () => {
  test("nobody is asked for keys of the own shard", async () => {
    const ask: ClaimAt = () => Promise.reject(new Error("asked"));
    expect(await told([deposit(own)], ask)).toEqual(["goes on"]);
  });

  test("the owner is asked once for all of its keys, with bucket, shard and map", async () => {
    const calls: { owner: number; group: ClaimGroup }[] = [];
    const claimAt: ClaimAt = (owner, group) => {
      calls.push({ owner, group });
      return granting(owner, group);
    };
    const requests = [deposit(foreign), deposit(own), deposit(second)];
    expect(await told(requests, claimAt)).toEqual(["goes on", "goes on", "goes on"]);
    const keyed = keyedGroup(requests, 0, MAP);
    expect(calls).toEqual([
      {
        owner: 1,
        group: {
          identities: Buffer.concat([keyed.identities.subarray(0, 24), keyed.identities.subarray(48)]),
          shards: Int16Array.from([0, 0]),
          buckets: Int16Array.from([keyed.buckets[0] as number, keyed.buckets[2] as number]),
          mapVersion: 4,
        },
      },
    ]);
  });

  test("a key of another payload is refused by its id", async () => {
    const claimAt: ClaimAt = async (_owner, group) =>
      answered(group, () => ({ status: RESULT.refused, code: "IDEMPOTENCY_KEY_REUSED", detail: "the key" }));
    expect(await told([deposit(foreign)], claimAt)).toEqual([
      { code: "IDEMPOTENCY_KEY_REUSED", detail: `key "${foreign}" was used for a transfer with another payload` },
    ]);
  });

  test("an outcome that the owner has is the answer", async () => {
    const claimAt = async (): Promise<TransferResults> => {
      const results = emptyResults(1);
      results.status[0] = RESULT.posted;
      results.replayed[0] = 1;
      results.position[0] = 77;
      return results;
    };
    expect(await told([deposit(foreign)], claimAt)).toEqual(["posted at 77"]);
  });

  test("an owner that does not answer is named, and its open outcome is none: nothing was begun", async () => {
    const down: ClaimAt = () =>
      Promise.reject(new OperatorError("WRITER_UNAVAILABLE", "shard 1 has no writer right now"));
    const open: ClaimAt = async (_owner, group) =>
      answered(group, () => ({ status: RESULT.failed, code: "OUTCOME_UNKNOWN", detail: "not known yet" }));
    const detail = (why: string): string => `key "${foreign}" belongs to shard 1: ${why}`;
    expect([await told([deposit(foreign)], down), await told([deposit(foreign)], open)]).toEqual([
      [{ code: "WRITER_UNAVAILABLE", detail: detail("shard 1 has no writer right now") }],
      [{ code: "WRITER_UNAVAILABLE", detail: detail("it could not be claimed in time") }],
    ]);
  });

  test("a claim for another shard is a map that is not the newest", async () => {
    const claimAt: ClaimAt = async () => {
      const results = emptyResults(1);
      setClaimed(results, 0, { shard: 5, replayed: true });
      return results;
    };
    expect(await told([deposit(foreign)], claimAt)).toEqual([
      { code: "SHARD_MAP_STALE", detail: `key "${foreign}" is claimed for shard 5` },
    ]);
  });
});

describe("what comes after a transfer that has to be sent again", () => {
  const down: ClaimAt = () => Promise.reject(new OperatorError("WRITER_UNAVAILABLE", "no writer"));
  const late = { code: "WRITER_UNAVAILABLE", detail: `key "${foreign}" belongs to shard 1: no writer` };
  const after = { ...late, detail: `a transfer before it, of the same account, has to be sent again: ${late.detail}` };

  test("waits with it, where it is of the same account, also at second hand", async () => {
    const between = { id: own, debitAccount: "a", creditAccount: "b", amount: 1 };
    const further = { id: own, debitAccount: "b", creditAccount: "c", amount: 1 };
    expect(await told([deposit(foreign), withdrawal(own, 1), between, further], down)).toEqual([
      late,
      after,
      after,
      after,
    ]);
  });

  test("goes on when it is of other accounts, whatever the external one did, or came before", async () => {
    const requests = [withdrawal(own, 1), deposit(foreign), deposit(own, 1, "b")];
    expect(await told(requests, down)).toEqual(["goes on", late, "goes on"]);
  });

  test("goes on after one that is refused for good", async () => {
    const refusing: ClaimAt = async (_owner, group) =>
      answered(group, () => ({ status: RESULT.refused, code: "IDEMPOTENCY_KEY_REUSED", detail: "" }));
    expect((await told([deposit(foreign), withdrawal(own, 1)], refusing))[1]).toBe("goes on");
  });
});
