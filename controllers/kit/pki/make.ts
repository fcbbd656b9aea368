import type { CertificateRequest } from "../../../lib/node/certificates.ts";
import type { Kept } from "../secrets.ts";
import type { Certificates, KeyPair } from "./certificates.ts";

// The CA is made only when its Secret is absent, and certificates only from the CA that the cache holds: a CA made twice
// by a stale cache is discarded by `create`, and nothing was derived from it.

/** A certificate to keep in a Secret of its own. */
export interface Leaf {
  /** Name of the Secret. */
  readonly secret: string;
  readonly kept: Kept<KeyPair> | undefined;
  readonly request: CertificateRequest;
}

/** What a resource's certificates are made from. */
export interface PkiNeeds {
  /** Subject of a new CA. */
  readonly commonName: string;
  readonly caKey: Kept<KeyPair> | undefined;
  readonly leaves: readonly Leaf[];
}

/** A certificate that was made now, and why. */
export interface NewCertificate {
  readonly pair: KeyPair;
  readonly why: string;
}

/** What was made for one reconcile. Absent members were not needed or cannot be made yet. */
export interface MadePki {
  /** New CA: its Secret is absent. */
  readonly ca?: KeyPair;
  /** New certificates by their Secret. */
  readonly leaves: ReadonlyMap<string, NewCertificate>;
  /** Why the kept CA cannot be used, and the way out. */
  readonly problem?: string;
}

/**
 * A CA that ends sooner signs no more: its certificates would live for minutes and be due at once, so that each
 * reconcile would make new ones.
 */
const AUTHORITY_REMAINING_MS = 3_600_000;

/** Makes what is missing or due. @param now milliseconds since the epoch */
export async function makePki(certificates: Certificates, needs: PkiNeeds, now: number): Promise<MadePki> {
  const { caKey } = needs;
  if (caKey === undefined) {
    return { ca: await certificates.createCertificateAuthority(needs.commonName, now), leaves: new Map() };
  }
  const ca = caKey.value;
  const why = ca === undefined ? undefined : certificates.authorityProblem(ca, now, AUTHORITY_REMAINING_MS);
  if (ca === undefined || why !== undefined) {
    const what = why === undefined ? "lacks a key or its value" : `holds no usable CA (${why})`;
    return { problem: `Secret ${caKey.name} ${what}; ${WAY_OUT}`, leaves: new Map() };
  }
  const leaves = new Map<string, NewCertificate>();
  for (const { secret, kept, request } of needs.leaves) {
    const reason = whyNew(certificates, { kept, request, ca }, now);
    if (reason === undefined) continue;
    leaves.set(secret, { pair: await certificates.issueCertificate(ca, request, now), why: reason });
  }
  return { leaves };
}

/** What people can do about a root that cannot be used: it is never written over, since it may be the only key to data. */
export const WAY_OUT = "restore it, or delete it to have it made anew";

function whyNew(
  certificates: Certificates,
  { kept, request, ca }: Pick<Leaf, "kept" | "request"> & { readonly ca: KeyPair },
  now: number,
): string | undefined {
  if (kept === undefined) return "there is none";
  if (kept.value === undefined) return `Secret ${kept.name} lacks a key`;
  const { dnsNames = [], ipAddresses = [] } = request;
  return certificates.renewalReason(kept.value, { caCertPem: ca.certPem, dnsNames, ipAddresses }, now);
}
