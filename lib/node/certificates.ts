// The library below reads decorator metadata while it loads, so this import comes first.
import "reflect-metadata";
import { createPrivateKey, type KeyObject, webcrypto, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { sha256 } from "../core/canonical.ts";
import { OperatorError } from "../core/errors.ts";
import { createMemo } from "../core/memo.ts";

/** A certificate and its private key, both PEM. The key is a secret: it goes into Secrets and nowhere else. */
export interface CertificatePair {
  readonly certPem: string;
  readonly keyPem: string;
}

/** What to put into a certificate that a CA issues. */
export interface CertificateRequest {
  /** Subject CN; for clients it is the identity that servers check. */
  readonly commonName: string;
  /** `server` and `client` set the one extended key usage that the peer accepts. */
  readonly usage: "server" | "client";
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  /** 90 days unless told. */
  readonly lifetime?: Lifetime;
}

/** How long a certificate is valid, seen from the moment it is made; milliseconds. X.509 keeps whole seconds. */
export interface Lifetime {
  readonly validityMs: number;
  /** It is valid from this long before it was made. */
  readonly backdateMs: number;
}

/** Facts of a certificate that decisions need. Times are milliseconds since the Unix epoch. */
export interface CertificateInfo {
  readonly commonName: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

const DAY_MS = 86_400_000;

/** A CA lives long: replacing it touches every client. */
export const CA_VALIDITY_DAYS = 3650;

/** Certificates of servers and clients are short-lived, so that a stolen key ages quickly. */
export const CERTIFICATE_VALIDITY_DAYS = 90;

/** Renewal begins when less than this part of the life is left: 30 days of 90 for the controller to come back. */
export const RENEWAL_REMAINING_RATIO = 1 / 3;

/** OpenSSL's name of P-256. */
const ALGORITHM_CURVE = "prime256v1";

/** Clocks of nodes differ; a certificate is valid from a little before it was made. */
export const BACKDATE_MS = 5 * 60_000;

const CA_LIFETIME: Lifetime = { validityMs: CA_VALIDITY_DAYS * DAY_MS, backdateMs: BACKDATE_MS };
const CERTIFICATE_LIFETIME: Lifetime = { validityMs: CERTIFICATE_VALIDITY_DAYS * DAY_MS, backdateMs: BACKDATE_MS };

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** Makes a self-signed CA: ECDSA P-256, path length 0, from `now` (milliseconds since the epoch), 10 years unless told. */
export async function createCertificateAuthority(
  commonName: string,
  now: number,
  lifetime: Lifetime = CA_LIFETIME,
): Promise<CertificatePair> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: distinguishedName(commonName),
    notBefore: new Date(now - lifetime.backdateMs),
    notAfter: new Date(now + lifetime.validityMs),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certPem: withNewline(certificate.toString("pem")), keyPem: await exportKey(keys.privateKey) };
}

/**
 * Issues a server or client certificate with a new ECDSA P-256 key, valid from `now` for 90 days unless told, but never
 * longer than the CA itself.
 * @throws OperatorError CERTIFICATE_INVALID when the CA cannot sign, see `authorityProblem`
 */
export async function issueCertificate(
  ca: CertificatePair,
  request: CertificateRequest,
  now: number,
): Promise<CertificatePair> {
  const issuer = readAuthority(ca, now);
  const signingKey = await importKey(ca.keyPem);
  const keys = await generateKeys();
  const lifetime = request.lifetime ?? CERTIFICATE_LIFETIME;
  const notAfter = Math.min(now + lifetime.validityMs, issuer.notAfter.getTime());
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: distinguishedName(request.commonName),
    issuer: issuer.subject,
    notBefore: new Date(now - lifetime.backdateMs),
    notAfter: new Date(notAfter),
    signingAlgorithm: ALGORITHM,
    signingKey,
    publicKey: keys.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        request.usage === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
      ]),
      ...alternativeNames(request),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certPem: withNewline(certificate.toString("pem")), keyPem: await exportKey(keys.privateKey) };
}

/**
 * Reads the first certificate of a PEM text.
 * @throws OperatorError CERTIFICATE_INVALID
 */
export function readCertificate(certPem: string): CertificateInfo {
  return read(sha256(certPem).toString("base64"), () => readAnew(certPem));
}

/** By digest, so that no key that lies beside a certificate stays in memory; see `issued` below. */
const read = createMemo<CertificateInfo>(10_000);

function readAnew(certPem: string): CertificateInfo {
  const certificate = parse(certPem);
  const names = (certificate.subjectAltName ?? "").split(", ");
  const ofKind = (prefix: string): string[] =>
    names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  return {
    commonName: /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? "",
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
    dnsNames: ofKind("DNS:"),
    ipAddresses: ofKind("IP Address:"),
  };
}

/** True when a third of the certificate's life or less is left at `now`. @throws OperatorError CERTIFICATE_INVALID */
export function isDueForRenewal(certPem: string, now: number): boolean {
  return isDue(readCertificate(certPem), now);
}

function isDue({ notBefore, notAfter }: CertificateInfo, now: number): boolean {
  return notAfter - now <= (notAfter - notBefore) * RENEWAL_REMAINING_RATIO;
}

