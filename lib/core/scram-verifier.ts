/**
 * Form of a SCRAM-SHA-256 verifier as PostgreSQL stores it (RFC 5803): `SCRAM-SHA-256$<rounds>:<salt>$<stored>:<server>`.
 * Groups: rounds, salt, stored key, server key.
 */
export const SCRAM_VERIFIER =
  /^SCRAM-SHA-256\$([1-9][0-9]{3,6}):([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/;

/** True for text that PostgreSQL takes as a ready verifier; anything else it would take for a password and hash again. */
export function isScramVerifier(text: string): boolean {
  return SCRAM_VERIFIER.test(text);
}
