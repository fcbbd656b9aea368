import { OPERATOR_COMMON_NAME } from "../../crds/agent-status.ts";
import { type KeyPair, serverNames, shardIndexes, type Target } from "./shardset.desired.ts";
import type { Kept } from "./shardset.facts.ts";
import { shardSetNames } from "./shardset.names.ts";
import type { Observed } from "./shardset.observe.ts";

// The one place of a ShardSet's controller that uses randomness and keys, so that plan, desired and status stay pure.
// The CA is made only when its Secret is absent, and certificates only from the CA that the cache holds: a CA made
// twice by a stale cache is discarded by `create`, and nothing was derived from it.

/** Issues and reads certificates; `lib/node/certificates.ts` has this shape. Times are milliseconds since the epoch. */
export interface Certificates {
  createCertificateAuthority(commonName: string, now: number): Promise<KeyPair>;
  issueCertificate(ca: KeyPair, request: CertificateRequest, now: number): Promise<KeyPair>;
  needsRenewal(certPem: string, now: number): boolean;
  isIssuedBy(pair: KeyPair, caCertPem: string): boolean;
  isCertificateAuthority(pair: KeyPair): boolean;
  readCertificate(certPem: string): { readonly dnsNames: readonly string[] };
}

/** What to put into a certificate. */
export interface CertificateRequest {
  readonly commonName: string;
  readonly usage: "server" | "client";
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

/** A certificate that was made now, and why. */
export interface NewCertificate {
  readonly pair: KeyPair;
  readonly why: string;
}

/** What was made for one reconcile. Absent members were not needed or cannot be made yet. */
export interface Material {
  /** New CA: Secret `s-ca-key` is absent. */
  readonly ca?: KeyPair;
  readonly operator?: NewCertificate;
  /** New server certificates by shard. */
  readonly shards: ReadonlyMap<number, NewCertificate>;
  /** Why the kept CA cannot be used. */
  readonly problem?: string;
}

/** Makes what a reconcile needs. @param now milliseconds since the epoch */
export async function makeMaterial(
  certificates: Certificates,
  scope: { readonly observed: Observed; readonly target: Target },
  now: number,
): Promise<Material> {
  const { observed, target } = scope;
  const { namespace, name } = target.shardSet;
  if (observed.caKey === undefined) {
    const ca = await certificates.createCertificateAuthority(`${namespace}/${name} shard set CA`, now);
    return { ca, shards: new Map() };
  }
  const ca = observed.caKey.value;
  if (ca === undefined || !certificates.isCertificateAuthority(ca)) {
    const problem = `Secret ${observed.caKey.name} holds no usable CA; restore it, or delete it to have it made anew`;
    return { problem, shards: new Map() };
  }
  const renew = (kept: Kept<KeyPair> | undefined, request: CertificateRequest): Promise<NewCertificate | undefined> =>
    renewCertificate(certificates, { kept, request, ca }, now);
  const shards = new Map<number, NewCertificate>();
  for (const shard of shardIndexes(target)) {
    const made = await renew(observed.shardTls.get(shard), {
      commonName: shardSetNames(name).shard(shard),
      usage: "server",
      dnsNames: serverNames(target, shard),
      ipAddresses: ["127.0.0.1"],
    });
    if (made !== undefined) shards.set(shard, made);
  }
  const operator = await renew(observed.operatorTls, { commonName: OPERATOR_COMMON_NAME, usage: "client" });
  return { shards, ...(operator === undefined ? {} : { operator }) };
}

async function renewCertificate(
  certificates: Certificates,
  wanted: { readonly kept: Kept<KeyPair> | undefined; readonly request: CertificateRequest; readonly ca: KeyPair },
  now: number,
): Promise<NewCertificate | undefined> {
  const why = whyRenew(certificates, wanted, now);
  if (why === undefined) return undefined;
  return { pair: await certificates.issueCertificate(wanted.ca, wanted.request, now), why };
}

function whyRenew(
  certificates: Certificates,
  {
    kept,
    request,
    ca,
  }: { readonly kept: Kept<KeyPair> | undefined; readonly request: CertificateRequest; readonly ca: KeyPair },
  now: number,
): string | undefined {
  if (kept === undefined) return "there is none";
  if (kept.value === undefined) return `Secret ${kept.name} lacks a key`;
  if (!certificates.isIssuedBy(kept.value, ca.certPem)) return "it is not from the CA that signs now";
  if (certificates.needsRenewal(kept.value.certPem, now)) return "less than a third of its life is left";
  const present = new Set(certificates.readCertificate(kept.value.certPem).dnsNames);
  const missing = (request.dnsNames ?? []).filter((name) => !present.has(name));
  return missing.length > 0 ? `it lacks ${missing.join(", ")}` : undefined;
}
