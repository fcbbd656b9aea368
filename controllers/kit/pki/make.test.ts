import { beforeAll, describe, expect, test } from "@jest/globals";
import { certificatesIn } from "../../../lib/core/trust-bundle.ts";
import { RESOURCES } from "../../../lib/kube/types.ts";
import type { CertificateRequest } from "../../../lib/node/certificates.ts";
import {
  authorityProblem,
  CA_VALIDITY_DAYS,
  CERTIFICATE_VALIDITY_DAYS,
  createCertificateAuthority,
  isDueForRenewal,
  isIssuedBy,
  issueCertificate,
  readCertificate,
  renewalReason,
} from "../../../lib/node/certificates.ts";
import { rsaAuthority } from "../../../lib/node/testing/authorities.ts";
import type { Kept } from "../secrets.ts";
import type { Certificates, KeyPair } from "./certificates.ts";
import { type Leaf, type MadePki, makePki } from "./make.ts";

// What is made when, with the certificates that go out into clusters.

const NOW = Date.parse("2026-03-01T12:00:00Z");
const DAY = 86_400_000;
const REQUEST: CertificateRequest = {
  commonName: "bank-0",
  usage: "server",
  dnsNames: ["bank-0", "bank-0.demo.svc"],
  ipAddresses: ["127.0.0.1"],
};
const CERTIFICATES: Certificates = {
  createCertificateAuthority,
  issueCertificate,
  authorityProblem,
  renewalReason,
  isIssuedBy,
  isDueForRenewal,
  readCertificate,
};

let ca: KeyPair;
let otherCa: KeyPair;
beforeAll(async () => {
  ca = await createCertificateAuthority("bank CA", NOW);
  otherCa = await createCertificateAuthority("bank CA", NOW);
});

const kept = (name: string, value: KeyPair | undefined): Kept<KeyPair> => ({
  resource: RESOURCES.Secret,
  namespace: "demo",
  name,
  uid: `uid-${name}`,
  value,
});
const leaf = (pair?: Kept<KeyPair>): Leaf => ({ secret: "bank-0-tls", kept: pair, request: REQUEST });

function make(caKey: Kept<KeyPair> | undefined, leaves: readonly Leaf[], now = NOW): Promise<MadePki> {
  return makePki(CERTIFICATES, { commonName: "bank CA", caKey, leaves }, now);
}

describe("a CA", () => {
  test("that is absent is made, and nothing is derived from it before it is kept", async () => {
    const made = await make(undefined, [leaf()]);
    expect(readCertificate(made.ca?.certPem ?? "")).toMatchObject({
      commonName: "bank CA",
      notAfter: NOW + CA_VALIDITY_DAYS * DAY,
    });
    expect([made.rotation?.step, made.leaves.size, made.bundle]).toEqual(["make", 0, undefined]);
  });

  test("that is good is kept, and signs what is missing", async () => {
    const made = await make(kept("bank-ca-key", ca), [leaf()]);
    expect([made.ca, made.next, made.problem, made.bundle]).toEqual([undefined, undefined, undefined, ca.certPem]);
    expect([...made.leaves.keys()]).toEqual(["bank-0-tls"]);
  });

  const wayOut = "; restore it, or delete it to have it made anew";
  test.each<[string, () => KeyPair | undefined | Promise<KeyPair>, string]>([
    ["without one of its keys", () => undefined, "lacks a key or its value"],
    [
      "of RSA",
      () => rsaAuthority(NOW),
      "holds no usable CA (its key is RSA 2048, and certificates are signed with ECDSA P-256)",
    ],
    [
      "that has expired",
      () => createCertificateAuthority("bank CA", NOW - (CA_VALIDITY_DAYS + 1) * DAY),
      "holds no usable CA (its validity ends at 2026-02-28T12:00:00.000Z)",
    ],
    [
      "that ends within the hour",
      () => createCertificateAuthority("bank CA", NOW - CA_VALIDITY_DAYS * DAY + 3_600_000),
      "holds no usable CA (its validity ends at 2026-03-01T13:00:00.000Z)",
    ],
    [
      "with another one's key",
      () => ({ certPem: ca.certPem, keyPem: otherCa.keyPem }),
      "holds no usable CA (its key does not fit its certificate)",
    ],
    [
      "that is no CA",
      () => issueCertificate(ca, REQUEST, NOW),
      "holds no usable CA (its certificate is not that of a CA)",
    ],
    [
      "that cannot be read",
      () => ({ certPem: "?", keyPem: "?" }),
      "holds no usable CA (its certificate cannot be read)",
    ],
  ])("%s is a problem with a way out, and signs nothing, however often it is asked", async (_name, caOf, why) => {
    const caKey = kept("bank-ca-key", await caOf());
    const wanted = { problem: `Secret bank-ca-key ${why}${wayOut}`, leaves: new Map() };
    expect(await make(caKey, [leaf()])).toEqual(wanted);
    expect(await make(caKey, [leaf()])).toEqual(wanted);
  });

  test("that ends a moment after the hour signs what lives as long as itself, and once", async () => {
    const short = await createCertificateAuthority("bank CA", NOW - CA_VALIDITY_DAYS * DAY + 3_601_000);
    const caKey = kept("bank-ca-key", short);
    const { leaves, problem } = await make(caKey, [leaf()]);
    expect(problem).toBeUndefined();
    const pair = leaves.get("bank-0-tls")?.pair;
    expect(readCertificate(pair?.certPem ?? "").notAfter).toBe(NOW + 3_601_000);
    expect((await make(caKey, [leaf(kept("bank-0-tls", pair))])).leaves.size).toBe(0);
  });
});

