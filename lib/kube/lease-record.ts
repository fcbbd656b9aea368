import { ANNOTATIONS } from "../../crds/group.ts";
import { omitUndefined } from "../core/objects.ts";
import { type LeaseObject, RESOURCES } from "./types.ts";

/** What was last read from the Lease. */
export interface LeaseRecord {
  /** Empty when nobody holds it. */
  readonly holderIdentity: string;
  readonly leaseTransitions: number;
  /** URL at which the holder answers, when it gave one. */
  readonly holderUrl: string | undefined;
}

/** What others need to know of a Lease. */
export function recordOf(lease: LeaseObject): LeaseRecord {
  return {
    holderIdentity: lease.spec?.holderIdentity ?? "",
    leaseTransitions: lease.spec?.leaseTransitions ?? 0,
    holderUrl: lease.metadata.annotations?.[ANNOTATIONS.holderUrl],
  };
}

/** The duration of a Lease that was given back, as client-go writes it: the mark of a release. */
const RELEASED_DURATION_SECONDS = 1;

/** True for a record that its holder left, false for one whose holder somebody took out. */
export function isGivenBack(spec: LeaseObject["spec"]): boolean {
  return (spec?.holderIdentity ?? "") === "" && spec?.leaseDurationSeconds === RELEASED_DURATION_SECONDS;
}

/** A Lease that nobody has held yet. */
export function newLease(ref: { readonly namespace: string; readonly name: string }): LeaseObject {
  return {
    apiVersion: RESOURCES.Lease.apiVersion,
    kind: RESOURCES.Lease.kind,
    metadata: { ...ref },
    spec: {},
  };
}

export interface LeaseClaim {
  readonly identity: string;
  readonly epoch: number;
  readonly durationSeconds: number;
  /** RFC 3339 with microseconds; for people. */
  readonly now: string;
  readonly holderUrl: string | undefined;
  /** Written over those of the same name; `undefined` takes one off. */
  readonly annotations: Readonly<Record<string, string | undefined>> | undefined;
}

/** The Lease as held, or renewed, by a claimant; what others put into its metadata stays. */
export function claimedLease(lease: LeaseObject, claim: LeaseClaim): LeaseObject {
  const { identity, epoch, now } = claim;
  const previous = lease.spec ?? {};
  const isRenewal = previous.holderIdentity === identity && previous.leaseTransitions === epoch;
  return {
    ...lease,
    metadata: {
      ...lease.metadata,
      annotations: omitUndefined({ ...annotationsWith(lease, claim.holderUrl), ...claim.annotations }),
    },
    spec: {
      ...previous,
      holderIdentity: identity,
      leaseDurationSeconds: claim.durationSeconds,
      acquireTime: isRenewal ? (previous.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: epoch,
    },
  };
}

/** The Lease as given back: the epoch stays, so that the next one is higher, and so does what its holder leaves on it. */
export function releasedLease(
  lease: LeaseObject,
  { now, annotations }: Pick<LeaseClaim, "now" | "annotations">,
): LeaseObject {
  return {
    ...lease,
    metadata: {
      ...lease.metadata,
      annotations: omitUndefined({ ...annotationsWith(lease, undefined), ...annotations }),
    },
    spec: { ...lease.spec, holderIdentity: "", leaseDurationSeconds: RELEASED_DURATION_SECONDS, renewTime: now },
  };
}

function annotationsWith(lease: LeaseObject, holderUrl: string | undefined): Record<string, string> {
  const { [ANNOTATIONS.holderUrl]: _previous, ...others } = lease.metadata.annotations ?? {};
  return holderUrl === undefined ? others : { ...others, [ANNOTATIONS.holderUrl]: holderUrl };
}
