import { ANNOTATIONS } from "../../crds/group.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { parseCredits } from "../../lib/core/money.ts";
import type { ShardMemory } from "../../lib/core/shard-memory.ts";

// The memory of a shard's log is on the Lease of its writer, written with the renewals; the status of the CreditLedger has a
// copy. A writer that finds less than it, or another database, writes nothing.

/** Reads the memory on a writer Lease. @param annotation of the Lease by name */
export function memoryOn(annotation: (name: string) => string | undefined): ShardMemory {
  const text = annotation(ANNOTATIONS.headPosition);
  const position = text === undefined ? undefined : parseCredits(text);
  return {
    position: position === undefined || position < 0 ? undefined : position,
    systemIdentifier: annotation(ANNOTATIONS.systemIdentifier),
  };
}

/** @throws OperatorError DATA_LOST with the reason, when there is one */
export function requireNoLoss(reason: string | undefined): void {
  if (reason !== undefined) throw new OperatorError("DATA_LOST", reason);
}
