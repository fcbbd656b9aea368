import type { Clues } from "../../../operator/runtime/clues.ts";
import { sentence, type Trouble } from "./trouble.ts";

// Why a volume claim gets no volume.

/** What a claim says about itself. */
export interface ClaimFacts {
  readonly uid: string | undefined;
  /** `Pending`, `Bound` or `Lost`. */
  readonly phase: string;
  /** It has, or had, a volume, or is made from a copy of one: there may be data on it. */
  readonly wasBound: boolean;
  readonly storageClass: string | undefined;
}

/** The volume controller's own words for a class that does not exist. */
const CLASS_NOT_FOUND = /storageclass\S* "[^"]*" not found/i;
/** Its words for a claim that names no class where there is no default. */
const NO_CLASS = /no storage class is set/i;

/**
 * Why a claim gets no volume; `undefined` when it has one, or when it waits as claims do.
 * @param how what the person may do about the class, as the end of a sentence
 */
export function claimTrouble(
  { uid = "", phase, wasBound, storageClass }: ClaimFacts,
  { complaints, classes }: Clues,
  how: string,
): Trouble | undefined {
  if (phase === "Lost") {
    return {
      text: "its PersistentVolume is gone; restore the PersistentVolume under the name in spec.volumeName",
      needsPerson: true,
    };
  }
  if (wasBound) return undefined;
  const complaint = complaints.get(uid);
  const words = complaint?.message ?? "";
  const there = classes === undefined ? "" : `; there are: ${classes.map(({ name }) => name).join(", ") || "none"}`;
  if (storageClass === undefined) {
    const hasDefault = classes?.some(({ isDefault }) => isDefault) ?? !NO_CLASS.test(words);
    if (!hasDefault) {
      return {
        text: `the cluster has no default StorageClass${there}; mark one as the default, or ${how}`,
        needsPerson: true,
      };
    }
  } else if (classes === undefined ? CLASS_NOT_FOUND.test(words) : !classes.some(({ name }) => name === storageClass)) {
    return { text: `storage class "${storageClass}" does not exist${there}; ${how}`, needsPerson: true };
  }
  return complaint === undefined
    ? undefined
    : { text: sentence(complaint.reason, complaint.message), needsPerson: false };
}
