import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { CREDITS_MAX } from "../../lib/core/money.ts";
import { IDENTITY_BYTES, identitiesOf } from "./fingerprint.ts";
import { getInt64, viewOf } from "./int64.ts";
import { decodeBody, hashBlock, RECORD, RECORD_BYTES } from "./journal-codec.ts";
import {
  beginDraft,
  type Draft,
  decideTransfer,
  openAccount,
  POSTED,
  refusalCode,
  sealDraft,
} from "./ledger.decider.ts";
import { emptyState, type LedgerState } from "./ledger-state.ts";

// Goal: whatever is asked in whatever order, no balance passes its floor, no unit appears or vanishes, and the block
// says exactly what was decided. The decider is compared with a naive model in bigint.

interface Ask {
  debit: number;
  credit: number;
  amount: number;
}

function newDraft(state: LedgerState, capacity = 64, snapshotEvery = 10): Draft {
  return beginDraft(state, { capacity, snapshotEvery, nowMicros: 1_000_000 });
}

function stateWith(floors: readonly number[], asset: (index: number) => string = () => "CZK"): LedgerState {
  const state = emptyState(["CZK", "EUR"]);
  const draft = newDraft(state);
  floors.forEach((floor, index) => {
    openAccount(draft, { extId: `a${index + 1}`, placementKey: `a${index + 1}`, asset: asset(index), floor });
  });
  sealDraft(draft, { shard: 0, epoch: 1 });
  return state;
}

function decide(draft: Draft, ask: Ask, id = "t"): number {
  const request = { id, debitAccount: `a${ask.debit}`, creditAccount: `a${ask.credit}`, amount: ask.amount };
  return decideTransfer(draft, {
    ...ask,
    effectiveAtMicros: Number.NaN,
    id,
    metadata: "",
    identities: identitiesOf([request]),
    identityOffset: 0,
  });
}

describe("decideTransfer", () => {
  const cases: { name: string; floors: number[]; ask: Ask; code: string }[] = [
    {
      name: "one unit more than there is",
      floors: [0, 0],
      ask: { debit: 1, credit: 2, amount: 1 },
      code: "INSUFFICIENT_CREDIT",
    },
    {
      name: "one unit beyond the credit limit",
      floors: [-50, 0],
      ask: { debit: 1, credit: 2, amount: 51 },
      code: "INSUFFICIENT_CREDIT",
    },
    { name: "the same account", floors: [-50, 0], ask: { debit: 1, credit: 1, amount: 1 }, code: "SAME_ACCOUNT" },
  ];
  test.each(cases)("refuses $name", ({ floors, ask, code }) => {
    const state = stateWith(floors);
    const draft = newDraft(state);
    expect(refusalCode(decide(draft, ask))).toBe(code);
    expect(draft.events).toBe(0);
    expect(state.position).toBe(0);
  });

  test("allows exactly the credit limit (C02)", () => {
    const state = stateWith([-50, 0]);
    expect(decide(newDraft(state), { debit: 1, credit: 2, amount: 50 })).toBe(POSTED);
    expect([state.posted[1], state.posted[2]]).toEqual([-50, 50]);
  });

  test("refuses accounts of two assets", () => {
    const state = stateWith([-50, 0], (index) => (index === 0 ? "CZK" : "EUR"));
    expect(refusalCode(decide(newDraft(state), { debit: 1, credit: 2, amount: 1 }))).toBe("ASSET_MISMATCH");
  });

  test("keeps balances within whole numbers on both sides (C07)", () => {
    const state = stateWith([-CREDITS_MAX, 0, -CREDITS_MAX]);
    const draft = newDraft(state);
    expect(decide(draft, { debit: 1, credit: 2, amount: CREDITS_MAX })).toBe(POSTED);
    expect(refusalCode(decide(draft, { debit: 1, credit: 3, amount: 1 }))).toBe("INSUFFICIENT_CREDIT");
    expect(refusalCode(decide(draft, { debit: 3, credit: 2, amount: 1 }))).toBe("BALANCE_OVERFLOW");
    expect([state.posted[1], state.posted[2], state.posted[3]]).toEqual([-CREDITS_MAX, CREDITS_MAX, 0]);
  });

  test("links an account's events and takes a snapshot at each n-th", () => {
    const state = stateWith([-1000, 0]);
    const draft = newDraft(state, 64, 10);
    for (let count = 1; count <= 25; count += 1) decide(draft, { debit: 1, credit: 2, amount: 1 }, `t${count}`);
    const sealed = sealDraft(draft, { shard: 0, epoch: 1 });
    expect(sealed.snapshots).toMatchObject({
      account: [1, 2, 1, 2],
      version: [10, 10, 20, 20],
      posted: [-10, 10, -20, 20],
    });
    const view = viewOf(sealed.records);
    for (let index = 0; index < 25; index += 1) {
      expect(getInt64(view, index * RECORD_BYTES + RECORD.debitPrevious)).toBe(index);
      expect(getInt64(view, index * RECORD_BYTES + RECORD.debitVersion)).toBe(index + 1);
    }
    expect(sealed.balances).toMatchObject({ account: [1, 2], expected: [0, 0] });
    expect([...sealed.balances.position]).toEqual([25, 25]);
  });

  test("times rise strictly when the clock stands still or jumps back (C21)", () => {
    const state = stateWith([-1000, 0]);
    const first = newDraft(state);
    decide(first, { debit: 1, credit: 2, amount: 1 });
    decide(first, { debit: 1, credit: 2, amount: 1 });
    const before = state.recordedAtMicros;
    sealDraft(first, { shard: 0, epoch: 1 });
    const second = beginDraft(state, { capacity: 1, snapshotEvery: 10, nowMicros: 5 });
    decide(second, { debit: 1, credit: 2, amount: 1 });
    expect(state.recordedAtMicros).toBe(before + 1);
  });
});

