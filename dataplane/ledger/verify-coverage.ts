/** What no check of `verify` can see, each with its reason. docs/verify.md prints the same list, and a test compares both. */
import type { ShardMemory } from "../../lib/core/shard-memory.ts";

export interface Uncovered {
  /** Short name of the change, as the verdict says it. */
  readonly what: string;
  readonly reason: string;
  /** `table.column` of single changes that pass unnoticed for it; none where only many changes together do. */
  readonly columns: readonly string[];
  /** When it is said on the verdict line. */
  readonly said: "always" | "without memory" | "without seals" | "journal only";
}

export const NOT_COVERED: readonly Uncovered[] = [
  {
    what: "books rewritten as a whole",
    reason:
      "Journal, seals, rows and head rewritten together, each with a hash that fits: nothing outside of the database knows the hashes until there are anchors.",
    columns: [],
    said: "always",
  },
  {
    what: "a cut tail",
    reason:
      "The last blocks, seals and their rows removed together, and head, balances and ends set back: only what was seen of the log outside of the database tells. Verified with --ledger the writer's Lease remembers the position, up to its last renewal; with --postgres nothing does.",
    columns: [],
    said: "without memory",
  },
  {
    what: "refusals, assets, API keys and epochs",
    reason:
      "The database has no seals yet: `shieldx ledger migrate` of this version makes them, of the rows that it finds.",
    columns: [],
    said: "without seals",
  },
  {
    what: "every table but the journal",
    reason: "Asked for with --journal-only: the journal and its chain are replayed, nothing is compared with them.",
    columns: [],
    said: "journal only",
  },
  {
    what: "the schema's code",
    reason:
      "Functions, triggers, constraints and rights decide what is written and how the past is read. verify reads rows with statements of its own, and never asks the schema's code.",
    columns: [],
    said: "always",
  },
];

/** What a run is told with, see VerifyOptions. */
export interface Run {
  readonly memory: ShardMemory | undefined;
  readonly isSealed: boolean;
  readonly journalOnly: boolean;
}

/** What a run has not covered, in words for the verdict line. */
export function notCovered(run: Run): string[] {
  const isSaid = {
    always: true,
    "without memory": run.journalOnly || run.memory?.position === undefined,
    "without seals": !run.journalOnly && !run.isSealed,
    "journal only": run.journalOnly,
  };
  return NOT_COVERED.filter(({ said }) => isSaid[said]).map(({ what }) => what);
}
