import type { RolloutSpec } from "../../../crds/rollout.ts";
import type { Progress, ReleaseFacts } from "../rollout.progress.ts";
import { spec } from "./builders.ts";

/** When the tests of single decisions take place. */
export const NOW = Date.UTC(2026, 0, 1);

/** A time as the status has it. @param seconds before `NOW` */
export function ago(seconds: number): string {
  return new Date(NOW - seconds * 1_000).toISOString();
}

/** Revision `v1` serves from Blue, `v2` is judged at the first stage, of 10 %. */
export function midway(given: Partial<Progress> = {}): Progress {
  return {
    phase: "Canary",
    stage: 0,
    stageBps: 1_000,
    stable: { colour: "Blue", revision: "v1", since: ago(9_000) },
    canary: { colour: "Green", revision: "v2", since: ago(100) },
    releaseStartedAt: ago(100),
    phaseSince: ago(50),
    verifiedAt: ago(40),
    ...given,
  };
}

/** Pods and gateway are as `midway` asks for; 4 pods serve everything. */
export function factsOf(
  given: Partial<Omit<ReleaseFacts, "spec">> & { readonly spec?: Partial<RolloutSpec> } = {},
): ReleaseFacts {
  return {
    wanted: "v2",
    replicas: 4,
    colours: {
      Blue: { revision: "v1", replicas: 4, ready: 4 },
      Green: { revision: "v2", replicas: 4, ready: 4 },
    },
    route: { weights: { Blue: 9_000, Green: 1_000 }, isAccepted: true, retreat: undefined },
    judged: { verdict: undefined, failure: undefined, unknownSince: undefined },
    ...given,
    spec: spec(given.spec),
  };
}
