import { type Arena } from "./arena.ts";
import { controllerKilled, leaderFrozen } from "./controller-faults.ts";
import { gatewayGone, gatewayGoneAtAbort, gatewayKilled, metricsDown } from "./gateway-faults.ts";
import { canaryGoneAtAbort, coloursDeleted, namespaceDeleted, routeEdited, routeFoughtOver } from "./object-faults.ts";

/** A fault, and what must come of it. Every version of route and status that it leads to is held to `invariants.ts` besides. */
export interface Scenario {
  readonly name: string;
  readonly run: (arena: Arena) => Promise<void>;
  /** Nothing is left of its namespace. */
  readonly endsArena?: boolean;
}

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  { name: "controller-killed", run: controllerKilled },
  { name: "leader-frozen", run: leaderFrozen },
  { name: "gateway-killed", run: gatewayKilled },
  { name: "gateway-gone", run: gatewayGone },
  { name: "gateway-gone-at-abort", run: gatewayGoneAtAbort },
  { name: "metrics-down", run: metricsDown },
  { name: "route-edited", run: routeEdited },
  { name: "route-fought-over", run: routeFoughtOver },
  { name: "colours-deleted", run: coloursDeleted },
  { name: "canary-gone-at-abort", run: canaryGoneAtAbort },
  { name: "namespace-deleted", run: namespaceDeleted, endsArena: true },
];
