import { describe, expect, test } from "@jest/globals";
import { withCertificate } from "../../../lib/core/trust-bundle.ts";
import { RESOURCES } from "../../../lib/kube/types.ts";
import { type Kept, secretText } from "../secrets.ts";
import { linesOf, OWNER, objectOf } from "../testing/owner.ts";
import { atRest } from "../testing/pki.ts";
import type { KeyPair } from "./certificates.ts";
import { type NamedLeaf, type PkiState, pkiActions } from "./objects.ts";

// The Secrets of a CA and its certificates: what is in them, whose they are, what the log says.

const SIGNING = "SIGNING CA\n";

const kept = <T>(name: string, value: T | undefined): Kept<T> => ({
  resource: RESOURCES.Secret,
  namespace: "demo",
  name,
  uid: `uid-${name}`,
  value,
});
const pair = (name: string): KeyPair => ({ certPem: `cert of ${name}\n`, keyPem: `key of ${name}\n` });
const leaf = (shard: number, changes: Partial<NamedLeaf> = {}): NamedLeaf => ({
  secret: `bank-${shard}-tls`,
  kept: kept(`bank-${shard}-tls`, pair(`shard ${shard}`)),
  what: `certificate of shard ${shard}`,
  labels: { "shieldx.dev/shard": String(shard) },
  request: { commonName: `bank-${shard}`, usage: "server" },
  ...changes,
});
const state = (changes: Partial<PkiState> = {}): PkiState => {
  const given = bare(changes);
  return { ...given, made: atRest(given, given.made) };
};
const bare = (changes: Partial<PkiState>): PkiState => ({
  owner: OWNER,
  names: { ca: "bank-ca", caKey: "bank-ca-key", caNext: "bank-ca-next" },
  caKey: kept("bank-ca-key", { certPem: SIGNING, keyPem: "signing key\n" }),
  ca: kept("bank-ca", SIGNING),
  leaves: [leaf(0)],
  made: { leaves: new Map() },
  ...changes,
});

const all = (given: PkiState): string[] => {
  const { authority, certificates } = pkiActions(given);
  return linesOf([...authority, ...certificates]);
};

function textsOf(given: PkiState, index: number, keys: readonly string[]): (string | undefined)[] {
  const { authority, certificates } = pkiActions(given);
  const text = secretText(objectOf([...authority, ...certificates][index]));
  return keys.map(text);
}

describe("the bundle", () => {
  test.each([
    ["without one is the CA that signs", undefined, SIGNING],
    ["with that CA in it stays", SIGNING, SIGNING],
    ["with that CA in it, not at its end, stays", `${SIGNING}FORMER CA\n`, `${SIGNING}FORMER CA\n`],
    ["with another CA keeps it, and gets the one that signs", "FORMER CA\n", `FORMER CA\n${SIGNING}`],
    ["that ends without a newline gets one", "FORMER CA", `FORMER CA\n${SIGNING}`],
  ])("%s", (_name, bundle, want) => {
    expect(withCertificate(bundle, SIGNING)).toBe(want);
  });

  test("has each CA once, however often it is written", () => {
    const once = withCertificate("FORMER CA\n", SIGNING);
    expect(withCertificate(once, SIGNING)).toBe(once);
  });

  test("is the same beside each certificate", () => {
    const given = state({ ca: kept("bank-ca", "FORMER CA\n") });
    const bundle = `FORMER CA\n${SIGNING}`;
    expect(textsOf(given, 0, ["ca.crt"])).toEqual([bundle]);
    expect(textsOf(given, 1, ["ca.crt", "tls.crt", "tls.key"])).toEqual([
      bundle,
      "cert of shard 0\n",
      "key of shard 0\n",
    ]);
  });

  test("that lost its text is made anew from the CA that signs", () => {
    expect(textsOf(state({ ca: kept<string>("bank-ca", undefined) }), 0, ["ca.crt"])).toEqual([SIGNING]);
  });
});

describe("what is written, and why", () => {
  const renewed = { pair: pair("the renewal"), why: "less than a third of its life is left" };

  test.each<[string, Partial<PkiState>, readonly string[]]>([
    [
      "without a CA, the CA and nothing beside it",
      { caKey: undefined, ca: undefined, made: { ca: pair("CA"), leaves: new Map() } },
      ["create Secret bank-ca-key: there is no CA yet"],
    ],
    [
      "at rest, all as it is",
      {},
      [
        "apply Secret bank-ca: clients trust the CA that signs now",
        "apply Secret bank-0-tls: the certificate of shard 0 is good",
      ],
    ],
    [
      "a renewal with its reason",
      { made: { leaves: new Map([["bank-0-tls", renewed]]) } },
      [
        "apply Secret bank-ca: clients trust the CA that signs now",
        "apply Secret bank-0-tls: new certificate of shard 0: less than a third of its life is left",
      ],
    ],
    [
      "no certificate that neither is nor was made",
      { leaves: [leaf(0, { kept: undefined }), leaf(1, { kept: kept<KeyPair>("bank-1-tls", undefined) })] },
      ["apply Secret bank-ca: clients trust the CA that signs now"],
    ],
    ["with a CA that cannot be used, nothing", { made: { problem: "it is RSA", leaves: new Map() } }, []],
    ["with a CA that lacks a part, nothing", { caKey: kept<KeyPair>("bank-ca-key", undefined) }, []],
  ])("%s", (_name, changes, want) => {
    expect(all(state(changes))).toEqual(want);
  });

  test("a renewal is written in place of what was kept", () => {
    const given = state({ made: { leaves: new Map([["bank-0-tls", renewed]]) } });
    expect(textsOf(given, 1, ["tls.crt", "tls.key"])).toEqual([renewed.pair.certPem, renewed.pair.keyPem]);
  });
});

describe("whose it is", () => {
  test("the CA and its bundle outlive the resource, a certificate goes with it", () => {
    const [caKey] = pkiActions(state({ caKey: undefined, made: { ca: pair("CA"), leaves: new Map() } })).authority;
    const { authority, certificates } = pkiActions(state());
    expect(objectOf(caKey).metadata.ownerReferences).toBeUndefined();
    expect(objectOf(authority[0]).metadata.ownerReferences).toBeUndefined();
    expect(objectOf(certificates[0]).metadata.ownerReferences).toMatchObject([{ uid: "uid-bank", controller: true }]);
  });

  test("types and labels are those that others look for", () => {
    const [caKey] = pkiActions(state({ caKey: undefined, made: { ca: pair("CA"), leaves: new Map() } })).authority;
    const { authority, certificates } = pkiActions(state());
    const typeOf = (action: Parameters<typeof objectOf>[0]): unknown => objectOf(action)["type"];
    expect([caKey, authority[0], certificates[0]].map(typeOf)).toEqual([
      "kubernetes.io/tls",
      "Opaque",
      "kubernetes.io/tls",
    ]);
    expect(objectOf(certificates[0]).metadata.labels).toMatchObject({
      "shieldx.dev/name": "bank",
      "shieldx.dev/shard": "0",
    });
  });
});
