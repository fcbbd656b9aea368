import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { connect, createServer } from "node:tls";
import { describe, expect, test } from "@jest/globals";
import {
  authorityProblem,
  CA_VALIDITY_DAYS,
  CERTIFICATE_VALIDITY_DAYS,
  type CertificatePair,
  createCertificateAuthority,
  isIssuedBy,
  issueCertificate,
  readCertificate,
  renewalReason,
} from "./certificates.ts";
import { rsaAuthority } from "./testing/authorities.ts";

// Certificates are checked by node:crypto, which did not make them: two implementations must agree.

const DAY = 86_400_000;
const NOW = Date.parse("2026-03-01T12:00:00Z");

describe("a certificate authority", () => {
  test("signs for ten years and is told apart from other certificates", async () => {
    const ca = await createCertificateAuthority("shieldx bank", NOW);
    const info = readCertificate(ca.certPem);
    expect(info).toMatchObject({ commonName: "shieldx bank", dnsNames: [], ipAddresses: [] });
    expect(info.notAfter).toBe(NOW + CA_VALIDITY_DAYS * DAY);
    expect(authorityProblem(ca, NOW)).toBeUndefined();
    const leaf = await issueCertificate(ca, { commonName: "x", usage: "client" }, NOW);
    expect(authorityProblem(leaf, NOW)).toBe("its certificate is not that of a CA");
  });

  test("two of the same name are different authorities", async () => {
    const [one, other] = await Promise.all([
      createCertificateAuthority("same", NOW),
      createCertificateAuthority("same", NOW),
    ]);
    const leaf = await issueCertificate(one, { commonName: "x", usage: "server" }, NOW);
    expect(isIssuedBy(leaf, one.certPem)).toBe(true);
    expect(isIssuedBy(leaf, other.certPem)).toBe(false);
  });

  test.each<[string, (ca: CertificatePair) => CertificatePair, number, string]>([
    ["an unreadable certificate", (ca) => ({ ...ca, certPem: "?" }), 0, "its certificate cannot be read"],
    ["an unreadable key", (ca) => ({ ...ca, keyPem: "?" }), 0, "its key cannot be read"],
    ["the key of another", (ca) => ({ ...ca, keyPem: anotherKey() }), 0, "its key does not fit its certificate"],
    ["a time to come", (ca) => ca, -1, "it is valid from 2026-03-01T11:55:00.000Z on"],
    ["a time that is over", (ca) => ca, CA_VALIDITY_DAYS, "its validity ends at 2036-02-27T12:00:00.000Z"],
  ])("with %s cannot sign, and says why", async (_name, spoil, afterDays, want) => {
    const ca = spoil(await createCertificateAuthority("ca", NOW));
    expect(authorityProblem(ca, NOW + afterDays * DAY)).toBe(want);
    await expect(
      issueCertificate(ca, { commonName: "x", usage: "server" }, NOW + afterDays * DAY),
    ).rejects.toMatchObject({ code: "CERTIFICATE_INVALID", message: `the CA cannot sign: ${want}` });
  });

  test("of RSA is named as such: what it signs would be signed in another way", async () => {
    const ca = await rsaAuthority(NOW);
    expect(authorityProblem(ca, NOW)).toBe("its key is RSA 2048, and certificates are signed with ECDSA P-256");
  });

  test("that is about to end can be told in time", async () => {
    const ca = await createCertificateAuthority("ca", NOW);
    const end = NOW + CA_VALIDITY_DAYS * DAY;
    expect(authorityProblem(ca, end - 3_600_001, 3_600_000)).toBeUndefined();
    expect(authorityProblem(ca, end - 3_600_000, 3_600_000)).toMatch(/^its validity ends at /);
  });

  test("a CA whose key is another one's is refused", async () => {
    const [one, other] = await Promise.all([
      createCertificateAuthority("a", NOW),
      createCertificateAuthority("b", NOW),
    ]);
    const mixed = { certPem: one.certPem, keyPem: other.keyPem };
    await expect(issueCertificate(mixed, { commonName: "x", usage: "server" }, NOW)).rejects.toMatchObject({
      code: "CERTIFICATE_INVALID",
    });
  });
});

