import {
  type BundledCertificate,
  certificateDigest,
  mergedBundle,
  readBundle,
  withCertificate,
  withoutCertificate,
} from "../../../lib/core/trust-bundle.ts";
import { BACKDATE_MS, type CertificateRequest } from "../../../lib/node/certificates.ts";
import type { Kept, LeafPair } from "../secrets.ts";
import type { Certificates, KeyPair } from "./certificates.ts";
import {
  type AuthorityNotes,
  decideRotation,
  type IssuedLeaf,
  type Rotation,
  type RotationFacts,
  type Truster,
} from "./rotation.ts";

// A CA is made only when memory shows none, and nothing is derived from it before memory has it: a CA made twice by a stale
// memory is discarded by `create`.

/** A certificate to keep in a Secret of its own. */
export interface Leaf {
  /** Name of the Secret. */
  readonly secret: string;
  readonly kept: Kept<LeafPair> | undefined;
  readonly request: CertificateRequest;
}

/** What a resource's certificates are made from. */
export interface PkiNeeds {
  /** Subject of a new CA. */
  readonly commonName: string;
  /** The CA that signs. */
  readonly caKey: Kept<KeyPair> | undefined;
  /** The CA that is to sign next. */
  readonly caNext?: Kept<KeyPair> | undefined;
  /** The bundle that clients trust. */
  readonly ca?: Kept<string> | undefined;
  readonly notes?: AuthorityNotes;
  readonly leaves: readonly Leaf[];
  /** Whose trust in a new CA is waited for; besides, time is left to all others. */
  readonly trusters?: readonly Truster[];
  /** Why the new CA may not sign yet although its trust is out: clients that would not read it. Sentences without a stop. */
  readonly holdUps?: readonly string[];
  /** What people ask for on the resource. */
  readonly asked?: AskedRotation;
}

/** What people say about the CA, as annotations of the resource. */
export interface AskedRotation {
  /** Each new value asks for a new CA. */
  readonly request: string | undefined;
  /** For how long both CAs are trusted at least, milliseconds. */
  readonly overlapMs: number | undefined;
}

/** A certificate that was made now, and why. */
export interface NewCertificate {
  readonly pair: KeyPair;
  readonly why: string;
}

/** What was made for one reconcile. Absent members were not needed or cannot be made yet. */
export interface MadePki {
  /** New CA: there is none, and nothing that one has signed. */
  readonly ca?: KeyPair;
  /** New CA that is to sign next. */
  readonly next?: KeyPair;
  /** New certificates by their Secret. */
  readonly leaves: ReadonlyMap<string, NewCertificate>;
  /** Why the kept CA cannot be used, and the way out. */
  readonly problem?: string;
  /** Where the replacement of the CA stands; absent where there is no CA to use yet. */
  readonly rotation?: Rotation;
  /** What clients are to trust; absent where there is no CA yet. */
  readonly bundle?: string;
  /** The CA that signs, for people. */
  readonly validity?: Validity;
}

/** How long the CA that signs can do so. */
export interface Validity {
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  /** It is of the operator's making, which replaces it by itself when a third of its life is left. */
  readonly isOurs: boolean;
}

/**
 * A CA that ends sooner signs no more: its certificates would live for minutes and be due at once, so that each
 * reconcile would make new ones.
 */
const AUTHORITY_REMAINING_MS = 3_600_000;

/** A certificate of a CA that signs no more is kept, also when it is due, while it has longer than this to live. */
const LAST_RENEWAL_MS = 7 * 86_400_000;

/** Makes what is missing or due. @param now milliseconds since the epoch */
export async function makePki(certificates: Certificates, needs: PkiNeeds, now: number): Promise<MadePki> {
  const { caKey } = needs;
  if (caKey !== undefined) {
    const problem = authorityProblem(certificates, caKey, now);
    if (problem !== undefined) return { problem, leaves: new Map() };
  }
  const read = readPki(certificates, needs, now);
  const rotation = decideRotation(read.facts);
  const { step } = rotation;
  const newCa = (): Promise<KeyPair> => certificates.createCertificateAuthority(needs.commonName, now);
  if (step === "make") return { ca: await newCa(), leaves: new Map(), rotation };
  const issuer = caKey?.value ?? read.next;
  const { signing } = read;
  return {
    ...(step === "announce" ? { next: await newCa() } : {}),
    leaves: issuer === undefined ? new Map() : await makeLeaves(certificates, { needs, read, rotation, issuer }, now),
    rotation,
    ...bundleAfter(read, rotation),
    ...(signing === undefined ? {} : { validity: validityOf(certificates, signing.pem, needs.commonName) }),
  };
}

