/** A certificate and its private key, PEM. */
export interface KeyPair {
  readonly certPem: string;
  readonly keyPem: string;
}

/** What to put into a certificate. */
export interface CertificateRequest {
  readonly commonName: string;
  readonly usage: "server" | "client";
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

/** Makes and reads certificates; `lib/node/certificates.ts` has this shape. Times are milliseconds since the epoch. */
export interface Certificates {
  createCertificateAuthority(commonName: string, now: number): Promise<KeyPair>;
  issueCertificate(ca: KeyPair, request: CertificateRequest, now: number): Promise<KeyPair>;
  /** Why a CA cannot sign, as the end of a sentence. @param remainingMs of its life must be left */
  authorityProblem(ca: KeyPair, now: number, remainingMs: number): string | undefined;
  /** Why a certificate has to be made anew, as the end of a sentence. */
  renewalReason(
    pair: KeyPair,
    use: Pick<CertificateRequest, "dnsNames" | "ipAddresses"> & { readonly caCertPem: string },
    now: number,
  ): string | undefined;
}