describe("an issued certificate", () => {
  test("names its hosts and addresses, and lives 90 days", async () => {
    const ca = await createCertificateAuthority("ca", NOW);
    const request = {
      commonName: "bank-0",
      usage: "server" as const,
      dnsNames: ["bank-0", "bank-0.demo.svc", "localhost"],
      ipAddresses: ["127.0.0.1"],
    };
    const info = readCertificate((await issueCertificate(ca, request, NOW)).certPem);
    expect(info).toEqual({
      commonName: "bank-0",
      notBefore: NOW - 5 * 60_000,
      notAfter: NOW + CERTIFICATE_VALIDITY_DAYS * DAY,
      dnsNames: request.dnsNames,
      ipAddresses: request.ipAddresses,
    });
  });

  test("never outlives its CA", async () => {
    const ca = await createCertificateAuthority("ca", NOW - (CA_VALIDITY_DAYS - 10) * DAY);
    const leaf = await issueCertificate(ca, { commonName: "x", usage: "server" }, NOW);
    expect(readCertificate(leaf.certPem).notAfter).toBe(NOW + 10 * DAY);
  });

  test("carries one extended key usage", async () => {
    const ca = await createCertificateAuthority("ca", NOW);
    const server = await issueCertificate(ca, { commonName: "x", usage: "server" }, NOW);
    const client = await issueCertificate(ca, { commonName: "x", usage: "client" }, NOW);
    expect(new X509Certificate(server.certPem).keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(new X509Certificate(client.certPem).keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
  });

  test.each<[string, number, string | undefined]>([
    ["fresh", 0, undefined],
    ["a day before a third is left", 59, undefined],
    ["a day after", 61, "less than a third of its life is left"],
    ["expired", 91, "less than a third of its life is left"],
  ])("%s: after %i days it is renewed because %s", async (_name, afterDays, want) => {
    const ca = await createCertificateAuthority("ca", NOW);
    const leaf = await issueCertificate(ca, { commonName: "x", usage: "server" }, NOW);
    expect(renewalReason(leaf, { caCertPem: ca.certPem }, NOW + afterDays * DAY)).toBe(want);
  });

  test("is renewed for a name or an address that it lacks, and under another CA", async () => {
    const ca = await createCertificateAuthority("ca", NOW);
    const names = { dnsNames: ["a"], ipAddresses: ["127.0.0.1"] };
    const leaf = await issueCertificate(ca, { commonName: "x", usage: "server", ...names }, NOW);
    const why = (use: object): string | undefined => renewalReason(leaf, { caCertPem: ca.certPem, ...use }, NOW);
    expect(why(names)).toBeUndefined();
    expect(why({ dnsNames: ["a", "b"], ipAddresses: ["127.0.0.1", "127.0.0.2"] })).toBe("it lacks b, 127.0.0.2");
    const other = await createCertificateAuthority("ca", NOW);
    expect(why({ caCertPem: other.certPem })).toBe("it is not from the CA that signs now");
  });

  test("unreadable text is renewed, and reading it is a coded error", () => {
    const unreadable = { certPem: "", keyPem: "" };
    expect(renewalReason(unreadable, { caCertPem: "" }, NOW)).toBe("it is not from the CA that signs now");
    expect(isIssuedBy(unreadable, "")).toBe(false);
    expect(() => readCertificate("-----BEGIN CERTIFICATE-----\nnothing\n")).toThrow(
      expect.objectContaining({ code: "CERTIFICATE_INVALID" }),
    );
  });

  test("is accepted in a TLS 1.3 handshake with mutual verification", async () => {
    // The handshake checks validity against the machine's clock, so these certificates start today.
    const today = performance.timeOrigin + performance.now();
    const ca = await createCertificateAuthority("ca", today);
    const server = await issueCertificate(ca, { commonName: "s", usage: "server", ipAddresses: ["127.0.0.1"] }, today);
    const client = await issueCertificate(ca, { commonName: "shieldx-operator", usage: "client" }, today);
    const subject = await new Promise<unknown>((resolve, reject) => {
      const listener = createServer(
        {
          cert: server.certPem,
          key: server.keyPem,
          ca: ca.certPem,
          requestCert: true,
          rejectUnauthorized: true,
          minVersion: "TLSv1.3",
        },
        (socket) => {
          resolve(socket.getPeerCertificate().subject);
          socket.destroy();
          listener.close();
        },
      );
      listener.on("tlsClientError", reject);
      listener.listen(0, "127.0.0.1", () => {
        const { port } = listener.address() as { port: number };
        const options = { port, host: "127.0.0.1", ca: ca.certPem, cert: client.certPem, key: client.keyPem };
        connect(options).on("error", reject);
      });
    });
    expect(subject).toMatchObject({ CN: "shieldx-operator" });
  });
});

function anotherKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}
