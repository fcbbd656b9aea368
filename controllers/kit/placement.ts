import type { resources } from "../../crds/common.ts";
import type { ImagePullSecrets, Scheduling } from "../../crds/scheduling.ts";

// What the specs of both kinds say about pods, in the words of a pod. A spec that says nothing adds no member, so that the
// hash of its pods is what it was before there was such a field.

/** What a spec says about where its pods run and with what their image is pulled. */
export interface Placed {
  readonly scheduling: Scheduling;
  readonly imagePullSecrets?: ImagePullSecrets;
}

/** Nodes, priority and pull secrets of a pod that is alone of its sort: there is nothing to spread. */
export function placement({ scheduling, imagePullSecrets }: Placed): Record<string, unknown> {
  const { topologySpreadConstraints: _, ...anywhere } = scheduling;
  return { ...anywhere, ...(imagePullSecrets === undefined ? {} : { imagePullSecrets }) };
}

/**
 * As `placement`, for pods of which there are several.
 * @param selector labels of these pods, which a constraint counts unless it says otherwise
 */
export function spreadPlacement(placed: Placed, selector: Readonly<Record<string, string>>): Record<string, unknown> {
  const { topologySpreadConstraints: constraints } = placed.scheduling;
  if (constraints === undefined || constraints.length === 0) return placement(placed);
  const labelSelector = { matchLabels: selector };
  return {
    ...placement(placed),
    topologySpreadConstraints: constraints.map((constraint) => ({ labelSelector, ...constraint })),
  };
}

type Resources = (typeof resources)["_zod"]["output"];

/** Requests and limits of a container. The server keeps quantities as texts, so `1` and `"1"` are the same pod. */
export function containerResources(given: Resources): Record<string, unknown> {
  const asTexts = (amounts: Readonly<Record<string, unknown>>): Record<string, string> =>
    Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, String(amount)]));
  return Object.fromEntries(Object.entries(given).map(([what, amounts]) => [what, asTexts(amounts)]));
}
