import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";
import { OperatorError } from "../core/errors.ts";
import { SCRAM_VERIFIER } from "../core/scram-verifier.ts";

/** Rounds of PBKDF2: PostgreSQL's own default (`scram_iterations`). Our passwords are random, not guessable words. */
export const SCRAM_ITERATIONS = 4096;

const KEY_BYTES = 32;

/** Passwords outside printable ASCII would need SASLprep, which servers and drivers apply differently. */
const PRINTABLE_ASCII = /^[\x21-\x7e]+$/;

/**
 * The verifier that PostgreSQL stores for a password, computed on our side so that the password itself never travels
 * and never reaches a statement log.
 * @param salt random bytes, kept inside the verifier
 * @throws OperatorError CONFIG_INVALID when the password is empty or not printable ASCII without spaces
 */
export function scramVerifier(password: string, salt: Uint8Array, iterations: number = SCRAM_ITERATIONS): string {
  if (!PRINTABLE_ASCII.test(password)) {
    throw new OperatorError(
      "CONFIG_INVALID",
      "a password must be one or more printable ASCII characters without spaces",
    );
  }
  const salted = pbkdf2Sync(password, salt, iterations, KEY_BYTES, "sha256");
  const storedKey = createHash("sha256").update(hmac(salted, "Client Key")).digest("base64");
  const serverKey = hmac(salted, "Server Key").toString("base64");
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString("base64")}$${storedKey}:${serverKey}`;
}

/** True when the verifier was made from the password: then there is no reason to write a new one with another salt. */
export function verifierMatches(verifier: string, password: string): boolean {
  const match = SCRAM_VERIFIER.exec(verifier);
  if (match === null) return false;
  const [, iterations, salt] = match;
  const again = scramVerifier(password, Buffer.from(salt ?? "", "base64"), Number(iterations));
  return again.length === verifier.length && timingSafeEqual(Buffer.from(again), Buffer.from(verifier));
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