function authorityProblem(certificates: Certificates, caKey: Kept<KeyPair>, now: number): string | undefined {
  const ca = caKey.value;
  if (ca === undefined) return `Secret ${caKey.name} lacks a key or its value; ${WAY_OUT}`;
  const why = certificates.authorityProblem(ca, now, AUTHORITY_REMAINING_MS);
  return why && `Secret ${caKey.name} holds no usable CA (${why}); ${WAY_OUT}`;
}

/** What is kept, as far as decisions need it. */
interface ReadPki {
  readonly facts: RotationFacts;
  /** The certificate that signs. */
  readonly signing: BundledCertificate | undefined;
  /** Every CA of the facts as PEM, by its digest. */
  readonly authorities: ReadonlyMap<string, string>;
  /** The next CA, where it can sign. */
  readonly next: KeyPair | undefined;
  /** The bundle before this reconcile; made from what lies beside the certificates where its own Secret is gone. */
  readonly bundle: string | undefined;
}

function readPki(certificates: Certificates, needs: PkiNeeds, now: number): ReadPki {
  const { caKey, caNext, ca, commonName, leaves } = needs;
  const next =
    caNext?.value !== undefined &&
    certificates.authorityProblem(caNext.value, now, AUTHORITY_REMAINING_MS) === undefined
      ? caNext.value
      : undefined;
  const bundle = ca?.value ?? mergedBundle(leaves.map(({ kept }) => kept?.value?.bundle));
  const [signing, nextCert] = [caKey?.value, next].map(certificateOf);
  const trusted = readBundle(bundle);
  const all = [signing, nextCert, ...trusted].filter((certificate) => certificate !== undefined);
  const authorities = new Map(all.map(({ digest, pem }) => [digest, pem]));
  const { notes = NO_NOTES } = needs;
  const ours = trusted.filter(
    ({ pem, digest }) => nameOf(certificates, pem) === commonName || notes.replaced.includes(digest),
  );
  const facts: RotationFacts = {
    now,
    signing: signing?.digest,
    next: nextCert?.digest,
    isNextUnusable: caNext !== undefined && next === undefined,
    published: ca?.value === undefined ? [] : trusted.map(({ digest }) => digest),
    ours: ours.map(({ digest }) => digest),
    leaves: leaves.flatMap((leaf) => readLeaf(certificates, { leaf, authorities }, now)),
    isLeafMissing: leaves.some(({ kept }) => kept?.value === undefined),
    trusters: needs.trusters ?? [],
    holdUps: needs.holdUps ?? [],
    notes,
    request: needs.asked?.request,
    overlapMs: needs.asked?.overlapMs,
    isExpiring: signing !== undefined && isExpiring(certificates, { signing: signing.pem, commonName }, now),
  };
  return { facts, signing, authorities, next, bundle };
}

const NO_NOTES: AuthorityNotes = { handled: undefined, trustedSince: undefined, replaced: [] };

function readLeaf(
  certificates: Certificates,
  { leaf: { secret, kept }, authorities }: { readonly leaf: Leaf; readonly authorities: ReadPki["authorities"] },
  now: number,
): IssuedLeaf[] {
  const pair = kept?.value;
  if (pair === undefined) return [];
  const [issuer] = [...authorities].find(([, pem]) => certificates.isIssuedBy(pair, pem)) ?? [];
  const digest = certificateDigest(pair.certPem);
  // What a CA has signed can be read.
  if (issuer === undefined) return [{ secret, digest, issuer, issuedAt: 0 }];
  const { notBefore, notAfter } = certificates.readCertificate(pair.certPem);
  return [{ secret, digest, issuer: notAfter > now ? issuer : undefined, issuedAt: notBefore + BACKDATE_MS }];
}

