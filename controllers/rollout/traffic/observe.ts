import type { Rollout } from "../../../crds/rollout.ts";
import type { CacheReader } from "../../../operator/runtime/types.ts";
import { targetOf } from "../rollout.names.ts";
import { adoptedRoute } from "./adopted-route.ts";
import { managedRoute } from "./managed-route.ts";
import type { Traffic } from "./traffic.ts";

/** Requests of a Rollout in the way that its spec asks for. */
export function observeTraffic(cache: CacheReader, rollout: Rollout): Traffic {
  const { route } = rollout.spec.traffic.gatewayAPI;
  return route === undefined ? managedRoute(cache, targetOf(rollout)) : adoptedRoute(cache, rollout, route);
}
