/** A route that belongs to the user: of one of its rules the versions take the place of a Service, and weights move there. */

import type { RolloutReason } from "../../../crds/conditions.ts";
import type { Rollout } from "../../../crds/rollout.ts";
import type { AdoptedRoute } from "../../../crds/rollout-traffic.ts";
import { identityOf, type ObjectIdentity } from "../../../lib/kube/types.ts";
import { patch, remove } from "../../../operator/runtime/actions.ts";
import type { CacheReader, Write } from "../../../operator/runtime/types.ts";
import type { Policy, Says } from "../../kit/conditions.ts";
import { firstOf } from "../rollout.first.ts";
import { shareText } from "../rollout.sentences.ts";
import { refsHash } from "./adopted-backends.ts";
import { nextTakeAt } from "./adopted-pace.ts";
import { colourOfRef, refsOf, rulesOf, ruleText } from "./adopted-rule.ts";
import { observeAdopted, type SeenAdopted, type SeenRule } from "./adopted-seen.ts";
import { adoptedStep, patchOf, takesIn } from "./adopted-step.ts";
import { idleGateway, missingGateway, unseenText } from "./gateways.ts";
import { rivalText } from "./rivals.ts";
import type { Leading, Traffic } from "./traffic.ts";

type Found = Says<RolloutReason>;

/** What is looked at to say how the route stands. */
interface Asked {
  readonly seen: SeenAdopted;
  /** That are to be. */
  readonly weights: Leading["weights"] | undefined;
  readonly shareBps: number;
  readonly writer: string | undefined;
}

export function adoptedRoute(cache: CacheReader, rollout: Rollout, route: AdoptedRoute): Traffic {
  return trafficOf(observeAdopted(cache, rollout, route), undefined);
}

function trafficOf(seen: SeenAdopted, writer: string | undefined): Traffic {
  return {
    kind: seen.type.kind,
    seen: seen.facts,
    // Testers and copies are refused at admission.
    lacks: {},
    holdsDeletion: true,
    lead: (how, note) => {
      const { patch: change } = adoptedStep(seen, how);
      const { object } = seen;
      const writes = change && object ? [patch(identityOf(seen.type, object), { change, note })] : [];
      return [...writes, ...leadMade(seen, how, note)];
    },
    remember: (how) => (how === undefined ? seen.remembered : adoptedStep(seen, how).memory),
    contested: contested(seen),
    writtenBy: (name) => trafficOf(seen, name),
    accepted: (weights, shareBps) => firstOf(CHAIN, { seen, weights, shareBps, writer }) ?? taken(seen, shareBps),
  };
}

/** What the controller made before has the same weights for as long as requests may come that way. */
function leadMade({ made, facts, place }: SeenAdopted, how: Leading, note: string): readonly Write[] {
  const { Blue, Green } = how.weights;
  const isTaken = facts?.isAccepted === true && facts.weights?.Blue === Blue && facts.weights.Green === Green;
  return made.flatMap(({ type, object }) => {
    const identity = identityOf(type, object);
    if (isTaken) return [remove(identity, `requests come through ${place.kind} ${place.route}`)];
    const [rule] = rulesOf(object);
    const before = rule === undefined ? [] : refsOf(rule);
    const refs = before.map((ref) => ({ ...ref, weight: how.weights[colourOfRef(ref, place) ?? "Blue"] }));
    const isSame = refsHash(refs) === refsHash(before);
    return isSame ? [] : [patch(identity, { change: patchOf(object, { index: 0, refs }), note })];
  });
}

/** The route, while somebody else writes its backends again and again. */
function contested({ type, object, rule, remembered }: SeenAdopted): ObjectIdentity | undefined {
  const isWar = typeof rule === "object" && rule.isForeign && takesIn(remembered).count > 0;
  return object !== undefined && isWar ? identityOf(type, object) : undefined;
}

