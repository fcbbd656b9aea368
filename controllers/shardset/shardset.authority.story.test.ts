// Whole stories of a CA that is replaced: what is signed by whom at each moment, and who could connect to whom.
import { describe, expect, test } from "@jest/globals";
import { certificatesIn } from "../../lib/core/trust-bundle.ts";
import type { SecretObject } from "../../lib/kube/types.ts";
import { PLAIN_CA_VALIDITY_MS } from "../kit/testing/certificates.ts";
import { NAME } from "./testing/builders.ts";
import { condition, createWorld, type World, type WorldOptions } from "./testing/world.ts";

const SHARDS = [0, 1, 2];
const MINUTE = 60_000;
const text = (world: World, name: string, key: string): string =>
  Buffer.from((world.find("Secret", name) as SecretObject | undefined)?.data?.[key] ?? "", "base64").toString();

/** Who issued a certificate. */
const issuerIn = (certPem: string): string => certPem.split(" | ")[0] ?? "";
const issuerOf = (world: World, name: string): string => issuerIn(text(world, name, "tls.crt"));
const trusted = (world: World): string[] => certificatesIn(text(world, "bank-ca", "ca.crt"));
const LEAVES = ["bank-operator-tls", "bank-0-tls", "bank-1-tls", "bank-2-tls"];
const issuers = (world: World): string[] => [...new Set(LEAVES.map((name) => issuerOf(world, name)))];

/** Nobody who has read the bundle, whenever that was, refuses a certificate that is shown now. */
function expectNobodyRefused(world: World, readers: readonly string[] = []): void {
  const shown = SHARDS.map((shard) => issuerIn(world.filesOf(shard).certPem));
  // The operator, and clients of the shards, against each shard; each shard against the operator.
  for (const issuer of shown)
    for (const bundle of [text(world, "bank-ca", "ca.crt"), ...readers]) expect(bundle).toContain(issuer);
  for (const shard of SHARDS) expect(world.filesOf(shard).bundle).toContain(issuerOf(world, "bank-operator-tls"));
}

async function ready(options: WorldOptions = { agentsTell: true }): Promise<World> {
  const world = createWorld(options);
  await world.settle();
  expect(condition(world, "Ready")).toBe("True Ready: 3 of 3 shards accept writes");
  await world.clock.advance(1_000);
  return world;
}

function ask(world: World, annotations: Readonly<Record<string, string>>): void {
  world.edit("ShardSet", NAME, (object) => ({
    ...object,
    metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, ...annotations } },
  }));
}

async function pass(world: World, ms: number): Promise<string[]> {
  await world.clock.advance(ms);
  const lines = await world.settle();
  expectNobodyRefused(world);
  expect(condition(world, "Ready")).toBe("True Ready: 3 of 3 shards accept writes");
  return lines;
}

describe("a CA whose Secrets are deleted", () => {
  test.each([
    ["the key alone", ["bank-ca-key"]],
    ["key and bundle", ["bank-ca-key", "bank-ca"]],
    ["key, bundle and the certificate of a shard", ["bank-ca-key", "bank-ca", "bank-1-tls"]],
  ])("trial 7c: %s: the new one signs what stands only when it is trusted", async (_name, names) => {
    const world = await ready();
    const [first = ""] = trusted(world);
    const files = SHARDS.map((shard) => world.filesOf(shard));
    for (const shard of SHARDS) world.lag(shard);
    for (const name of names) world.edit("Secret", name, () => undefined);
    const lines = await world.settle();
    const standing = LEAVES.filter((name) => !names.includes(name));
    expect(standing.map((name) => issuerOf(world, name))).toEqual(standing.map(() => first));
    expect(trusted(world)).toContain(first);
    expect(trusted(world)).toHaveLength(2);
    expect(lines.filter((line) => line.startsWith("event"))).toEqual([
      "event Normal AuthorityAdding: CA rotation, step 1 of 3 (add): a new CA is being made: its key is gone",
    ]);
    // An hour in which no pod reads anything: nothing changes for anybody.
    await pass(world, 60 * MINUTE);
    expect(SHARDS.map((shard) => world.filesOf(shard))).toEqual(files);
    expect(condition(world, "AuthorityCurrent")).toMatch(
      /^False AuthorityAdding: CA rotation, step 1 of 3 \(add\): 0 of 3 shards trust the new CA; shard 0 has not read it yet, shard 1 /,
    );
    for (const shard of SHARDS) world.catchUp(shard);
    await pass(world, 0);
    await pass(world, 4 * MINUTE);
    expect(trusted(world)).toHaveLength(1);
    expect(trusted(world)).not.toContain(first);
    expect(issuers(world)).toEqual(trusted(world));
    expect(condition(world, "AuthorityCurrent")).toMatch(/^True AuthorityCurrent: the CA is valid until 20\d\d-/);
    expect(world.find("Secret", "bank-ca-next")).toBeUndefined();
    expect(await world.reconcile()).toEqual([]);
  });
});