describe("properties", () => {
  const accounts = 5;
  const ask = fc.record({
    debit: fc.integer({ min: 1, max: accounts }),
    credit: fc.integer({ min: 1, max: accounts }),
    amount: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: CREDITS_MAX - 300, max: CREDITS_MAX })),
  });
  const floor = fc.oneof(fc.constant(0), fc.integer({ min: -300, max: 0 }), fc.constant(-CREDITS_MAX));

  test("equals a model in bigint at every prefix", () => {
    fc.assert(
      fc.property(
        fc.array(floor, { minLength: accounts, maxLength: accounts }),
        fc.array(ask, { maxLength: 60 }),
        (floors, asks) => {
          const state = stateWith(floors);
          const draft = newDraft(state);
          const model = floors.map(() => 0n);
          for (const { debit, credit, amount } of asks) {
            const taken = (model[debit - 1] as bigint) - BigInt(amount);
            const given = (model[credit - 1] as bigint) + BigInt(amount);
            const allowed =
              debit !== credit && taken >= BigInt(floors[debit - 1] as number) && given <= BigInt(CREDITS_MAX);
            expect(decide(draft, { debit, credit, amount }) === POSTED).toBe(allowed);
            if (allowed) {
              model[debit - 1] = taken;
              model[credit - 1] = given;
            }
            const posted = floors.map((_, index) => BigInt(state.posted[index + 1] as number));
            expect(posted).toEqual(model);
            expect(posted.reduce((sum, value) => sum + value, 0n)).toBe(0n);
          }
        },
      ),
    );
  });

  test("how commands are cut into batches changes no record", () => {
    fc.assert(
      fc.property(fc.array(ask, { maxLength: 40 }), fc.array(fc.nat(10), { maxLength: 10 }), (asks, cuts) => {
        const run = (sizes: readonly number[]): { records: string; position: number } => {
          const state = stateWith([-CREDITS_MAX, -100, 0, 0, -CREDITS_MAX]);
          const chunks: Buffer[] = [];
          let rest = asks.map((one, index) => ({ ...one, id: `t${index}` }));
          let cut = 0;
          while (rest.length > 0) {
            const size = Math.max(1, sizes[cut++] ?? rest.length);
            const draft = newDraft(state);
            for (const one of rest.slice(0, size)) decide(draft, one, one.id);
            rest = rest.slice(size);
            // Times and payload offsets depend on the batch; everything that was decided must not.
            const sealed = sealDraft(draft, { shard: 0, epoch: 1 });
            for (let at = 0; at < sealed.records.length; at += RECORD_BYTES) {
              chunks.push(Buffer.from(sealed.records.subarray(at, at + RECORD.recordedAt)));
            }
          }
          return { records: Buffer.concat(chunks).toString("hex"), position: state.position };
        };
        expect(run(cuts)).toEqual(run([]));
      }),
    );
  });
});

