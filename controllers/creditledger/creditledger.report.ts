import type { CommonConditionType, CreditLedgerConditionType, CreditLedgerReason } from "../../crds/conditions.ts";
import type { LedgerHead } from "../../crds/creditledger.ts";
import { omitUndefined } from "../../lib/core/objects.ts";
import type { Report } from "../../operator/runtime/report.ts";
import { firstFinding } from "../kit/conditions.ts";
import { type Assessment, hasWriter } from "./creditledger.assess.ts";
import { ledgerUrl } from "./creditledger.names.ts";
import { CREDIT_LEDGER_POLICIES } from "./creditledger.policies.ts";

/** Longest name of a pod, and of a writer in the status. */
const WRITER_LENGTH_MAX = 253;

/** What is told of a ledger. @param publishPositions whether the positions of the heads may change now */
export function reportCreditLedger(
  assessment: Assessment,
  publishPositions: boolean,
): Report<Exclude<CreditLedgerConditionType, CommonConditionType>, CreditLedgerReason> {
  const { world, migration, writers, conditions } = assessment;
  const { ledger, target, deployment } = world;
  return {
    state: firstFinding(CREDIT_LEDGER_POLICIES, assessment),
    conditions,
    status: {
      url: ledgerUrl(target),
      caSecret: target.names.ca,
      shards: target.shards.length,
      writersReady: writers.filter(hasWriter).length,
      replicasReady: Math.min(deployment?.readyReplicas ?? 0, target.spec.replicas),
      // The pod of an old Job may be gone; what it once reported stays true.
      schemaVersion: migration?.job?.schemaVersion ?? ledger.status?.schemaVersion,
      heads: headsOf(assessment, publishPositions),
    },
  };
}

/** True when a writer has moved on since the status was written. */
export function positionsMoved(assessment: Assessment): boolean {
  const published = publishedPositions(assessment);
  return headsOf(assessment, true).some(({ shard, position }) => published.get(shard) !== position);
}

function headsOf(assessment: Assessment, publishPositions: boolean): LedgerHead[] {
  const published = publishedPositions(assessment);
  const before = new Map(assessment.world.ledger.status?.heads?.map((head) => [head.shard, head]));
  return assessment.writers.map((lease, shard) =>
    omitUndefined({
      shard,
      // A Lease that was made anew knows no position until its writer publishes one.
      position: (publishPositions ? lease?.position : undefined) ?? published.get(shard),
      systemIdentifier: lease?.systemIdentifier ?? before.get(shard)?.systemIdentifier,
      epoch: lease?.epoch,
      writer: lease?.holder?.split("_")[0]?.slice(0, WRITER_LENGTH_MAX),
    }),
  );
}

function publishedPositions({ world }: Assessment): ReadonlyMap<number, number | undefined> {
  return new Map((world.ledger.status?.heads ?? []).map(({ shard, position }) => [shard, position]));
}
