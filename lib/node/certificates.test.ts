import { X509Certificate } from "node:crypto";
import { connect, createServer } from "node:tls";
import { describe, expect, test } from "@jest/globals";
import {
  CA_VALIDITY_DAYS,
  CERTIFICATE_VALIDITY_DAYS,
  createCertificateAuthority,
  isCertificateAuthority,
  isIssuedBy,
  issueCertificate,
  needsRenewal,
  readCertificate,
} from "./certificates.ts";

// Certificates are checked by node:crypto, which did not make them: two implementations must agree.

const DAY = 86_400_000;
const NOW = Date.parse("2026-03-01T12:00:00Z");

describe("a certificate authority", () => {
  test("signs for ten years and is told apart from other certificates", async () => {
    const ca = await createCertificateAuthority("shieldx bank", NOW);
    const info = readCertificate(ca.certPem);
    expect(info).toMatchObject({ commonName: "shieldx bank", dnsNames: [], ipAddresses: [] });
    expect(info.notAfter).toBe(NOW + CA_VALIDITY_DAYS * DAY);
    expect(isCertificateAuthority(ca)).toBe(true);
    const leaf = await issueCertificate(ca, { commonName: "x", usage: "client" }, NOW);
    expect(isCertificateAuthority(leaf)).toBe(false);
  });

  test("two of the same name are different authorities", async () => {
    const [one, other] = await Promise.all([
      createCertificateAuthority("same", NOW),
      createCertificateAuthority("same", NOW),
    ]);
    const leaf = await issueCertificate(one, { commonName: "x", usage: "server" }, NOW);
    expect(isIssuedBy(leaf, one.certPem)).toBe(true);
    expect(isIssuedBy(leaf, other.certPem)).toBe(false);
    expect(isCertificateAuthority({ certPem: one.certPem, keyPem: other.keyPem })).toBe(false);
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

  test.each([
    { name: "fresh", afterDays: 0, want: false },
    { name: "a day before a third is left", afterDays: 59, want: false },
    { name: "a day after", afterDays: 61, want: true },
    { name: "expired", afterDays: 91, want: true },
  ])("renewal: $name", async ({ afterDays, want }) => {
    const ca = await createCertificateAuthority("ca", NOW);
    const leaf = await issueCertificate(ca, { commonName: "x", usage: "server" }, NOW);
    expect(needsRenewal(leaf.certPem, NOW + afterDays * DAY)).toBe(want);
  });

  test("unreadable text is renewed, and reading it is a coded error", () => {
    expect(needsRenewal("", NOW)).toBe(true);
    expect(isIssuedBy({ certPem: "", keyPem: "" }, "")).toBe(false);
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