async function makeLeaves(
  certificates: Certificates,
  of: { readonly needs: PkiNeeds; readonly read: ReadPki; readonly rotation: Rotation; readonly issuer: KeyPair },
  now: number,
): Promise<Map<string, NewCertificate>> {
  const made = new Map<string, NewCertificate>();
  const issuers = new Map(of.read.facts.leaves.map(({ secret, issuer }) => [secret, issuer]));
  for (const leaf of of.needs.leaves) {
    const former = issuers.get(leaf.secret);
    const isKeptFor = former !== undefined && former !== of.read.facts.signing && !of.rotation.isSigningTrusted;
    const issuer = (isKeptFor ? of.read.authorities.get(former) : undefined) ?? of.issuer.certPem;
    const why = whyNew(certificates, { ...leaf, issuer }, now);
    if (why === undefined || (isKeptFor && lastsLonger(certificates, leaf, now))) continue;
    made.set(leaf.secret, { pair: await certificates.issueCertificate(of.issuer, leaf.request, now), why });
  }
  return made;
}

/** True for one that is merely due: the CA that is to sign will be trusted before it ends. */
function lastsLonger(certificates: Certificates, { kept }: Leaf, now: number): boolean {
  const certPem = kept?.value?.certPem;
  if (certPem === undefined || !certificates.isDueForRenewal(certPem, now)) return false;
  return certificates.readCertificate(certPem).notAfter - now > LAST_RENEWAL_MS;
}

function bundleAfter({ facts, authorities, bundle }: ReadPki, { retired }: Rotation): Pick<MadePki, "bundle"> {
  const pemsOf = (digests: readonly (string | undefined)[]): string[] =>
    digests.flatMap((digest) => authorities.get(digest ?? "") ?? []);
  const all = pemsOf([facts.signing, facts.next]).reduce<string | undefined>(
    (text, pem) => withCertificate(text, `${pem}\n`),
    bundle,
  );
  if (all === undefined) return {};
  return { bundle: pemsOf(retired).reduce(withoutCertificate, all) };
}

function isExpiring(
  certificates: Certificates,
  { signing, commonName }: { readonly signing: string; readonly commonName: string },
  now: number,
): boolean {
  // One that somebody brought is theirs to replace: what we would make is not what they want to be trusted.
  return nameOf(certificates, signing) === commonName && certificates.isDueForRenewal(signing, now);
}

function validityOf(certificates: Certificates, signing: string, commonName: string): Validity {
  const { notAfter, commonName: name } = certificates.readCertificate(signing);
  return { notAfter, isOurs: name === commonName };
}

function nameOf(certificates: Certificates, certificate: string): string | undefined {
  try {
    return certificates.readCertificate(certificate).commonName;
  } catch {
    // Whatever somebody wrote into the bundle: it stays.
    return undefined;
  }
}

/**
 * The first certificate of a CA, which is the one that signs. Some tools write the key beside it: it must not get
 * into what clients mount.
 */
function certificateOf(pair: KeyPair | undefined): BundledCertificate | undefined {
  const isKeyAlone = pair?.certPem.includes("PRIVATE KEY") === true && !pair.certPem.includes("BEGIN CERTIFICATE");
  return isKeyAlone ? undefined : readBundle(pair?.certPem)[0];
}

/** What people can do about a root that cannot be used: it is never written over, since it may be the only key to data. */
export const WAY_OUT = "restore it, or delete it to have it made anew";

function whyNew(
  certificates: Certificates,
  { kept, request, issuer }: Pick<Leaf, "kept" | "request"> & { readonly issuer: string },
  now: number,
): string | undefined {
  if (kept === undefined) return "there is none";
  if (kept.value === undefined) return `Secret ${kept.name} lacks a key`;
  const { dnsNames = [], ipAddresses = [] } = request;
  return certificates.renewalReason(kept.value, { caCertPem: issuer, dnsNames, ipAddresses }, now);
}
