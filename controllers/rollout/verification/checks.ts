/** What a release must pass before its first share: the checks of the spec, each with a hash that tells it from all others. */
import {
  type CheckRecord,
  HEALTH_CHECK,
  type HealthCheckSpec,
  type HttpCheckSpec,
  type JobCheckSpec,
  type RolloutVerify,
} from "../../../crds/rollout-verify.ts";
import { contentHash } from "../../../lib/core/canonical.ts";

/** One check. */
export type Check = {
  readonly name: string;
  /** Another definition, or another release of the same revision, is another check. */
  readonly hash: string;
} & (
  | { readonly kind: "health"; readonly health: HealthCheckSpec }
  | { readonly kind: "http"; readonly http: HttpCheckSpec }
  | { readonly kind: "job"; readonly job: JobCheckSpec }
);

/** Names of Jobs end with it. */
const HASH_DIGITS = 8;

/** @param run names the Rollout and its release */
export function checksOf({ health, smoke }: RolloutVerify, run: string): readonly Check[] {
  const hashOf = (name: string, definition: unknown): string => contentHash([run, name, definition], HASH_DIGITS);
  const first: readonly Check[] =
    health === undefined ? [] : [{ name: HEALTH_CHECK, hash: hashOf(HEALTH_CHECK, health), kind: "health", health }];
  return [
    ...first,
    ...smoke.flatMap(({ name, http, job }): readonly Check[] => {
      if (http !== undefined) return [{ name, hash: hashOf(name, http), kind: "http", http }];
      return job === undefined ? [] : [{ name, hash: hashOf(name, job), kind: "job", job }];
    }),
  ];
}

/** Checks that are remembered to run: a request is sent, or a Job made, only after that is written. */
export function runningChecks(checks: readonly Check[], records: readonly CheckRecord[] = []): readonly Check[] {
  return checks.filter(({ name, hash }) =>
    records.some((record) => record.name === name && record.check === hash && record.result === "Running"),
  );
}
