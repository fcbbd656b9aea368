/**
 * Autoscalers of the colours, and whose the number of their pods is. An autoscaler writes it at any moment, so for a colour that has
 * one it is left out of what is applied. Server-side apply takes a field away that nobody holds any more, and the
 * default is one pod: before the number is left out it is applied under another name, which holds it from then on.
 *
 *   written by us ─► held under another name ─► left out ─► autoscaler ─► (removed) ─► written by us
 */
import type { Colour } from "../../crds/rollout-status.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { apply, handOver, remove } from "../../operator/runtime/actions.ts";
import type { Write } from "../../operator/runtime/types.ts";
import { ownedObject } from "../kit/objects.ts";
import type { Decision } from "./rollout.decide.ts";
import { COLOURS, type Target } from "./rollout.names.ts";
import { wantedPods } from "./rollout.weights.ts";

const { Deployment, HorizontalPodAutoscaler } = RESOURCES;

/** How the number of pods of a colour comes to its Deployment. */
export type Scaling = "Written" | "HandedOver" | "LeftOut";

/** @param pods that it is to have */
export function scalingOf({ world, facts, contents }: Decision, colour: Colour, pods: number): Scaling {
  const seen = world.colours[colour];
  // It begins with the pods that its part takes: an autoscaler leaves one without any alone.
  if (facts.spec.autoscaling === undefined || pods === 0 || seen === undefined || seen.replicas === 0) return "Written";
  if (seen.revision !== contents[colour]?.revision) return "Written";
  return seen.isHandedOver ? "LeftOut" : "HandedOver";
}

/** Gives the number of pods away as it is; nothing where that is done, or not wanted. */
export function handOverActions(decision: Decision, colour: Colour): Write[] {
  const { target, colours } = decision.world;
  const { replicas = 0 } = colours[colour] ?? {};
  if (scalingOf(decision, colour, decision.replicas[colour]) !== "HandedOver") return [];
  const { apiVersion, kind } = Deployment;
  const metadata = { name: target.names.colour(colour), namespace: target.owner.namespace };
  const object = { apiVersion, kind, metadata, spec: { replicas } };
  return [handOver(object, `an autoscaler is to change its ${String(replicas)} pods`)];
}

/** Fewest pods of a colour that an autoscaler may have; absent: it has none. */
function fewest({ acting, facts, world }: Decision, colour: Colour): number | undefined {
  const { stable, canary, phase, heldReplicas = 0 } = acting;
  const { autoscaling } = facts.spec;
  if (autoscaling === undefined || world.colours[colour]?.isHandedOver !== true) return undefined;
  if (stable?.colour === colour) return Math.max(autoscaling.minReplicas, heldReplicas);
  if (canary?.colour !== colour || phase === "RollingBack") return undefined;
  // Its Deployment is that of an earlier version still.
  return world.colours[colour].revision === canary.revision ? Math.max(1, wantedPods(acting, facts)) : undefined;
}

/** Takes the autoscalers of colours away that are to have none: before anything else is done about their pods. */
export function forgetAutoscalers(decision: Decision): Write[] {
  const { target, autoscalers } = decision.world;
  return COLOURS.flatMap((colour) => {
    const seen = autoscalers.find(({ name }) => name === target.names.colour(colour));
    const isKept = fewest(decision, colour) !== undefined && isLeftOut(decision, colour);
    return seen === undefined || isKept ? [] : [remove(seen, "this version is not scaled any more")];
  });
}

/** Makes those of the others, once their Deployments are left to them. */
export function keepAutoscalers(decision: Decision): Write[] {
  const { target } = decision.world;
  return COLOURS.flatMap((colour) => {
    const least = fewest(decision, colour);
    if (least === undefined || !isLeftOut(decision, colour)) return [];
    return [apply(autoscaler(target, colour, least), `${String(least)} pods at least`)];
  });
}

function isLeftOut(decision: Decision, colour: Colour): boolean {
  return scalingOf(decision, colour, decision.replicas[colour]) === "LeftOut";
}

/** HorizontalPodAutoscaler `<name>-<colour>`. */
function autoscaler(target: Target, colour: Colour, least: number): KubeObject {
  const { autoscaling } = target.spec;
  const { apiVersion, kind } = Deployment;
  const name = target.names.colour(colour);
  return ownedObject(target.owner, HorizontalPodAutoscaler, name, {
    spec: {
      scaleTargetRef: { apiVersion, kind, name },
      minReplicas: least,
      // What is held is not given up for a lower bound that came meanwhile.
      maxReplicas: Math.max(autoscaling?.maxReplicas ?? least, least),
      metrics: autoscaling?.metrics ?? [],
      ...(autoscaling?.behavior === undefined ? {} : { behavior: autoscaling.behavior }),
    },
  });
}
