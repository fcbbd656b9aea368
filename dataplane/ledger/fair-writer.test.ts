import { expect, test } from "@jest/globals";
import { shareWriter } from "./fair-writer.ts";
import type { TransferRequest } from "./fingerprint.ts";
import { emptyResults, type TransferResults } from "./ledger.work.ts";
import type { LedgerWriter, TransferGroup } from "./ledger.writer.ts";

// Goal: one key cannot fill a shard's queue, and what was answered takes no room.

test("a key with a thousand bulk requests leaves room for another one's transfer, and for accounts", async () => {
  const waiting: (() => void)[] = [];
  const writer = {
    transfer: (group: TransferGroup) =>
      new Promise<TransferResults>((resolve) => waiting.push(() => resolve(emptyResults(group.requests.length)))),
    openAccount: async () => ({ created: true }),
  } as unknown as LedgerWriter;
  let refusals = 0;
  const fair = shareWriter(writer, { shard: 3, onRefusal: () => (refusals += 1) });
  const send = (actor: string, count: number): Promise<TransferResults> =>
    fair.transfer({
      requests: new Array<TransferRequest>(count),
      identities: Buffer.alloc(0),
      createAccounts: false,
      mapVersion: 1,
      actor,
    });
  const refused: unknown[] = [];
  const bulks = Array.from({ length: 1_000 }, () =>
    send("greedy", 1_000).catch((error: unknown) => refused.push(error)),
  );
  expect(waiting).toHaveLength(32);
  const single = send("modest", 1);
  expect(waiting).toHaveLength(33);
  expect(await fair.openAccount({ role: "account", extId: "a", placementKey: "a", asset: "CZK", floor: 0 }, 1)).toEqual(
    {
      created: true,
    },
  );
  for (const answer of waiting.splice(0)) answer();
  await Promise.all([...bulks, single]);
  expect([refusals, refused.length]).toEqual([968, 968]);
  expect((refused[0] as Error).message).toBe(
    "shard 3 has 32000 transfers and claims of this API key under way and 32000 of all keys, of at most 65536: a key may have no more than what is left for the others",
  );
  void send("greedy", 32_000);
  expect(waiting).toHaveLength(1);
});
