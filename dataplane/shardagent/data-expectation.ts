import { OperatorError } from "../../lib/core/errors.ts";
import type { ShardIdentity } from "../../lib/core/shard-identity.ts";

// Whether the volume holds what it ought to. An empty directory is the beginning of a shard that never had data, and the
// end of one that lost it; only records elsewhere tell which. Three places remember, each of which may be lost alone:
//
//   ConfigMap s-map   the controller's record, which decides; it alone allows a beginning
//   Lease s-n         what the agent before this one worked on: covers the time until the controller has recorded it
//   the volume        a file beside the directory

/** What is said about the data of this shard. */
export interface Expectation {
  /** By the map's ConfigMap; `undefined` when that says nothing of the shard, is not there or cannot be read. */
  readonly identity: ShardIdentity | undefined;
  /** Whether that ConfigMap was read. */
  readonly isMapRead: boolean;
  /** System identifier on the shard's Lease. */
  readonly onLease: string | undefined;
}

/** Where the data ought to be, for people. */
export interface Place {
  readonly shard: number;
  /** PersistentVolumeClaim. */
  readonly claim: string;
  /** ConfigMap with the shard map. */
  readonly map: string;
}

/** Everything that is said, with what the volume itself says. */
interface Evidence extends Expectation {
  readonly onVolume: string | undefined;
}

/** True for an identifier whose data somebody gave up for good. */
export function isGivenUp({ identity }: Pick<Expectation, "identity">, systemIdentifier: string): boolean {
  return identity?.state === "given-up" && identity.systemIdentifier === systemIdentifier;
}

function expectedIdentifier(evidence: Evidence): string | undefined {
  if (evidence.identity?.state === "known") return evidence.identity.systemIdentifier;
  return [evidence.onLease, evidence.onVolume].find((id) => id !== undefined && !isGivenUp(evidence, id));
}

/**
 * Allows initdb on an empty directory.
 * @throws OperatorError DATA_LOST unless the shard never had data or somebody gave it up, with detail `expected` where the
 * identifier is known; SHARD_MAP_INVALID when what would say so was not read
 */
export function requireNoData(evidence: Evidence, { shard, claim, map }: Place): void {
  const expected = expectedIdentifier(evidence);
  const empty = `PersistentVolumeClaim ${claim} holds no data`;
  if (expected !== undefined) {
    const message = `${empty}, but shard ${shard} has had some: the PostgreSQL cluster with system identifier ${expected}`;
    throw new OperatorError("DATA_LOST", message, { details: { expected } });
  }
  if (!evidence.isMapRead) {
    const message = `${empty}, and ConfigMap ${map}, which says whether shard ${shard} ever had any, is not there or cannot be read`;
    throw new OperatorError("SHARD_MAP_INVALID", message);
  }
  if (evidence.identity !== undefined) return;
  throw new OperatorError("DATA_LOST", `${empty}, and ConfigMap ${map} does not say that shard ${shard} never had any`);
}

/** @throws OperatorError DATA_REFUSED when the cluster that was found is not the one that ought to be there */
export function requireExpected(found: string, evidence: Evidence, { shard, claim }: Place): void {
  const expected = expectedIdentifier(evidence);
  if (expected === undefined || expected === found) return;
  throw new OperatorError(
    "DATA_REFUSED",
    `PersistentVolumeClaim ${claim} holds the PostgreSQL cluster with system identifier ${found}, but the data of shard ${shard} is the one with ${expected}`,
    { details: { expected } },
  );
}
