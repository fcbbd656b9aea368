import type { CreditLedgerReason } from "../../crds/conditions.ts";
import { type ResourceState, ready, stuck, working } from "../../operator/runtime/summary.ts";
import type { Policy } from "../kit/conditions.ts";
import type { Assessment } from "./creditledger.assess.ts";

type State = ResourceState<CreditLedgerReason>;

/** Where a ledger stands: what the first check that finds something says. The rarest findings come first. */
export const CREDIT_LEDGER_POLICIES: readonly Policy<Assessment, State>[] = [
  ["it is being deleted", deletion],
  ["kept data does not fit", keptData],
  ["the CA cannot be used", authority],
  ["a gate is closed", gates],
  ["pods are not as the spec asks", rollout],
  ["all is as it should be", rest],
];

function deletion({ world, kept }: Assessment): State | undefined {
  if (world.ledger.metadata.deletionTimestamp === undefined) return undefined;
  const isDropping = world.target.spec.deletionPolicy === "Delete" && kept.dropProgress !== undefined;
  if (isDropping) return working("DroppingDatabase", kept.dropProgress ?? "");
  return working("Deleting", "the ledger's objects are being removed");
}

function keptData({ kept }: Assessment): State | undefined {
  return kept.conflict === undefined ? undefined : stuck("RetainedDataConflict", kept.conflict);
}

function authority({ made }: Assessment): State | undefined {
  return made.pki.problem === undefined ? undefined : stuck("AuthorityInvalid", made.pki.problem);
}

/** A failed migration is tried again for ever, but five failures in a row deserve a look. */
const FOR_PEOPLE: readonly CreditLedgerReason[] = [
  "DataLost",
  "DatabaseUnusable",
  "MigrationFailed",
  "DatabaseNameConflict",
  "StartBlocked",
];

function gates({ conditions }: Assessment): State | undefined {
  const { ShardSetReady, DatabaseReady, Migrated, Available } = conditions;
  const closed = [ShardSetReady, DatabaseReady, Migrated, Available].find(({ status }) => status !== "True");
  if (closed === undefined) return undefined;
  const { reason, message } = closed;
  return FOR_PEOPLE.includes(reason) ? stuck(reason, message) : working(reason, message);
}

function rollout({ unfinishedRollout }: Assessment): State | undefined {
  if (unfinishedRollout === undefined) return undefined;
  const { text, needsPerson } = unfinishedRollout;
  return needsPerson ? stuck("StartBlocked", text) : working("Deploying", text);
}

function rest({ conditions }: Assessment): State {
  return ready(conditions.Available.message);
}
