import { authorityStep } from "../../../lib/core/authority-rotation.ts";
import { rfc3339Seconds } from "../../../lib/core/clock.ts";

/*
 * Where the replacement of a resource's CA stands, and what its next step is. Everything is read from Secrets and from
 * what those who trust say, so that it goes on from there whoever died where:
 *
 *   add      s-ca-next holds the next CA, bundle s-ca trusts both; the one that signs now goes on signing
 *   switch   s-ca-key holds the new CA; certificates are made anew by it
 *   drop     nobody shows a certificate of the former CA any more: it leaves the bundle
 *
 * A key that is lost, and one that somebody replaced by hand, go the same way: what was signed before stays until the CA
 * that is to sign is trusted everywhere.
 */

/** Somebody who keeps a copy of the bundle and shows a certificate, and says so. */
export interface Truster {
  /** For example "shard 0". */
  readonly what: string;
  /** The Secret with its certificate. */
  readonly secret: string;
  /** False for one that runs and does not answer: what it trusts is not known. */
  readonly answers: boolean;
  /** Digests of the CAs that it trusts; `undefined` for a program that does not say. */
  readonly trusts: readonly string[] | undefined;
  /** Digest of the certificate that it shows. */
  readonly shows: string | undefined;
}

/** What is written down beside CA and bundle, as annotations. */
export interface AuthorityNotes {
  /** The last request for a new CA that was acted on. */
  readonly handled: string | undefined;
  /** "<digest> <RFC 3339>": since when the bundle has the CA that is to sign next. */
  readonly trustedSince: string | undefined;
  /** Digests of CAs that were replaced, whosever they were. */
  readonly replaced: readonly string[];
}

/** A certificate of the resource. */
export interface IssuedLeaf {
  readonly secret: string;
  readonly digest: string;
  /** The trusted CA that issued it, while it is valid; `undefined` when nobody accepts it. */
  readonly issuer: string | undefined;
  /** Milliseconds since the epoch. */
  readonly issuedAt: number;
}

/** What a decision needs. CAs and certificates are told by their digests. */
export interface RotationFacts {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly signing: string | undefined;
  readonly next: string | undefined;
  /** There is a next CA that cannot sign. */
  readonly isNextUnusable: boolean;
  /** CAs of the bundle as it is published. */
  readonly published: readonly string[];
  /** CAs of our making that are trusted now. */
  readonly ours: readonly string[];
  readonly leaves: readonly IssuedLeaf[];
  /** Certificates there are to be that do not exist, or that cannot be read. */
  readonly isLeafMissing: boolean;
  readonly trusters: readonly Truster[];
  /** Why the new CA may not sign yet, besides. */
  readonly holdUps: readonly string[];
  readonly notes: AuthorityNotes;
  /** The request on the resource. */
  readonly request: string | undefined;
  /** The signing CA is of our making, and less than a third of its life is left. */
  readonly isExpiring: boolean;
  /** How long both are trusted at least, as the resource asks; milliseconds. */
  readonly overlapMs: number | undefined;
}

/** What was decided. */
export interface Rotation {
  readonly step: "make" | "announce" | "switch" | "retire" | undefined;
  /** Certificates of other trusted CAs are to be made anew by the one that signs. */
  readonly isSigningTrusted: boolean;
  /** The next CA is the one that signs: its own Secret is needed no more. */
  readonly isNextSpent: boolean;
  /** CAs that leave the bundle now. */
  readonly retired: readonly string[];
  readonly notes: AuthorityNotes;
  readonly progress: RotationProgress | undefined;
}

/** Where a rotation stands, for people. */
export interface RotationProgress {
  readonly phase: "add" | "switch" | "drop";
  readonly message: string;
}

/**
 * A kubelet brings a changed Secret into pods within a minute and a half, and programs look at their files every 30 s at
 * most. What does not say what it trusts or shows is given this time.
 */
export const SILENT_SETTLE_MS = 3 * 60_000;

/** Both CAs are trusted for this long at least, so that clients elsewhere take the bundle over. */
export const OVERLAP_MS = 10 * 60_000;

/** A CA that is replaced for its age leaves years to do so; clients that copy the bundle by hand need days. */
export const EXPIRY_OVERLAP_MS = 7 * 86_400_000;

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of "90s", "10m", "12h" or "7d"; `undefined` for anything else. */
export function overlapOf(text: string | undefined): number | undefined {
  const [, count, unit = ""] = /^(\d{1,5})([smhd])$/.exec(text ?? "") ?? [];
  return count === undefined ? undefined : Number(count) * (UNITS_MS[unit] ?? 0);
}

/** Decides from what was read. Pure. */
export function decideRotation(facts: RotationFacts): Rotation {
  const { signing, next, notes, now } = facts;
  const isNextSpent = next !== undefined && next === signing;
  const awaited = awaitedAuthority(facts);
  const trust = awaited === undefined ? undefined : trustIn(awaited, facts);
  const isRequested = facts.request !== undefined && facts.request !== notes.handled;
  const drop = awaited === undefined && next === undefined ? dropOf(facts) : undefined;
  const step = authorityStep({
    signing: signing === undefined ? "absent" : "usable",
    next: facts.isNextUnusable ? "unusable" : next === undefined || isNextSpent ? "absent" : "usable",
    isInUse: facts.leaves.some(({ issuer }) => issuer !== undefined),
    isNextTrusted: trust?.isEverywhere === true,
    isDue: isRequested || facts.isExpiring,
    isRetirable: drop?.isDone === true,
  });
  return {
    step,
    isSigningTrusted: awaited !== undefined && awaited === signing && trust?.isEverywhere === true,
    isNextSpent,
    retired: step === "retire" ? (drop?.former ?? []) : [],
    notes: {
      handled: step === "make" || step === "announce" ? (facts.request ?? notes.handled) : notes.handled,
      trustedSince: awaited && trust && `${awaited} ${rfc3339Seconds(trust.since)}`,
      replaced: step === "announce" ? replacedBy(facts) : notes.replaced,
    },
    progress: progressOf(facts, { step, awaited, trust, drop, now }),
  };
}

