/**
 * What the object that leads the requests remembers by itself: it is written together with the weights, so that a leader that comes
 * after a crash, or after the status was lost, knows it.
 */
import { ANNOTATIONS, annotationOf } from "../../../crds/group.ts";
import type { Outcome } from "../../../crds/rollout-status.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import { colourLabel, colourOf } from "../rollout.names.ts";
import type { KeptRetreat } from "../rollout.progress.ts";
import type { Leading, ObservedTraffic } from "./traffic.ts";

type Memory = Pick<ObservedTraffic, "stable" | "retreat">;

/** As annotations. @param rollout on an object that several Rollouts may have some on: whose they are */
export function memoryAnnotations(
  { stable, retreat }: Pick<Leading, "stable" | "retreat">,
  rollout?: string,
): Record<string, string> {
  return {
    ...(stable === undefined ? {} : { [keyOf(ANNOTATIONS.stable, rollout)]: colourLabel(stable) }),
    ...(retreat === undefined ? {} : { [keyOf(ANNOTATIONS.retreat, rollout)]: JSON.stringify(retreat) }),
  };
}

/** What an object remembers; what somebody else wrote there counts for nothing. */
export function memoryIn({ metadata: { annotations } }: KubeObject, rollout?: string): Memory {
  return {
    stable: colourOf(annotations?.[keyOf(ANNOTATIONS.stable, rollout)]),
    retreat: readRetreat(annotations?.[keyOf(ANNOTATIONS.retreat, rollout)]),
  };
}

function keyOf(annotation: string, rollout: string | undefined): string {
  return rollout === undefined ? annotation : annotationOf(rollout, annotation);
}

/** Outcomes of a release that went back. */
const BACK = ["RolledBack", "Aborted", "Superseded"] as const satisfies readonly Outcome[];

function readRetreat(text: string | undefined): KeptRetreat | undefined {
  const said = parsed(text) as Readonly<Record<string, unknown>> | null | undefined;
  const wordOf = (name: string, most: number): string | undefined => {
    const value = said?.[name];
    return typeof value === "string" && value.length <= most ? value : undefined;
  };
  const [revision, startedAt, reason] = ["revision", "startedAt", "reason"].map((name) => wordOf(name, 64));
  const message = wordOf("message", 1_024);
  const outcome = BACK.find((known) => known === said?.["outcome"]);
  if (revision === undefined || startedAt === undefined || outcome === undefined) return undefined;
  return reason === undefined || message === undefined ? undefined : { revision, startedAt, outcome, reason, message };
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
