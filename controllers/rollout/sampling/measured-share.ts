/**
 * Whether the requests that were counted bear out the weight that the gateway says it has taken: a status is written before the
 * weight is served, and for a weight that it does not serve, too.
 */
import { WHOLE_BPS } from "../../../crds/rollout-ladder.ts";
import type { RunRow } from "../../../crds/rollout-run.ts";
import { countText, shareText } from "../judge/sentences.ts";
import type { SampleTask } from "./task.ts";

/** A gateway gathers changes for up to 2 s after it has said that it has a weight (e2e/gateway/README.md). */
const SETTLE_MS = 3_000;
/** Requests of the canary that are to be expected before anything is said. */
const EXPECTED_MIN = 20;
/** Standard deviations of a binomial share: beyond them once in a thousand times. */
const DEVIATIONS = 3.3;
/** Clients come back to the pod they had, and gateways draw by themselves: so many times the spread of independent requests. */
const SPREAD = 2;
/** Part of the weight by which the share may be off for good: pods that are asked late, requests that are counted late. */
const TOLERANCE = 0.25;

/**
 * What is wrong with the share at this place, in a sentence; nothing while chance may explain it.
 * @param rows of the run so far
 * @param beside copies are no share of the requests; testers ask the canary for as much as they like, so that it has no share too many
 */
export function shareTrouble(
  rows: readonly RunRow[],
  place: Pick<SampleTask, "stage" | "weightBps">,
  beside: SampleTask["beside"],
): string | undefined {
  const weight = place.weightBps / WHOLE_BPS;
  if (weight === 0 || weight === 1 || beside === "Copies") return undefined;
  const { canary, total } = countsAt(rows, place);
  if (total * Math.min(weight, 1 - weight) < EXPECTED_MIN) return undefined;
  const share = canary / total;
  const chance = SPREAD * DEVIATIONS * Math.sqrt((weight * (1 - weight)) / total);
  const off = beside === "Testers" ? weight - share : Math.abs(share - weight);
  if (off <= TOLERANCE * weight + chance) return undefined;
  const counted = `${shareText(share)} of ${countText(total)} requests`;
  return `the gateway gives the new version ${counted} instead of ${shareText(weight)}`;
}

/** Since the gateway has had time to serve the weight. */
function countsAt(rows: readonly RunRow[], { stage, weightBps }: Pick<SampleTask, "stage" | "weightBps">) {
  const before = rows.findLastIndex((row) => row.stage !== stage || row.weightBps !== weightBps);
  const here = rows.slice(before + 1);
  const settled = Date.parse(here[0]?.from ?? "") + SETTLE_MS;
  let [canary, total] = [0, 0];
  for (const row of here) {
    if (row.canary === undefined || row.stable === undefined || Date.parse(row.from) < settled) continue;
    canary += row.canary.requests;
    total += row.canary.requests + row.stable.requests;
  }
  return { canary, total };
}