describe("a new CA that is asked for", () => {
  test("is added, switched to and the former one dropped, with an event at each step, and once", async () => {
    const world = await ready();
    const [first = ""] = trusted(world);
    ask(world, { "shieldx.dev/rotate-ca": "monday" });
    const lines = await pass(world, 0);
    const [, second = ""] = trusted(world);
    expect(issuers(world)).toEqual([first]);
    expect(condition(world, "AuthorityCurrent")).toBe(
      "False AuthorityAdding: CA rotation, step 1 of 3 (add): 3 of 3 shards trust the new CA; it signs from 2025-01-01T00:10:01Z on at the earliest, when clients elsewhere have had time to read the bundle",
    );
    expect(await pass(world, 9 * MINUTE)).toEqual([]);
    lines.push(...(await pass(world, 2 * MINUTE)));
    expect(issuers(world)).toEqual([second]);
    expect(trusted(world)).toEqual([first, second]);
    expect(condition(world, "AuthorityCurrent")).toMatch(
      /^False AuthorityDropping: CA rotation, step 3 of 3 \(drop\): 3 of 3 shards show a certificate of the new CA; the former CA leaves/,
    );
    lines.push(...(await pass(world, 4 * MINUTE)));
    expect(trusted(world)).toEqual([second]);
    expect(lines.filter((line) => line.startsWith("event")).map((line) => line.split(":")[0])).toEqual([
      "event Normal AuthorityAdding",
      "event Normal AuthoritySwitching",
      "event Normal AuthorityCurrent",
    ]);
    expect(lines.filter((line) => /(create|delete) Pod/.test(line))).toEqual([]);
    // The same value again, and a restart of the operator: nothing.
    world.upgrade("shieldx-postgres:1");
    expect(await pass(world, 30 * MINUTE)).toEqual([]);
    ask(world, { "shieldx.dev/rotate-ca": "tuesday" });
    await pass(world, 0);
    expect(trusted(world)).toHaveLength(2);
  });

  test("waits for each pod by name, also with the drop", async () => {
    const world = await ready();
    const [first = ""] = trusted(world);
    world.lag(1);
    ask(world, { "shieldx.dev/rotate-ca": "1" });
    await pass(world, 0);
    await pass(world, 24 * 60 * MINUTE);
    expect(issuers(world)).toEqual([first]);
    expect(condition(world, "AuthorityCurrent")).toContain(
      "2 of 3 shards trust the new CA; shard 1 has not read it yet; it signs",
    );
    world.catchUp(1);
    world.lag(2);
    await pass(world, 0);
    await pass(world, 24 * 60 * MINUTE);
    expect(trusted(world)).toHaveLength(2);
    expect(condition(world, "AuthorityCurrent")).toContain(
      "2 of 3 shards show a certificate of the new CA; shard 2 does not show it yet; ",
    );
    world.catchUp(2);
    await pass(world, MINUTE);
    expect(trusted(world)).toEqual(issuers(world));
  });

  test("goes on from where it was after each interruption, twice, and with a pause", async () => {
    const world = await ready();
    const [first = ""] = trusted(world);
    ask(world, { "shieldx.dev/rotate-ca": "1" });
    await world.reconcile();
    ask(world, { "shieldx.dev/paused": "true" });
    await world.clock.advance(60 * MINUTE);
    expect((await world.settle()).filter((line) => line !== "status")).toEqual([]);
    ask(world, { "shieldx.dev/paused": "false" });
    // The time of a pause counts for nobody: the bundle was not out.
    await world.reconcile();
    expectNobodyRefused(world);
    expect(issuers(world)).toEqual([first]);
    for (let turn = 0; turn < 60; turn += 1) {
      world.upgrade("shieldx-postgres:1");
      await world.reconcile();
      expectNobodyRefused(world);
      await world.clock.advance(MINUTE);
    }
    expect(trusted(world)).toEqual(issuers(world));
    expect(trusted(world)).not.toContain(first);
  });

  test("takes longer where clients elsewhere need it, and agents of an earlier version are given time", async () => {
    const world = await ready({});
    const [first = ""] = trusted(world);
    ask(world, { "shieldx.dev/rotate-ca": "1", "shieldx.dev/ca-overlap": "2d" });
    await pass(world, 0);
    await pass(world, 47 * 60 * MINUTE);
    expect(issuers(world)).toEqual([first]);
    ask(world, { "shieldx.dev/ca-overlap": "0s" });
    await pass(world, 0);
    expect(issuers(world)).not.toEqual([first]);
    expect(trusted(world)).toHaveLength(2);
    await pass(world, 4 * MINUTE);
    expect(trusted(world)).toEqual(issuers(world));
  });

  test("waits for a ledger that is not Ready: pods of an earlier version read the CA once", async () => {
    const world = await ready();
    const [first = ""] = trusted(world);
    const put = (status: string): void =>
      world.put({
        apiVersion: "shieldx.dev/v1alpha1",
        kind: "CreditLedger",
        metadata: { name: "credits", namespace: "demo" },
        spec: { shardSet: NAME },
        status: { conditions: [{ type: "Ready", status }] },
      });
    put("False");
    ask(world, { "shieldx.dev/rotate-ca": "1" });
    await pass(world, 0);
    await pass(world, 60 * MINUTE);
    expect(issuers(world)).toEqual([first]);
    expect(condition(world, "AuthorityCurrent")).toContain(
      "3 of 3 shards trust the new CA; CreditLedger credits is not Ready, so its pods may not read a new CA; it signs",
    );
    put("True");
    await pass(world, 0);
    expect(issuers(world)).not.toEqual([first]);
  });

  test("is given up when its Secret is deleted before it signs", async () => {
    const world = await ready();
    const [first = ""] = trusted(world);
    ask(world, { "shieldx.dev/rotate-ca": "1" });
    await pass(world, MINUTE);
    world.edit("Secret", "bank-ca-next", () => undefined);
    await pass(world, 10 * MINUTE);
    expect([trusted(world), issuers(world)]).toEqual([[first], [first]]);
  });
});

