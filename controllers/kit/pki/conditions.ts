import { rfc3339Seconds } from "../../../lib/core/clock.ts";
import type { Says } from "../conditions.ts";
import type { MadePki } from "./make.ts";
import type { RotationProgress } from "./rotation.ts";

/** Reasons of condition `AuthorityCurrent`. */
export type AuthorityReason =
  | "AuthorityCurrent"
  | "AuthorityPending"
  | "AuthorityInvalid"
  | "AuthorityAdding"
  | "AuthoritySwitching"
  | "AuthorityDropping";

/** The reason of each phase, in condition and events. */
export const PHASE_REASONS = {
  add: "AuthorityAdding",
  switch: "AuthoritySwitching",
  drop: "AuthorityDropping",
} as const satisfies Record<RotationProgress["phase"], AuthorityReason>;

/** What condition `AuthorityCurrent` says. */
export function authorityCurrent({ problem, rotation, validity, bundle }: MadePki): Says<AuthorityReason> {
  if (problem !== undefined) return { reason: "AuthorityInvalid", message: problem };
  const progress = rotation?.progress;
  if (progress !== undefined) return { reason: PHASE_REASONS[progress.phase], message: progress.message };
  if (validity === undefined || bundle === undefined)
    return { reason: "AuthorityPending", message: "there is no CA yet" };
  const end = `the CA is valid until ${rfc3339Seconds(validity.notAfter)}`;
  const next = validity.isOurs
    ? "and is replaced by itself when a third of its life is left"
    : "and is of somebody else's making, who has to replace it in time";
  return { reason: "AuthorityCurrent", message: `${end} ${next}` };
}
