// A receiver's side of Standard Webhooks, written from the specification alone: nothing of it is shared with what signs.
import { createHmac, timingSafeEqual } from "node:crypto";

/** What a receiver gets. */
export interface Received {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** Receivers refuse what is older, or newer, than this. */
const TOLERANCE_SECONDS = 300;

/** Whether a message is one of a sender with this key, and of this time. @param key as the Secret has it, 'whsec_' in front */
export function isAuthentic({ headers, body }: Received, key: string, now: number): boolean {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures } = headers;
  if (id === undefined || timestamp === undefined || signatures === undefined) return false;
  if (Math.abs(now / 1_000 - Number(timestamp)) > TOLERANCE_SECONDS) return false;
  const bytes = Buffer.from(key.replace("whsec_", ""), "base64");
  const wanted = createHmac("sha256", bytes)
    .update(Buffer.concat([Buffer.from(`${id}.${timestamp}.`), Buffer.from(body)]))
    .digest();
  return signatures.split(" ").some((signature) => {
    const [version, text = ""] = signature.split(",");
    const given = Buffer.from(text, "base64");
    return version === "v1" && given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}