describe("a CA", () => {
  test("is replaced by itself when a third of its life is left, after a week in which both are trusted", async () => {
    const world = await ready();
    const [first = ""] = trusted(world);
    await pass(world, PLAIN_CA_VALIDITY_MS * 0.66);
    expect(trusted(world)).toEqual([first]);
    await pass(world, PLAIN_CA_VALIDITY_MS * 0.01);
    await pass(world, 6 * 24 * 60 * MINUTE);
    expect([trusted(world).length, issuers(world)]).toEqual([2, [first]]);
    await pass(world, 2 * 24 * 60 * MINUTE);
    await pass(world, 4 * MINUTE);
    expect(trusted(world)).toEqual(issuers(world));
    expect(trusted(world)).not.toContain(first);
  });

  test("that somebody brought in place of ours signs what stands only when it is trusted, and stays theirs", async () => {
    const world = await ready();
    const [first = ""] = trusted(world);
    for (const shard of SHARDS) world.lag(shard);
    world.edit("Secret", "bank-ca-key", (secret) => ({
      ...secret,
      data: {
        ...(secret["data"] as object),
        "tls.crt": Buffer.from("CA of the bank made 1735689600000\n").toString("base64"),
      },
    }));
    await pass(world, 0);
    await pass(world, 60 * MINUTE);
    expect(issuers(world)).toEqual([first]);
    for (const shard of SHARDS) world.catchUp(shard);
    await pass(world, 0);
    await pass(world, 4 * MINUTE);
    expect([trusted(world), issuers(world)]).toEqual([
      ["CA of the bank made 1735689600000"],
      ["CA of the bank made 1735689600000"],
    ]);
    expect(condition(world, "AuthorityCurrent")).toContain(
      "is of somebody else's making, who has to replace it in time",
    );
    await pass(world, PLAIN_CA_VALIDITY_MS * 0.7);
    expect(trusted(world)).toHaveLength(1);
    // Asked for, it goes as any other does.
    ask(world, { "shieldx.dev/rotate-ca": "1" });
    await pass(world, 0);
    await pass(world, 11 * MINUTE);
    await pass(world, 4 * MINUTE);
    expect(trusted(world)).toEqual(issuers(world));
    expect(trusted(world)[0]).toMatch(/^CA demo\/bank/);
  });
});
