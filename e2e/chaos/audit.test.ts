import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { type AcceptedWrite, type Audit, findBreaches, readAudit, type Term } from "./audit.ts";

// Goal: the judge of a chaos run can tell a fenced-off write from every harmless one. A judge that never finds anything
// would let each run pass.

const term = (epoch: number, from: number, more: Partial<Term> = {}): Term => ({
  epoch,
  from,
  holder: epoch % 2 === 1 ? "a" : "b",
  fromTime: time(from),
  releasedAt: undefined,
  ...more,
});
const write = (userAgent: string, revision: number | undefined, receivedAt = time(revision ?? 0)): AcceptedWrite => ({
  userAgent,
  what: "patch configmaps/w1",
  revision,
  receivedAt,
});
/** A second for each revision. */
function time(revision: number): string {
  return new Date(revision * 1000).toISOString();
}

describe("a write is", () => {
  const EPOCHS: Readonly<Record<string, readonly number[]>> = { "chaos/a.1": [1], "chaos/b.1": [2], "chaos/b.2": [] };
  const cases: readonly { name: string; write: AcceptedWrite; terms?: readonly Term[]; why?: string }[] = [
    { name: "right under its own epoch", write: write("chaos/a.1", 15) },
    { name: "right up to the last revision before the next epoch", write: write("chaos/a.1", 19) },
    { name: "fenced off after the next acquisition", write: write("chaos/a.1", 21), why: "epoch 2 was in force" },
    { name: "wrong before its acquisition", write: write("chaos/b.1", 15), why: "before it took epoch 2" },
    { name: "no write when it is answered with an older version", write: write("chaos/b.1", 15, time(25)) },
    { name: "wrong from a process that never led", write: write("chaos/b.2", 25), why: "never led" },
    { name: "none of our business from somebody else", write: write("kubectl", 25) },
    { name: "not judged without a revision", write: write("chaos/a.1", undefined) },
    {
      name: "wrong after its holder gave the Lease back",
      write: write("chaos/a.1", 19),
      terms: [term(1, 10, { releasedAt: 18 }), term(2, 20)],
      why: "given back at revision 18",
    },
  ];
  it.each(cases)("$name", ({ write: one, terms = [term(1, 10), term(2, 20)], why }) => {
    const audit: Audit = { writes: [one], terms };
    const found = findBreaches(audit, (userAgent) =>
      userAgent.startsWith("chaos/") ? (EPOCHS[userAgent] ?? []) : undefined,
    );
    expect(found.map((breach) => breach.why)).toEqual(why === undefined ? [] : [expect.stringContaining(why)]);
  });
});

describe("an audit log", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "shieldx-audit-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const entry = (verb: string, objectRef: object, responseObject: object, more: object = {}): string =>
    JSON.stringify({
      ...{ stage: "ResponseComplete", verb, userAgent: "chaos/a.1", objectRef, responseObject },
      ...{ responseStatus: { code: 200 }, requestReceivedTimestamp: time(1), stageTimestamp: time(2), ...more },
    });
  const leaseEntry = (resourceVersion: string, spec: object): string =>
    entry("update", { resource: "leases", name: "right" }, { metadata: { name: "right", resourceVersion }, spec });
  const read = async (lines: readonly string[], deletions: ReadonlyMap<string, number> = new Map()): Promise<Audit> => {
    const path = join(directory, "audit.log");
    await writeFile(path, `${lines.join("\n")}\n`);
    return readAudit(path, "right", deletions);
  };

  it("gives the terms of the Lease, renewals and another Lease left out", async () => {
    const { terms } = await read([
      leaseEntry("14", { holderIdentity: "a", leaseTransitions: 1 }),
      leaseEntry("10", { holderIdentity: "a", leaseTransitions: 1 }),
      leaseEntry("17", { holderIdentity: "", leaseTransitions: 1 }),
      leaseEntry("20", { holderIdentity: "b", leaseTransitions: 2 }),
      entry("update", { resource: "leases", name: "other" }, { metadata: { resourceVersion: "30" }, spec: {} }),
    ]);
    expect(terms.map(({ epoch, holder, from, releasedAt }) => [epoch, holder, from, releasedAt])).toEqual([
      [1, "a", 10, 17],
      [2, "b", 20, undefined],
    ]);
  });

  it("gives accepted writes with their revisions, refused ones and a torn line left out", async () => {
    const deleted = { metadata: { uid: "u1", resourceVersion: "5", deletionTimestamp: time(1) } };
    const { writes } = await read(
      [
        entry("patch", { resource: "configmaps", name: "w1" }, { metadata: { resourceVersion: "12" } }),
        entry(
          "patch",
          { resource: "widgets", name: "w1", subresource: "status" },
          { metadata: { resourceVersion: "13" } },
        ),
        entry("patch", { resource: "widgets", name: "w2" }, deleted),
        entry("delete", { resource: "configmaps", name: "w2" }, { details: { uid: "u2" } }),
        entry("delete", { resource: "configmaps", name: "w3" }, { details: { uid: "unseen" } }),
        entry("patch", { resource: "configmaps", name: "w4" }, {}, { responseStatus: { code: 409 } }),
        '{"stage":"ResponseComplete","verb":"pat',
      ],
      new Map([
        ["u1", 31],
        ["u2", 32],
      ]),
    );
    expect(writes.map(({ what, revision }) => [what, revision])).toEqual([
      ["patch configmaps/w1", 12],
      ["patch widgets/w1/status", 13],
      ["patch widgets/w2", 31],
      ["delete configmaps/w2", 32],
      ["delete configmaps/w3", undefined],
    ]);
  });
});
