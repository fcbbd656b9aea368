import type { CacheReader } from "../../../operator/runtime/types.ts";
import type { Target } from "../rollout.names.ts";
import { managedRoute } from "./managed-route.ts";
import type { Traffic } from "./traffic.ts";

/** Requests of a Rollout in the way that its spec asks for. */
export function observeTraffic(cache: CacheReader, target: Target): Traffic {
  return managedRoute(cache, target);
}
