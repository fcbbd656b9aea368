/** PodDisruptionBudgets: how many pods of a version a drain may take at once. */
import type { RolloutDisruption } from "../../crds/rollout-disruption.ts";
import type { Colour } from "../../crds/rollout-status.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { apply, remove } from "../../operator/runtime/actions.ts";
import type { Write } from "../../operator/runtime/types.ts";
import { ownedObject } from "../kit/objects.ts";
import type { Assessment } from "./rollout.assess.ts";
import { COLOURS, type Target } from "./rollout.names.ts";
import { colourSelector } from "./rollout.objects.ts";

/** Makes the budget of each colour that has pods, and removes those of the others. */
export function budgetActions({ world, replicas, facts }: Assessment): Write[] {
  const { target, budgets } = world;
  const { disruption } = target.spec;
  return COLOURS.flatMap((colour) => {
    const pods = replicas[colour];
    if (disruption !== undefined && pods > 0) {
      const budget = budgetOf(disruption, { pods, whole: facts.replicas });
      return [apply(disruptionBudget(target, colour, budget), `a drain may take some of ${String(pods)} pods`)];
    }
    const seen = budgets.find(({ name }) => name === target.names.colour(colour));
    return seen === undefined ? [] : [remove(seen, "no pods that a drain could take")];
  });
}

/** PodDisruptionBudget `<name>-<colour>`. A pod that is not ready serves nobody, so it never holds up a drain. */
function disruptionBudget(target: Target, colour: Colour, budget: RolloutDisruption): KubeObject {
  return ownedObject(target.owner, RESOURCES.PodDisruptionBudget, target.names.colour(colour), {
    spec: {
      ...budget,
      selector: { matchLabels: colourSelector(target, colour) },
      unhealthyPodEvictionPolicy: "AlwaysAllow",
    },
  });
}

/**
 * The budget of a version with so many pods. A new version that has fewer pods than serve all might have to keep each of them: then
 * one may go, or a drain would wait for as long as the release does.
 */
export function budgetOf(
  disruption: RolloutDisruption,
  { pods, whole }: { readonly pods: number; readonly whole: number },
): RolloutDisruption {
  const { minAvailable } = disruption;
  const isSmall = minAvailable !== undefined && pods < whole && kept(minAvailable, pods) >= pods;
  return isSmall ? { maxUnavailable: 1 } : disruption;
}

/** Pods that must stay, as Kubernetes rounds. */
function kept(minAvailable: number | string, pods: number): number {
  return typeof minAvailable === "number" ? minAvailable : Math.ceil((Number.parseInt(minAvailable, 10) * pods) / 100);
}