/** The CA that is to sign once it is trusted everywhere; `undefined` when all certificates are of the one that signs. */
function awaitedAuthority({ signing, next, leaves }: RotationFacts): string | undefined {
  if (next !== undefined && next !== signing) return next;
  if (signing === undefined) return undefined;
  return leaves.some(({ issuer }) => issuer !== undefined && issuer !== signing) ? signing : undefined;
}

interface Trust {
  readonly since: number;
  readonly until: number;
  readonly missing: readonly string[];
  readonly isEverywhere: boolean;
}

function trustIn(awaited: string, facts: RotationFacts): Trust {
  const { now, published, trusters, notes } = facts;
  const [known, time = ""] = notes.trustedSince?.split(" ") ?? [];
  const isPublished = published.includes(awaited);
  const noted = Date.parse(time);
  // A time in the future is that of a clock that was wrong: it would be waited for in vain.
  const since = isPublished && known === awaited && noted <= now ? noted : Math.floor(now / 1_000) * 1_000;
  const overlapMs = facts.overlapMs ?? (facts.isExpiring ? EXPIRY_OVERLAP_MS : OVERLAP_MS);
  const until = since + Math.max(overlapMs, SILENT_SETTLE_MS);
  const missing = trusters
    .filter(({ answers, trusts }) => !answers || trusts?.includes(awaited) === false)
    .map(({ what, answers }) => (answers ? `${what} has not read it yet` : `${what} does not answer`));
  const isEverywhere = isPublished && missing.length === 0 && facts.holdUps.length === 0 && now >= until;
  return { since, until, missing, isEverywhere };
}

interface Drop {
  readonly former: readonly string[];
  readonly until: number;
  readonly missing: readonly string[];
  readonly isDone: boolean;
}

/** CAs of ours that signed nothing of what there is to be; `undefined` when there are none. */
function dropOf({ now, signing, ours, leaves, isLeafMissing, trusters }: RotationFacts): Drop | undefined {
  const former = ours.filter((digest) => digest !== signing);
  if (signing === undefined || former.length === 0) return undefined;
  const digests = new Map(leaves.map(({ secret, digest }) => [secret, digest]));
  const missing = trusters
    .filter(({ secret, answers, shows }) => !answers || (shows !== undefined && shows !== digests.get(secret)))
    .map(({ what, answers }) => (answers ? `${what} does not show it yet` : `${what} does not answer`));
  const until = Math.max(...leaves.map(({ issuedAt }) => issuedAt)) + SILENT_SETTLE_MS;
  const isSigned = leaves.length > 0 && !isLeafMissing && leaves.every(({ issuer }) => issuer === signing);
  return { former, until, missing, isDone: isSigned && missing.length === 0 && now >= until };
}

/** What goes when the rotation is over: also a CA that somebody brought, once it has signed for us. */
function replacedBy({ signing, leaves, notes }: RotationFacts): string[] {
  const issuers = [signing, ...leaves.map(({ issuer }) => issuer)].filter((digest) => digest !== undefined);
  return [...new Set([...notes.replaced, ...issuers])].slice(-REPLACED_MAX);
}

/** Digests that are remembered: more than any bundle has. */
const REPLACED_MAX = 8;

function progressOf(
  { trusters, holdUps, isExpiring, signing }: RotationFacts,
  {
    step,
    awaited,
    trust,
    drop,
  }: {
    readonly step: Rotation["step"];
    readonly awaited: string | undefined;
    readonly trust: Trust | undefined;
    readonly drop: Drop | undefined;
    readonly now: number;
  },
): RotationProgress | undefined {
  if (step === "announce") {
    const why =
      signing === undefined ? "its key is gone" : isExpiring ? "less than a third of its life is left" : "asked for";
    return { phase: "add", message: `CA rotation, step 1 of 3 (add): a new CA is being made: ${why}` };
  }
  if (trust !== undefined && awaited !== undefined) {
    if (trust.isEverywhere) {
      return {
        phase: "switch",
        message: "CA rotation, step 2 of 3 (switch): the new CA is trusted; certificates are made anew by it",
      };
    }
    const wait = `it signs from ${rfc3339Seconds(trust.until)} on at the earliest, when clients elsewhere have had time to read the bundle`;
    const parts = [...counted(trusters, trust.missing, "trust the new CA"), ...holdUps, wait];
    return { phase: "add", message: `CA rotation, step 1 of 3 (add): ${parts.join("; ")}` };
  }
  if (drop === undefined || drop.isDone) return undefined;
  const wait = `the former CA leaves the bundle at ${rfc3339Seconds(drop.until)} at the earliest`;
  const parts = [...counted(trusters, drop.missing, "show a certificate of the new CA"), wait];
  return { phase: "drop", message: `CA rotation, step 3 of 3 (drop): ${parts.join("; ")}` };
}

function counted(trusters: readonly Truster[], missing: readonly string[], does: string): string[] {
  if (trusters.length === 0) return [];
  const count = `${String(trusters.length - missing.length)} of ${String(trusters.length)} shards ${does}`;
  return missing.length === 0 ? [count] : [count, missing.join(", ")];
}
