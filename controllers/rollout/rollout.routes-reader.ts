/** Asks the server what memory does not hold of routes of the user's. */
import type { ReconcileContext } from "../../operator/runtime/types.ts";
import type { World } from "./rollout.observe.ts";
import { readWriter } from "./traffic/route-writer.ts";
import { readServing } from "./traffic/serving.ts";

/** Who else writes the route, and which of the Services that get their place back could answer; it asks only where somebody waits for it. */
export async function readRoutes(
  { traffic, leaving, target }: World,
  context: ReconcileContext,
): Promise<Pick<World, "traffic" | "serving">> {
  const left = leaving.flatMap(({ rule, place }) => (rule === undefined ? [] : [place.backend]));
  const [writer, serving] = await Promise.all([
    traffic.contested && readWriter(traffic.contested, context),
    readServing(left, target, context),
  ]);
  return { traffic: traffic.writtenBy?.(writer) ?? traffic, serving };
}