describe("a certificate", () => {
  const issue = (from: KeyPair, request = REQUEST): Promise<KeyPair> => issueCertificate(from, request, NOW);

  test.each<[string, () => Promise<KeyPair | undefined>, number, string]>([
    ["from another CA", () => issue(otherCa), 0, "it is not from the CA that signs now"],
    ["that is due", () => issue(ca), 61, "less than a third of its life is left"],
    ["that lacks a name", () => issue(ca, { ...REQUEST, dnsNames: ["bank-0"] }), 0, "it lacks bank-0.demo.svc"],
    ["that lacks an address", () => issue(ca, { ...REQUEST, ipAddresses: [] }), 0, "it lacks 127.0.0.1"],
    ["that cannot be read", async () => ({ certPem: "?", keyPem: "?" }), 0, "it is not from the CA that signs now"],
    [
      "with another one's key",
      async () => ({ certPem: (await issue(ca)).certPem, keyPem: (await issue(ca)).keyPem }),
      0,
      "it is not from the CA that signs now",
    ],
    ["without one of its keys", async () => undefined, 0, "Secret bank-0-tls lacks a key"],
  ])("%s is made anew once, and says why", async (_name, pairOf, afterDays, why) => {
    const now = NOW + afterDays * DAY;
    const caKey = kept("bank-ca-key", ca);
    const { leaves } = await make(caKey, [leaf(kept("bank-0-tls", await pairOf()))], now);
    const made = leaves.get("bank-0-tls");
    expect([...leaves.keys(), made?.why]).toEqual(["bank-0-tls", why]);
    expect(readCertificate(made?.pair.certPem ?? "")).toEqual({
      commonName: "bank-0",
      notBefore: now - 5 * 60_000,
      notAfter: now + CERTIFICATE_VALIDITY_DAYS * DAY,
      dnsNames: REQUEST.dnsNames,
      ipAddresses: REQUEST.ipAddresses,
    });
    expect((await make(caKey, [leaf(kept("bank-0-tls", made?.pair))], now)).leaves.size).toBe(0);
  });

  test("that there is none of is made", async () => {
    const { leaves } = await make(kept("bank-ca-key", ca), [leaf()]);
    expect(leaves.get("bank-0-tls")?.why).toBe("there is none");
  });

  test("that is good is left alone beside one that is not", async () => {
    const good = leaf(kept("bank-0-tls", await issue(ca)));
    const { leaves } = await make(kept("bank-ca-key", ca), [good, { ...leaf(), secret: "bank-1-tls" }]);
    expect([...leaves.keys()]).toEqual(["bank-1-tls"]);
  });
});

describe("a former CA", () => {
  test.each([
    ["stays trusted while those who say nothing may still show its certificates", 179_000, 2],
    ["leaves the bundle after three minutes", 180_000, 1],
  ])("%s", async (_name, afterMs, trusted) => {
    const pair = await issueCertificate(otherCa, REQUEST, NOW);
    const bundle = { ...kept("bank-ca", undefined), value: `${ca.certPem}${otherCa.certPem}` };
    const needs = {
      commonName: "bank CA",
      caKey: kept("bank-ca-key", otherCa),
      ca: bundle,
      leaves: [leaf(kept("l", pair))],
    };
    const made = await makePki(CERTIFICATES, needs, NOW + afterMs);
    expect(certificatesIn(made.bundle)).toHaveLength(trusted);
  });
});
