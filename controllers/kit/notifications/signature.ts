/** Signatures of Standard Webhooks: who sent a notification, and that nobody has changed it on its way. */
import { createHmac } from "node:crypto";

/** How a key is written, and how long it may be: the bounds are those of Standard Webhooks. */
const PREFIX = "whsec_";
const KEY_BYTES_MIN = 24;
const KEY_BYTES_MAX = 64;
/** Keys that sign at once: the old one and the new one, and room for a mistake between them. */
const KEYS_MAX = 4;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** The keys of a Secret's value, or what is wrong with it, in words that tell nothing of it. */
export function signingKeys(value: string): readonly Uint8Array[] | string {
  const words = value.split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) return "is empty";
  if (words.length > KEYS_MAX) return `has more than ${String(KEYS_MAX)} keys`;
  if (!words.every((word) => word.startsWith(PREFIX) && BASE64.test(word.slice(PREFIX.length)))) {
    return `is not '${PREFIX}' and base64`;
  }
  const keys = words.map((word) => Buffer.from(word.slice(PREFIX.length), "base64"));
  const isFit = keys.every(({ length }) => length >= KEY_BYTES_MIN && length <= KEY_BYTES_MAX);
  return isFit ? keys : `has a key that is not of ${String(KEY_BYTES_MIN)} to ${String(KEY_BYTES_MAX)} bytes`;
}

/** Headers of one delivery. @param now of this try, in milliseconds since the epoch: receivers refuse what is old */
export function signatureHeaders(
  { id, body, keys }: { readonly id: string; readonly body: string; readonly keys: readonly Uint8Array[] },
  now: number,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(now / 1_000));
  const signed = `${id}.${timestamp}.${body}`;
  const signatures = keys.map((key) => `v1,${createHmac("sha256", key).update(signed).digest("base64")}`);
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures.join(" ") };
}
