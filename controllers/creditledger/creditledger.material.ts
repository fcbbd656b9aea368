import { createHmac } from "node:crypto";
import { type KeyPair, type RolePasswords, serverNames, type Target } from "./creditledger.desired.ts";
import { ledgerNames } from "./creditledger.names.ts";
import type { Observed } from "./creditledger.observe.ts";

// The one place of a ledger's controller that uses randomness and keys, so that plan, desired and status stay pure.
// Roots (CA, admin key, passwords) are made only when their Secret is absent, and what depends on them (certificate,
// verifiers) only from what the cache holds: a root made twice by a stale cache is discarded by `create`, and nothing
// was derived from it.

/** Issues and reads certificates; `lib/node/certificates.ts` has this shape. Times are milliseconds since the epoch. */
export interface Certificates {
  createCertificateAuthority(commonName: string, now: number): Promise<KeyPair>;
  issueCertificate(
    ca: KeyPair,
    request: {
      readonly commonName: string;
      readonly usage: "server";
      readonly dnsNames: readonly string[];
      readonly ipAddresses: readonly string[];
    },
    now: number,
  ): Promise<KeyPair>;
  needsRenewal(certPem: string, now: number): boolean;
  isIssuedBy(pair: KeyPair, caCertPem: string): boolean;
  isCertificateAuthority(pair: KeyPair): boolean;
  readCertificate(certPem: string): { readonly dnsNames: readonly string[] };
}

/** Sources of what cannot be computed from the world. */
export interface MaterialSources {
  readonly certificates: Certificates;
  /** SCRAM-SHA-256 verifier of a password; `lib/node/scram.ts`. */
  readonly scramVerifier: (password: string, salt: Uint8Array) => string;
  /** Cryptographically secure random bytes. */
  readonly randomBytes: (size: number) => Uint8Array;
}

/** What was made for one reconcile. Absent members were not needed or cannot be made yet. */
export interface Material {
  /** New CA: Secret `l-ca-key` is absent. */
  readonly ca?: KeyPair;
  /** New raw API key: Secret `l-admin-key` is absent. */
  readonly adminKey?: string;
  /** New passwords: Secret `l-roles` is absent. */
  readonly passwords?: RolePasswords;
  /** Verifiers of the passwords in `l-roles`. */
  readonly verifiers?: RolePasswords;
  /** New server certificate, and why. */
  readonly certificate?: { readonly pair: KeyPair; readonly why: string };
  /** Kept Secrets that cannot be used, one sentence each. */
  readonly problems: readonly string[];
}

/** 256 bits: guessing is out of the question, so PostgreSQL's default of 4,096 rounds is enough. */
const SECRET_BYTES = 32;

/** Salt of SCRAM: PostgreSQL's own length. */
const SALT_BYTES = 16;

/** Ledgers whose verifiers are remembered: three verifiers take some 5 ms of processor time. */
const REMEMBERED_MAX = 1_000;

/** Prefix of raw API keys, so that secret scanners can find a leaked one. */
const ADMIN_KEY_PREFIX = "sxk_";

/**
 * Makes what a reconcile needs.
 * @returns a function that takes the observed world, the target and the time (milliseconds since the epoch)
 */
export function createMaterialMaker(
  sources: MaterialSources,
): (observed: Observed, target: Target, now: number) => Promise<Material> {
  const verifiersOf = rememberedVerifiers(sources.scramVerifier);
  return async (observed, target, now) => {
    const secret = (): string => Buffer.from(sources.randomBytes(SECRET_BYTES)).toString("base64url");
    const { name, namespace } = target.ledger;
    const passwords = observed.roles?.value;
    const problems = [...brokenSecrets(observed), ...brokenAuthority(observed, sources.certificates)];
    const certificate =
      problems.length > 0 ? undefined : await newCertificate(sources.certificates, observed, { target, now });
    return {
      problems,
      ...(observed.caKey === undefined && {
        ca: await sources.certificates.createCertificateAuthority(`${namespace}/${name} ledger CA`, now),
      }),
      ...(observed.adminKey === undefined && { adminKey: `${ADMIN_KEY_PREFIX}${secret()}` }),
      ...(observed.roles === undefined && { passwords: { owner: secret(), writer: secret(), reader: secret() } }),
      ...(passwords !== undefined && { verifiers: verifiersOf(name, passwords) }),
      ...(certificate !== undefined && { certificate }),
    };
  };
}

