/** What a Rollout remembers of a route of the user's: on the route, written with its backends, and once more in its own status. */
import { ANNOTATIONS, annotationOf } from "../../../crds/group.ts";
import { canonicalJson } from "../../../lib/core/canonical.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import type { Adoption } from "./adopted-backends.ts";

/** Annotation of a Rollout on routes of the user's. */
export function adoptionKey(rollout: string): string {
  return annotationOf(rollout, ANNOTATIONS.adoption);
}

/** What the route itself says of it. */
export function adoptionIn({ metadata: { annotations } }: KubeObject, rollout: string): Adoption | undefined {
  return readAdoption(annotations?.[adoptionKey(rollout)]);
}

export function adoptionText(adoption: Adoption): string {
  return canonicalJson(adoption);
}

/** What somebody else wrote there counts for nothing. */
export function readAdoption(text: string | undefined): Adoption | undefined {
  const said = parsed(text) as Partial<Record<keyof Adoption, unknown>> | null | undefined;
  if (said === null || typeof said !== "object") return undefined;
  const { backend, others, rule, written, writtenOthers } = said;
  const isBackend = typeof backend === "object" && backend !== null && "name" in backend;
  if (!isBackend || typeof backend.name !== "string" || typeof rule !== "number" || typeof written !== "string")
    return undefined;
  if (!areWeights(others) || !areWeights(writtenOthers)) return undefined;
  return { backend: { ...backend, name: backend.name }, others, rule, written, writtenOthers };
}

function areWeights(list: unknown): list is readonly number[] {
  return Array.isArray(list) && list.every((weight) => Number.isInteger(weight) && Number(weight) >= 0);
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
