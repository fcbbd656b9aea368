import { systemClock } from "../../../lib/core/clock.ts";
import { type CertificatePair, createCertificateAuthority, issueCertificate } from "../../../lib/node/certificates.ts";

/** A CA of somebody else's. */
export function foreignAuthority(): Promise<CertificatePair> {
  return createCertificateAuthority("somebody else", systemClock.now());
}

/** A certificate for the loopback address, valid for 90 days. */
export function loopbackCertificate(ca: CertificatePair): Promise<CertificatePair> {
  const request = { commonName: "gadgets", usage: "server", ipAddresses: ["127.0.0.1"] } as const;
  return issueCertificate(ca, request, systemClock.now());
}
