import { describe, expect, test } from "@jest/globals";
import { isScramVerifier } from "../../lib/core/scram-verifier.ts";
import { verifierMatches } from "../../lib/node/scram.ts";
import { PLAIN_VALIDITY_MS } from "../kit/testing/certificates.ts";
import { createMaker, type Made } from "./creditledger.make.ts";
import { serverNames } from "./creditledger.names.ts";
import { deps, kept, ROOTS, type Seen, target, world } from "./testing/builders.ts";

// What is made when, with certificates as plain text and a random source that counts.

const NOW = 1_750_000_000_000;

describe("roots", () => {
  test("are made when their Secrets are absent; nothing is derived from them yet", async () => {
    expect(await make({})).toEqual({
      pki: {
        ca: { certPem: `CA bank-ns/bank ledger CA made ${String(NOW)}\n`, keyPem: "key of bank-ns/bank ledger CA\n" },
        leaves: new Map(),
        rotation: expect.objectContaining({ step: "make" }),
      },
      adminKey: expect.stringMatching(/^sxk_[A-Za-z0-9_-]{43}$/),
      passwords: {
        owner: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
        writer: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
        reader: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      },
    });
  });

  test("are all different", async () => {
    const { adminKey, passwords } = await make({});
    const all = [adminKey?.slice(4), passwords?.owner, passwords?.writer, passwords?.reader];
    expect(new Set(all).size).toBe(4);
  });

  test("are left alone when they exist", async () => {
    const material = await make(ROOTS);
    expect(Object.keys(material).sort()).toEqual(["pki", "verifiers"]);
  });

  test.each([
    [{ caKey: kept("bank-ca-key", undefined) }, "Secret bank-ca-key lacks a key or its value"],
    [{ adminKey: kept("bank-admin-key", undefined) }, "Secret bank-admin-key lacks a key or its value"],
    [{ roles: kept("bank-roles", undefined) }, "Secret bank-roles lacks a key or its value"],
    [{ caKey: kept("bank-ca-key", { certPem: "garbage", keyPem: "key" }) }, "Secret bank-ca-key holds no usable CA"],
  ])("that cannot be read are a problem for people, never overwritten (%#)", async (changes, sentence) => {
    const { pki, problem = pki.problem, ...rest } = await make({ ...ROOTS, ...changes } as Seen);
    expect(problem).toContain(sentence);
    expect(problem).toMatch(/; restore it, or delete it to have it made anew$/);
    expect(pki.ca).toBeUndefined();
    expect(pki.leaves.size).toBe(0);
    expect(rest).not.toHaveProperty("adminKey");
    expect(rest).not.toHaveProperty("passwords");
  });
});

describe("verifiers", () => {
  test("fit the passwords, and are the same every time and after a restart", async () => {
    const { verifiers } = await make(ROOTS);
    expect(verifiers).toEqual((await make(ROOTS)).verifiers);
    expect(Object.values(verifiers ?? {}).every(isScramVerifier)).toBe(true);
    expect(verifierMatches(verifiers?.owner ?? "", "o")).toBe(true);
    expect(verifierMatches(verifiers?.writer ?? "", "w")).toBe(true);
    expect(verifierMatches(verifiers?.reader ?? "", "r")).toBe(true);
  });

  test("of two roles with the same password differ", async () => {
    const { verifiers } = await make({ ...ROOTS, roles: kept("bank-roles", { owner: "x", writer: "x", reader: "y" }) });
    expect(verifiers?.owner).not.toBe(verifiers?.writer);
  });

  test("are computed once for the same passwords", async () => {
    let computed = 0;
    const maker = createMaker(
      deps({
        scramVerifier: () => {
          computed += 1;
          return "v";
        },
      }),
    );
    await maker(world(ROOTS), NOW);
    await maker(world(ROOTS), NOW);
    expect(computed).toBe(3);
    await maker(world({ ...ROOTS, roles: kept("bank-roles", { owner: "n", writer: "w", reader: "r" }) }), NOW);
    expect(computed).toBe(6);
  });
});

describe("server certificate", () => {
  const good = `CA | until ${String(NOW + PLAIN_VALIDITY_MS)} | ${serverNames(target()).join(",")},bank\n`;
  const tls = (certPem: string): Seen => ({
    ...ROOTS,
    tls: kept("bank-tls", { certPem, keyPem: "key" }),
  });

  test("that is good stays", async () => {
    expect((await make(tls(good))).pki.leaves.size).toBe(0);
  });

  test.each<{ why: string; given: Seen }>([
    { why: "there is none", given: ROOTS },
    { why: "Secret bank-tls lacks a key", given: { ...ROOTS, tls: kept<never>("bank-tls", undefined) } },
    { why: "it is not from the CA that signs now", given: tls(good.replace("CA", "FORMER")) },
    {
      why: "less than a third of its life is left",
      given: tls(good.replace(/until \d+/, `until ${String(NOW + PLAIN_VALIDITY_MS / 3 - 1)}`)),
    },
    { why: "it lacks bank.bank-ns.svc.cluster.local", given: tls(good.replace("bank.bank-ns.svc.cluster.local,", "")) },
  ])("is made because $why", async ({ why, given }) => {
    const { pki } = await make(given);
    expect([...pki.leaves]).toEqual([["bank-tls", { why, pair: { certPem: good, keyPem: "leaf key\n" } }]]);
  });
});

function make(changes: Seen): Promise<Made> {
  return createMaker(deps())(world(changes), NOW);
}
