/** Where a Rollout stands, as series of gauges. */
import { ROLLOUT_REASONS } from "../../crds/conditions.ts";
import { type Rollout } from "../../crds/rollout.ts";
import { WHOLE_BPS } from "../../crds/rollout-ladder.ts";
import { type RolloutStatus } from "../../crds/rollout-status.ts";
import { stepDeadline } from "./rollout.deadline.ts";

/** Gauges with series of their own for each Rollout. */
export const ROLLOUT_GAUGES = [
  "canary_traffic_percentage",
  "rollout_phase",
  "rollout_state",
  "rollout_verdict",
  "rollout_step_deadline_timestamp_seconds",
] as const;

/** One value, and its labels beside namespace and name. */
export interface Series {
  readonly gauge: (typeof ROLLOUT_GAUGES)[number];
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** None before anything was told of the Rollout. */
export function seriesOf({ status, spec }: Rollout): Series[] {
  if (status?.phase === undefined) return [];
  const deadline = stepDeadline(status, spec);
  const { verdict } = status;
  return [
    { gauge: "rollout_phase", labels: { phase: status.phase }, value: 1 },
    ...standing(status),
    ...weights(status),
    ...(verdict === undefined
      ? []
      : [
          {
            gauge: "rollout_verdict",
            labels: { verdict: verdict.verdict, reason: verdict.reason },
            value: 1,
          } as const,
        ]),
    ...(deadline === undefined
      ? []
      : [{ gauge: "rollout_step_deadline_timestamp_seconds", labels: {}, value: deadline / 1_000 } as const]),
  ];
}

function standing({ conditions = [] }: RolloutStatus): Series[] {
  const reason = conditions.find(({ type }) => type === "Ready")?.reason;
  // What somebody else wrote is no value of a label.
  return reason === undefined || !Object.hasOwn(ROLLOUT_REASONS, reason)
    ? []
    : [{ gauge: "rollout_state", labels: { reason }, value: 1 }];
}

function weights({ weight }: RolloutStatus): Series[] {
  const { desiredBps: desired, observedBps: observed, measuredBps: measured } = weight ?? {};
  return Object.entries({ desired, observed, measured }).flatMap(([kind, bps]) =>
    bps === undefined
      ? []
      : [{ gauge: "canary_traffic_percentage", labels: { kind }, value: (bps * 100) / WHOLE_BPS } as const],
  );
}
