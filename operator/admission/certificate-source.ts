import { createPrivateKey, X509Certificate } from "node:crypto";
import { OperatorError } from "../../lib/core/errors.ts";

/** A certificate and key that fit each other, and what the server must know of them. */
export interface ServingCertificate {
  /** The certificate, followed by the intermediate ones if there are any; PEM. */
  readonly certPem: string;
  readonly keyPem: string;
  /** SHA-256 of the certificate, colon separated. */
  readonly fingerprint: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Where the webhook server's certificate comes from. */
export interface CertificateSource {
  /**
   * Looks for certificates until the signal aborts and hands each new one over, the first as soon as there is one.
   * Trouble is logged, counted and looked at again: what is in use stays in use. Never rejects.
   */
  run(signal: AbortSignal, use: (certificate: ServingCertificate) => void): Promise<void>;
  /** What keeps the source from doing its work right now, one line for people; `undefined` when nothing does. */
  trouble(): string | undefined;
}

/**
 * Checks that a pair can be shown at `now` (milliseconds since the epoch). Nothing of the key gets into a message.
 * @param where names the pair in messages @throws OperatorError CERTIFICATE_INVALID
 */
export function servingCertificate(
  where: string,
  pair: { readonly certPem: string; readonly keyPem: string },
  now: number,
): ServingCertificate {
  const { certPem, keyPem } = pair;
  let certificate: X509Certificate;
  let fits: boolean;
  try {
    certificate = new X509Certificate(certPem);
    fits = certificate.checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    throw new OperatorError("CERTIFICATE_INVALID", `${where}: certificate or key is not readable PEM`);
  }
  if (!fits) throw new OperatorError("CERTIFICATE_INVALID", `${where}: certificate and key do not fit each other`);
  const notBefore = Date.parse(certificate.validFrom);
  const notAfter = Date.parse(certificate.validTo);
  const trouble = invalidAt({ notBefore, notAfter }, now);
  if (trouble !== undefined) throw new OperatorError("CERTIFICATE_INVALID", `${where}: the certificate ${trouble}`);
  return { certPem, keyPem, fingerprint: certificate.fingerprint256, notBefore, notAfter };
}

/** Why no caller would accept a certificate at `now`; `undefined` when one would. */
export function invalidAt(
  { notBefore, notAfter }: Pick<ServingCertificate, "notBefore" | "notAfter">,
  now: number,
): string | undefined {
  if (now > notAfter) return `expired at ${new Date(notAfter).toISOString()}`;
  if (now < notBefore) return `is not valid before ${new Date(notBefore).toISOString()}`;
  return undefined;
}