describe("sealDraft", () => {
  test("chains blocks and gives back every entry", () => {
    const state = emptyState(["CZK"]);
    const first = newDraft(state);
    openAccount(first, { extId: "system:external:CZK", placementKey: "x", asset: "CZK", floor: -CREDITS_MAX });
    openAccount(first, { extId: "a", placementKey: "north", asset: "CZK", floor: -7 });
    const one = sealDraft(first, { shard: 3, epoch: 9 });
    const second = newDraft(state);
    const identities = identitiesOf([
      { id: "ä".length === 1 ? "id-1" : "", debitAccount: "s", creditAccount: "a", amount: 5 },
    ]);
    decideTransfer(second, {
      debit: 1,
      credit: 2,
      amount: 5,
      effectiveAtMicros: 42,
      id: "id-1",
      metadata: '{"note":"žluť"}',
      identities,
      identityOffset: 0,
    });
    const two = sealDraft(second, { shard: 3, epoch: 9 });

    expect(decodeBody(one.header, one.content?.body as Buffer).entries).toEqual(one.entries);
    expect(one.content?.hash).toEqual(hashBlock(one.base.hash, one.header, one.content?.body as Buffer));
    expect(two.base.hash).toEqual(one.content?.hash);
    expect(two.header).toMatchObject({ block: 2, firstPosition: 1, events: 1, accounts: 0 });
    const body = decodeBody(two.header, two.content?.body as Buffer);
    expect(Buffer.from(body.payload).toString("utf8")).toBe('id-1{"note":"žluť"}');
    expect(Buffer.from(body.records.subarray(0, IDENTITY_BYTES))).toEqual(identities);
    expect(getInt64(viewOf(body.records), RECORD.effectiveAt)).toBe(42);
  });

  test("a batch of refusals only adds no block", () => {
    const state = stateWith([0, 0]);
    const hash = state.hash;
    const draft = newDraft(state);
    decide(draft, { debit: 1, credit: 2, amount: 1 });
    expect(sealDraft(draft, { shard: 0, epoch: 1 }).content).toBeUndefined();
    expect(state.hash).toBe(hash);
    expect(state.block).toBe(1);
  });

  test("every bit of header and body is in the hash", () => {
    const state = stateWith([-5, 0]);
    const draft = newDraft(state);
    decide(draft, { debit: 1, credit: 2, amount: 5 });
    const sealed = sealDraft(draft, { shard: 0, epoch: 1 });
    const body = sealed.content?.body as Buffer;
    fc.assert(
      fc.property(fc.nat(body.length * 8 - 1), (bit) => {
        const flipped = Buffer.from(body);
        flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(hashBlock(sealed.base.hash, sealed.header, flipped)).not.toEqual(sealed.content?.hash);
      }),
    );
    for (const member of [
      "shard",
      "epoch",
      "block",
      "firstPosition",
      "events",
      "accounts",
      "recordedAtMicros",
    ] as const) {
      const header = { ...sealed.header, [member]: sealed.header[member] + 1 };
      expect(hashBlock(sealed.base.hash, header, body)).not.toEqual(sealed.content?.hash);
    }
  });
});
