import { identityOf, type ObjectIdentity, RESOURCES, type SecretObject } from "../../lib/kube/types.ts";
import type { KeyPair } from "./pki/certificates.ts";

/** An object of ours: what it says, and whether it says it in full. */
export interface Kept<T> extends ObjectIdentity {
  /** `undefined` when a part is missing or cannot be read. */
  readonly value: T | undefined;
}

/** Reads a text of a Secret; `undefined` when it is absent or empty. */
export type SecretText = (key: string) => string | undefined;

/** The texts of a Secret. */
export function secretText(secret: SecretObject): SecretText {
  return (key) => {
    const text = Buffer.from(secret.data?.[key] ?? "", "base64").toString("utf8");
    return text === "" ? undefined : text;
  };
}

/** `data` of a Secret with these texts. */
export function textData(texts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [key, Buffer.from(text, "utf8").toString("base64")]),
  );
}

/** What a reader makes of a Secret. */
export type SecretReader<T> = (text: SecretText, secret: SecretObject) => T | undefined;

/** Reads Secrets of a collection by name. */
export type KeptSecrets = <T>(name: string, read: SecretReader<T>) => Kept<T> | undefined;

/**
 * A function that reads Secrets of a collection by name. An object of a wanted name without our labels is in none of our
 * collections: it counts as absent, and the executor refuses to write over it.
 */
export function keptSecrets(secrets: readonly SecretObject[]): KeptSecrets {
  const byName = new Map(secrets.map((secret) => [secret.metadata.name, secret]));
  return (name, read) => {
    const secret = byName.get(name);
    return secret && { ...identityOf(RESOURCES.Secret, secret), value: read(secretText(secret), secret) };
  };
}

/** A certificate and its key, as in Secrets of type `kubernetes.io/tls`. */
export function readKeyPair(text: SecretText): KeyPair | undefined {
  const certPem = text("tls.crt");
  const keyPem = text("tls.key");
  return certPem === undefined || keyPem === undefined ? undefined : { certPem, keyPem };
}

/** A certificate, its key and the bundle that is kept beside it. */
export interface LeafPair extends KeyPair {
  readonly bundle?: string;
}

/** As `readKeyPair`, with the bundle. */
export function readLeafPair(text: SecretText): LeafPair | undefined {
  const pair = readKeyPair(text);
  const bundle = text("ca.crt");
  return pair === undefined || bundle === undefined ? pair : { ...pair, bundle };
}