const CHAIN: readonly Policy<Asked, Found>[] = [
  ["the cluster has no such kind", notServed],
  ["there is no such route", notFound],
  ["another Rollout has it", claimed],
  ["there is no such rule or backend", mismatched],
  ["versions cannot take the place of the Service", unfit],
  ["somebody writes it again and again", contestedRule],
  ["there is no such Gateway", ({ seen }) => missingGateway(seen.parents)],
  ["a Gateway refuses it", refused],
  ["a Gateway does not work", ({ seen }) => idleGateway(seen.parents, seen.facts?.isAccepted === true)],
  ["no gateway has taken it", untaken],
  ["the Service has its place", waiting],
  ["it is being written", unwritten],
];

function nameOf({ place }: SeenAdopted): string {
  return `${place.kind} ${place.route}`;
}

function notServed({ seen }: Asked): Found | undefined {
  if (seen.isServed) return undefined;
  const message = `the cluster has no ${seen.place.kind} of gateway.networking.k8s.io/v1`;
  return { reason: "GatewayAPINotInstalled", message };
}

function notFound({ seen }: Asked): Found | undefined {
  const message = `there is no ${nameOf(seen)} in namespace ${seen.place.namespace}`;
  return seen.object === undefined ? { reason: "RouteNotFound", message } : undefined;
}

function claimed({ seen: { claim } }: Asked): Found | undefined {
  return claim === undefined ? undefined : { reason: "RouteClaimed", message: claim };
}

function mismatched({ seen: { rule } }: Asked): Found | undefined {
  return typeof rule === "string" ? { reason: "RouteMismatch", message: rule } : undefined;
}

function unfit({ seen: { unfit: message } }: Asked): Found | undefined {
  return message === undefined ? undefined : { reason: "RouteMismatch", message };
}

function contestedRule({ seen, writer }: Asked): Found | undefined {
  const { rule, place, remembered } = seen;
  const takes = takesIn(remembered);
  if (typeof rule !== "object" || !rule.isForeign || takes.count === 0) return undefined;
  const next = new Date(nextTakeAt(takes, false)).toISOString();
  const leads = refsOf(rule.rule).map(({ name, weight = 1 }) => `${name} ${String(weight)}`);
  const message = `${writer ?? "somebody"} writes the backends of rule ${textOf(rule)} of ${nameOf(seen)}, which now are: ${leads.join(", ")}. They were taken back ${String(takes.count)} times, and are again by ${next}; let it leave spec.rules of ${place.kind} ${place.route} alone (docs/releases.md, "A route of your own")`;
  return { reason: "RouteConflict", message };
}

function textOf({ index, rule }: SeenRule): string {
  return ruleText(index, rule);
}

function refused({ seen: { facts } }: Asked): Found | undefined {
  return facts?.refusal === undefined ? undefined : { reason: "RouteRejected", message: facts.refusal };
}

function untaken({ seen }: Asked): Found | undefined {
  const { facts, parents } = seen;
  if (facts?.isAccepted === true) return undefined;
  const hint = unseenText(parents, facts?.isSpokenOf === true);
  return { reason: "RoutePending", message: `no gateway has taken ${nameOf(seen)} of this generation yet${hint}` };
}

function waiting({ seen }: Asked): Found | undefined {
  const { rule, place } = seen;
  if (typeof rule !== "object" || !rule.isOriginal) return undefined;
  const message = `rule ${textOf(rule)} of ${nameOf(seen)} leads to Service ${place.backend} until the pods of the version that is to serve are ready`;
  return { reason: "RoutePending", message };
}

function unwritten({ seen, weights, shareBps }: Asked): Found | undefined {
  const now = seen.facts?.weights;
  if (weights !== undefined && now?.Blue === weights.Blue && now.Green === weights.Green) return undefined;
  return {
    reason: "RoutePending",
    message: `${nameOf(seen)} is being written: ${shareText(shareBps)} to the new version`,
  };
}

function taken(seen: SeenAdopted, shareBps: number): Found {
  const { rule, place, rivals } = seen;
  const where = typeof rule === "object" ? `rule ${textOf(rule)} of ` : "";
  const message = `${where}${nameOf(seen)} gives ${shareText(shareBps)} of the requests of Service ${place.backend} to the new version${rivalText(place.kind, rivals)}`;
  return { reason: "RouteAccepted", message };
}