/** What a certificate must be good for. */
export interface CertificateUse {
  readonly caCertPem: string;
  readonly dnsNames?: readonly string[] | undefined;
  readonly ipAddresses?: readonly string[] | undefined;
}

/**
 * Why a certificate has to be made anew at `now`, as the end of a sentence; `undefined` when it is good. One that cannot
 * be read is not from the CA either.
 */
export function renewalReason(pair: CertificatePair, use: CertificateUse, now: number): string | undefined {
  const present = issuedCertificate(pair, use.caCertPem);
  if (present === undefined) return "it is not from the CA that signs now";
  if (isDue(present, now)) return "less than a third of its life is left";
  const missing = [
    ...(use.dnsNames ?? []).filter((name) => !present.dnsNames.includes(name)),
    ...(use.ipAddresses ?? []).filter((address) => !present.ipAddresses.includes(address)),
  ];
  return missing.length === 0 ? undefined : `it lacks ${missing.join(", ")}`;
}

/**
 * To check a signature and to read a certificate takes 0.2 ms, and a ShardSet of 64 shards asks for 65 of them every 15 s;
 * what the same certificate, key and CA say does not change. An entry has some hundred bytes.
 */
const issued = createMemo<CertificateInfo | undefined>(10_000);

/** What a certificate says; `undefined` when it is not from the CA. */
function issuedCertificate(pair: CertificatePair, caCertPem: string): CertificateInfo | undefined {
  // A digest, so that no key stays in memory for longer than its Secret.
  const key = sha256([caCertPem, pair.certPem, pair.keyPem].join("\0")).toString("base64");
  return issued(key, () => (verifies(pair, caCertPem) ? readCertificate(pair.certPem) : undefined));
}

/** True when the certificate was signed by the CA and the key fits the certificate. */
export function isIssuedBy(pair: CertificatePair, caCertPem: string): boolean {
  return issuedCertificate(pair, caCertPem) !== undefined;
}

function verifies(pair: CertificatePair, caCertPem: string): boolean {
  try {
    const certificate = parse(pair.certPem);
    return certificate.verify(parse(caCertPem).publicKey) && certificate.checkPrivateKey(createPrivateKey(pair.keyPem));
  } catch {
    return false;
  }
}

/**
 * Why a CA cannot sign at `now`, as the end of a sentence; `undefined` when it can.
 * @param remainingMs of its life must be left: what it signs lives no longer than itself
 */
export function authorityProblem(ca: CertificatePair, now: number, remainingMs = 0): string | undefined {
  let certificate: X509Certificate;
  let key: KeyObject;
  try {
    certificate = parse(ca.certPem);
  } catch {
    return "its certificate cannot be read";
  }
  try {
    key = createPrivateKey(ca.keyPem);
  } catch {
    return "its key cannot be read";
  }
  if (!certificate.ca) return "its certificate is not that of a CA";
  if (!certificate.checkPrivateKey(key)) return "its key does not fit its certificate";
  if (key.asymmetricKeyDetails?.namedCurve !== ALGORITHM_CURVE) {
    return `its key is ${keyName(key)}, and certificates are signed with ECDSA P-256`;
  }
  const { notBefore, notAfter } = readCertificate(ca.certPem);
  if (notBefore > now) return `it is valid from ${new Date(notBefore).toISOString()} on`;
  if (notAfter - now <= remainingMs) return `its validity ends at ${new Date(notAfter).toISOString()}`;
  return undefined;
}

function keyName({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  const { namedCurve, modulusLength } = asymmetricKeyDetails ?? {};
  return [String(asymmetricKeyType).toUpperCase(), namedCurve ?? modulusLength]
    .filter((part) => part !== undefined)
    .join(" ");
}

/** SHA-256 fingerprint of the first certificate of a PEM text, colon separated. @throws OperatorError CERTIFICATE_INVALID */
export function fingerprint(certPem: string): string {
  return parse(certPem).fingerprint256;
}

function parse(certPem: string): X509Certificate {
  try {
    return new X509Certificate(certPem);
  } catch (cause) {
    throw new OperatorError("CERTIFICATE_INVALID", "the certificate is not a readable PEM document", { cause });
  }
}

function readAuthority(ca: CertificatePair, now: number): x509.X509Certificate {
  const problem = authorityProblem(ca, now);
  if (problem !== undefined) throw new OperatorError("CERTIFICATE_INVALID", `the CA cannot sign: ${problem}`);
  return new x509.X509Certificate(ca.certPem);
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({
    format: "pem",
    type: "pkcs8",
  }) as string;
}

function importKey(keyPem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(keyPem).export({ format: "der", type: "pkcs8" });
  return webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
}

/** 128 random bits with the top bit clear, so that the serial number is a positive integer of constant length. */
function randomSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

function distinguishedName(commonName: string): string {
  return new x509.Name([{ CN: [{ utf8String: commonName }] }]).toString();
}

function alternativeNames(request: CertificateRequest): x509.Extension[] {
  const names: x509.JsonGeneralNames = [
    ...(request.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(request.ipAddresses ?? []).map((value) => ({ type: "ip" as const, value })),
  ];
  return names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)];
}

function withNewline(pem: string): string {
  return pem.endsWith("\n") ? pem : `${pem}\n`;
}
