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
  /** True when the CA signed the certificate and the key fits it; false for what cannot be read. */
  isIssuedBy(pair: KeyPair, caCertPem: string): boolean;
  /** True when a third of the certificate's life or less is left. @throws OperatorError CERTIFICATE_INVALID */
  isDueForRenewal(certPem: string, now: number): boolean;
  /** @throws OperatorError CERTIFICATE_INVALID */
  readCertificate(certPem: string): {
    readonly commonName: string;
    readonly notBefore: number;
    readonly notAfter: number;
  };
}