/** Kept Secrets with a part missing: they are never overwritten, since they may be the only key to data. */
function brokenSecrets({ caKey, adminKey, roles }: Observed): string[] {
  return [caKey, adminKey, roles]
    .filter((secret) => secret !== undefined && secret.value === undefined)
    .map(
      (secret) =>
        `Secret ${secret?.name ?? ""} lacks a key or its value; restore it, or delete it to have it made anew`,
    );
}

function brokenAuthority({ caKey }: Observed, certificates: Certificates): string[] {
  if (caKey?.value === undefined || certificates.isCertificateAuthority(caKey.value)) return [];
  return [`Secret ${caKey.name} holds no usable CA; restore it, or delete it to have it made anew`];
}

async function newCertificate(
  certificates: Certificates,
  observed: Observed,
  { target, now }: { readonly target: Target; readonly now: number },
): Promise<Material["certificate"]> {
  const ca = observed.caKey?.value;
  const why = ca && whyRenew(certificates, observed, { dnsNames: serverNames(target), ca, now });
  if (ca === undefined || why === undefined) return undefined;
  const request = {
    commonName: target.ledger.name,
    usage: "server",
    dnsNames: serverNames(target),
    ipAddresses: ["127.0.0.1"],
  } as const;
  return { pair: await certificates.issueCertificate(ca, request, now), why };
}

function whyRenew(
  certificates: Certificates,
  { tls }: Observed,
  wanted: { readonly dnsNames: readonly string[]; readonly ca: KeyPair; readonly now: number },
): string | undefined {
  if (tls === undefined) return "there is none";
  if (tls.value === undefined) return `Secret ${tls.name} lacks a key`;
  if (!certificates.isIssuedBy(tls.value, wanted.ca.certPem)) return "it is not from the CA that signs now";
  if (certificates.needsRenewal(tls.value.certPem, wanted.now)) return "less than a third of its life is left";
  const names = new Set(certificates.readCertificate(tls.value.certPem).dnsNames);
  const missing = wanted.dnsNames.filter((name) => !names.has(name));
  return missing.length > 0 ? `it lacks ${missing.join(", ")}` : undefined;
}

/**
 * Verifiers with a salt derived from password and role, so that the same password always gives the same request and
 * an unchanged ledger writes nothing. The salt tells no more than the verifier itself does.
 */
function rememberedVerifiers(
  scramVerifier: MaterialSources["scramVerifier"],
): (ledger: string, passwords: RolePasswords) => RolePasswords {
  const remembered = new Map<string, RolePasswords>();
  const verifier = (password: string, role: string): string =>
    scramVerifier(
      password,
      createHmac("sha256", password).update(`scram salt of ${role}`).digest().subarray(0, SALT_BYTES),
    );
  return (ledger, passwords) => {
    const names = ledgerNames(ledger);
    // The passwords are in the cache's memory anyway; a digest as key would cost time and hide nothing.
    const key = [ledger, passwords.owner, passwords.writer, passwords.reader].join("\0");
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const made = {
      owner: verifier(passwords.owner, names.ownerRole),
      writer: verifier(passwords.writer, names.writerRole),
      reader: verifier(passwords.reader, names.readerRole),
    };
    const [oldest] = remembered.keys();
    if (remembered.size >= REMEMBERED_MAX && oldest !== undefined) remembered.delete(oldest);
    remembered.set(key, made);
    return made;
  };
}
