import type { CertificatePair, CertificateRequest, CertificateUse } from "../../../lib/node/certificates.ts";

/** A certificate and its private key, PEM. */
export type KeyPair = CertificatePair;

/** Makes and reads certificates; `lib/node/certificates.ts` has this shape. Times are milliseconds since the epoch. */
export interface Certificates {
  createCertificateAuthority(commonName: string, now: number): Promise<KeyPair>;
  issueCertificate(ca: KeyPair, request: CertificateRequest, now: number): Promise<KeyPair>;
  /** Why a CA cannot sign, as the end of a sentence. @param remainingMs of its life must be left */
  authorityProblem(ca: KeyPair, now: number, remainingMs: number): string | undefined;
  /** Why a certificate has to be made anew, as the end of a sentence. */
  renewalReason(pair: KeyPair, use: CertificateUse, now: number): string | undefined;
}
