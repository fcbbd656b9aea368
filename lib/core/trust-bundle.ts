import { sha256 } from "./canonical.ts";

// Bundles of CA certificates as text (PEM, one after another), for all who make or compare them.

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * Certificates of a bundle, each once, in order, without white space around. What stands between them is left out; a text
 * without a single one is taken line by line, so that nothing that somebody wrote is lost.
 */
export function certificatesIn(bundle: string | undefined): string[] {
  if (bundle === undefined) return [];
  const found = bundle.match(CERTIFICATE) ?? bundle.split("\n").map((line) => line.trim());
  return [...new Set(found)].filter((text) => text !== "");
}

/** A certificate as a bundle has it. */
export interface BundledCertificate {
  readonly pem: string;
  /** What is called its fingerprint: see `certificateDigest`. */
  readonly digest: string;
}

/** Certificates of a bundle as `certificatesIn` finds them, with their digests. */
export function readBundle(bundle: string | undefined): BundledCertificate[] {
  return certificatesIn(bundle).map((pem) => ({ pem, digest: certificateDigest(pem) }));
}

/** All certificates of several bundles in one; `undefined` without a single one. */
export function mergedBundle(bundles: readonly (string | undefined)[]): string | undefined {
  const all = bundles.flatMap(certificatesIn);
  return all.length === 0 ? undefined : bundleOf(all);
}

/** A bundle of these certificates, each once. */
export function bundleOf(certificates: readonly string[]): string {
  return [...new Set(certificates.map((text) => text.trim()))].map((text) => `${text}\n`).join("");
}

/** The bundle with a certificate in it; what is in it stays as it is. */
export function withCertificate(bundle: string | undefined, certificate: string): string {
  if (bundle === undefined) return certificate;
  return bundle.includes(certificate.trim()) ? bundle : `${bundle.trimEnd()}\n${certificate}`;
}

/** The bundle without a certificate; the rest stays as it is. */
export function withoutCertificate(bundle: string, certificate: string): string {
  const text = certificate.trim();
  return bundle.replace(`${text}\n`, "").replace(text, "");
}

/** SHA-256 of the first certificate of a PEM text, 64 hex digits: what is called its fingerprint. */
export function certificateDigest(pem: string): string {
  const [first = ""] = certificatesIn(pem);
  const body = /^-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----$/.exec(first)?.[1];
  return sha256(body === undefined ? first : Buffer.from(body, "base64")).toString("hex");
}
