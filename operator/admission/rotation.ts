/**
 * When to change the serving certificate and the CA behind it. Pure: what is stored, the time, and what was seen of the
 * callers' trust go in; one step comes out.
 *
 *           make                    announce                       switch                        retire
 *   nothing ────► signing A, cert A ───────► signing A, next B, ─────────► signing B, cert B, ─────────► signing B, cert B
 *                      ▲    │                cert A                        retired A
 *                      └────┘ renew (at two thirds of the certificate's life)
 *
 * The order keeps every caller able to connect at every moment, whatever dies in between:
 *   - B signs nothing before every caller's bundle has held it for a while (`settleMs`): API servers learn of a new
 *     bundle by a watch, some later than others.
 *   - A stays in the bundles until the last certificate that it signed has expired: a replica that was cut off from the
 *     API server may still show it.
 */
import { authorityStep } from "../../lib/core/authority-rotation.ts";
import { bundleOf, certificatesIn } from "../../lib/core/trust-bundle.ts";
import type { CertificatePair, Lifetime } from "../../lib/node/certificates.ts";
import { authorityProblem, isDueForRenewal, readCertificate, renewalReason } from "../../lib/node/certificates.ts";

/** A CA that callers trust. */
export interface Authority {
  readonly certPem: string;
  /** Gone once it signs no more. */
  readonly keyPem?: string;
  /** End of the last certificate that it signed, milliseconds since the epoch; 0 when there is none. */
  readonly usedUntil: number;
}

/** A CA that can sign. */
export interface SigningAuthority extends Authority {
  readonly keyPem: string;
}

/** Everything that the replicas share. */
export interface CertificateState {
  readonly signing: SigningAuthority;
  /** Announced, not signing yet. */
  readonly next?: SigningAuthority;
  readonly retired: readonly Authority[];
  readonly serving: CertificatePair;
}

/** Names that the callers' connections ask for. */
export interface ServerNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** How long things last. */
export interface RotationPolicy {
  readonly authority: Lifetime;
  readonly certificate: Lifetime;
  /** How long every bundle must have held a CA before it signs. */
  readonly settleMs: number;
}

const DAY_MS = 86_400_000;
const BACKDATE_MS = 5 * 60_000;

/**
 * A CA of 10 years, certificates of 90 days, both renewed when a third of the life is left: 30 days to repair whatever
 * keeps the operator from renewing. Five minutes are an API server's watch with a wide margin.
 */
export const ROTATION_POLICY: RotationPolicy = {
  authority: { validityMs: 3650 * DAY_MS, backdateMs: BACKDATE_MS },
  certificate: { validityMs: 90 * DAY_MS, backdateMs: BACKDATE_MS },
  settleMs: 5 * 60_000,
};

/** Subject of the serving certificates, and beginning of the CAs'; callers look at the names beside it only. */
export const CERTIFICATE_NAME = "shieldx-webhooks";

/** What to do next, with the reason for the log. */
export interface RotationStep {
  readonly type: "make" | "announce" | "switch" | "renew" | "retire";
  readonly reason: string;
}

/** What a decision needs. */
export interface RotationFacts {
  readonly now: number;
  readonly names: ServerNames;
  /** For how long every caller's bundle has been seen to hold the next CA; `undefined` when one does not. */
  readonly nextTrustedForMs: number | undefined;
  readonly policy: RotationPolicy;
}

/** The next step; `undefined` when all is as it should be. Steps are taken one by one, each stored before the next. */
export function decideRotation(state: CertificateState | undefined, facts: RotationFacts): RotationStep | undefined {
  if (state === undefined) return { type: "make", reason: "there is no certificate" };
  const { now, names, nextTrustedForMs, policy } = facts;
  const { signing, next, retired, serving } = state;
  const isUsable = (ca: SigningAuthority): boolean => authorityProblem(ca, now) === undefined;
  const isSigning = isUsable(signing);
  const step = authorityStep({
    signing: isSigning ? "usable" : "unusable",
    next: next === undefined ? "absent" : isUsable(next) ? "usable" : "unusable",
    // The certificates of a CA that can be used no more are worth nothing.
    isInUse: isSigning,
    isNextTrusted: nextTrustedForMs !== undefined && nextTrustedForMs >= policy.settleMs,
    isDue: isDueForRenewal(signing.certPem, now),
    isRetirable: retired.some(({ usedUntil }) => usedUntil <= now),
  });
  const renewal = renewalReason(serving, { ...names, caCertPem: signing.certPem }, now);
  const isUrgent = !isSigning || step === "switch" || next !== undefined;
  if (renewal !== undefined && !(step !== undefined && isUrgent)) {
    return { type: "renew", reason: `the serving certificate: ${renewal}` };
  }
  switch (step) {
    case undefined:
      return undefined;
    case "make":
      return { type: step, reason: UNUSABLE };
    case "announce":
      return {
        type: step,
        reason:
          next === undefined ? "less than a third of the signing CA's life is left" : "the next CA cannot be used",
      };
    case "switch": {
      const seconds = Math.round((nextTrustedForMs ?? 0) / 1000);
      return { type: step, reason: isSigning ? `every caller has trusted the next CA for ${seconds} s` : UNUSABLE };
    }
    case "retire":
      return { type: step, reason: "the last certificate of a retired CA has expired" };
  }
}

const UNUSABLE = "the signing CA can be used no more";

/** What callers should trust, in a stable order: newest first, each once. */
export function trustBundle({ signing, next, retired }: CertificateState): string {
  const all = [...(next === undefined ? [] : [next]), signing, ...retired];
  return bundleOf(all.map(({ certPem }) => certPem));
}

/**
 * A state from memory, with every CA of ours that callers trust beside it: the memory may be older than the last switch,
 * and another replica may show what came after it. Such a CA has signed until now at most, so it goes when the longest
 * certificate that it can have signed has expired.
 * @param bundles what callers trust now, PEM
 */
export function adoptTrusted(
  state: CertificateState,
  bundles: readonly string[],
  { now, policy }: Pick<RotationFacts, "now" | "policy">,
): CertificateState {
  const { signing, next, retired } = state;
  const known = new Set(
    [signing, ...(next === undefined ? [] : [next]), ...retired].map(({ certPem }) => certPem.trim()),
  );
  const found = new Set(bundles.flatMap((bundle) => certificatesIn(bundle)));
  const adopted = [...found].flatMap((pem) => {
    if (known.has(pem)) return [];
    const certPem = `${pem}\n`;
    const usedUntil = lastUse(certPem, now + policy.certificate.validityMs);
    return usedUntil === undefined || usedUntil <= now ? [] : [{ certPem, usedUntil }];
  });
  return adopted.length === 0 ? state : { ...state, retired: [...retired, ...adopted] };
}

/** The end of the last certificate that a CA of ours can have signed; `undefined` for what is not ours. */
function lastUse(certPem: string, latest: number): number | undefined {
  try {
    const { commonName, notAfter } = readCertificate(certPem);
    return commonName.startsWith(`${CERTIFICATE_NAME} `) ? Math.min(notAfter, latest) : undefined;
  } catch {
    // Whatever somebody wrote into a bundle: it is about to be replaced.
    return undefined;
  }
}
