/** Rules of a route in which the colours cannot stand in for a Service, each with a sentence that says why. */

import type { RolloutSpec } from "../../../crds/rollout.ts";
import { WHOLE_BPS } from "../../../crds/rollout-ladder.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import type { Policy } from "../../kit/conditions.ts";
import { firstOf } from "../rollout.first.ts";
import { type Original, weightsNow } from "./adopted-backends.ts";
import { colourOfRef, type FoundRule, isBackend, isOriginal, type Place, refsOf, ruleText } from "./adopted-rule.ts";
import { sharedWeights } from "./adopted-shares.ts";

/** What is asked of a rule. */
export interface RuleFacts {
  readonly place: Place;
  readonly found: FoundRule;
  /** As the owner of the route wrote it. */
  readonly original: Original;
  readonly route: KubeObject;
  readonly spec: Pick<RolloutSpec, "stages" | "holdbackBps" | "service">;
}

/** Backends of a rule at most; the Gateway API has the same bound. */
const REFS_MAX = 16;

const CHAIN: readonly Policy<RuleFacts, string>[] = [
  ["it is of a mesh", isOfMesh],
  ["it answers by itself", redirects],
  ["it copies requests to the Service", mirrors],
  ["it holds clients at a version", holdsClients],
  ["it leads to the Service twice", leadsTwice],
  ["it has no place for one more backend", isFull],
  ["the Service has no share", hasNoShare],
  ["shares cannot be told", hasFineWeights],
  ["the versions have no such port", hasOtherPort],
];

/** What is wrong with the rule; nothing where versions can take the place of the Service. */
export function unfitness(facts: RuleFacts): string | undefined {
  const { place, found } = facts;
  const why = firstOf(CHAIN, facts);
  return why && `rule ${ruleText(found.index, found.rule)} of ${place.kind} ${place.route} ${why}`;
}

function isOfMesh({ route }: RuleFacts): string | undefined {
  const { parentRefs = [] } = route["spec"] as { readonly parentRefs?: readonly { readonly kind?: string }[] };
  const mesh = parentRefs.find(({ kind = "Gateway" }) => kind !== "Gateway");
  return mesh && `hangs at a ${mesh.kind ?? ""}: only requests through Gateways are led`;
}

function redirects({ found: { rule } }: RuleFacts): string | undefined {
  const isRedirect = (rule.filters ?? []).some(({ type }) => type === "RequestRedirect");
  return isRedirect ? "answers with a redirect, so no request of it reaches a version" : undefined;
}

function mirrors({ place, found: { rule } }: RuleFacts): string | undefined {
  const filters = [...(rule.filters ?? []), ...refsOf(rule).flatMap((ref) => ref.filters ?? [])];
  const targets = filters.flatMap(({ requestMirror }) => requestMirror?.backendRef ?? []);
  const own = targets.find((ref) => isBackend(ref, place) || colourOfRef(ref, place) !== undefined);
  if (own === undefined) return undefined;
  return `mirrors requests to Service ${own.name} itself, where the copies would be judged as requests: take filter RequestMirror out`;
}

function holdsClients({ found: { rule } }: RuleFacts): string | undefined {
  if (rule["sessionPersistence"] === undefined) return undefined;
  return "has sessionPersistence, which holds clients at a version even at weight 0, so that nothing could be taken back: take it out";
}

function leadsTwice({ place, found: { rule } }: RuleFacts): string | undefined {
  const { length } = refsOf(rule).filter((ref) => isBackend(ref, place));
  return length > 1 ? `leads to Service ${place.backend} ${String(length)} times: let it name it once` : undefined;
}

function isFull({ place, found: { rule } }: RuleFacts): string | undefined {
  const others = weightsNow(refsOf(rule), place).others.length;
  if (others + 2 <= REFS_MAX) return undefined;
  return `has ${String(others + 1)} backends, and the Gateway API takes ${String(REFS_MAX)}: with both versions it were one more`;
}

function hasNoShare({ place, original: { backend } }: RuleFacts): string | undefined {
  if (backend.weight !== 0) return undefined;
  return `gives Service ${place.backend} weight 0, so no request would reach a version`;
}

function hasFineWeights({
  original: { backend, others },
  spec: { stages, holdbackBps },
}: RuleFacts): string | undefined {
  const steps = [...stages.map(({ weightBps }) => weightBps), WHOLE_BPS - holdbackBps];
  const own = { own: backend.weight ?? 1, others };
  const bad = steps.find((bps) => sharedWeights(own, { Blue: bps, Green: WHOLE_BPS - bps }) === undefined);
  if (bad === undefined) return undefined;
  const weights = [own.own, ...others].join(", ");
  return `has weights (${weights}) of which no weights up to 1,000,000 give ${String(bad / 100)} % of one exactly: take smaller ones, with the same shares`;
}

function hasOtherPort({ place, found, original: { backend }, spec: { service } }: RuleFacts): string | undefined {
  const { ports } = service;
  if (ports === undefined || !isOriginal(found.rule, place)) return undefined;
  if (backend.port === undefined || ports.some(({ port }) => port === backend.port)) return undefined;
  const has = ports.map(({ port }) => String(port)).join(", ");
  return `leads to port ${String(backend.port)} of Service ${place.backend}, and service.ports has: ${has}`;
}
