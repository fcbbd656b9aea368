import { gatewayUrl } from "../../../e2e/gateway/gateways.ts";
import { type Load, type LoadResults, startLoad } from "../../../e2e/gateway/load-pod.ts";
import { shareSeconds, type WeightChange } from "../../../e2e/release.ts";
import { waitFor } from "../../../e2e/run.ts";
import type { KubeClient } from "../../../lib/kube/client.ts";
import { type Outcome, type Push, RATE, type Side } from "./side.ts";

/** What one release came to. */
export interface Run {
  readonly outcome: Outcome;
  /** From the first weight above 0 to weight 0, as the API server says; absent of a promoted one. */
  readonly seconds?: number;
  /** From the first weight above 0 to the client's last answer by this version; absent of a promoted one. */
  readonly lastAnswerSeconds?: number;
  /** Answers 500 of this version that the client got. */
  readonly bad: number;
  /** Greatest share that it had, in basis points. */
  readonly topBps: number;
  /** Requests that no version answered. */
  readonly lost: number;
}

/** Longer than a release; the load ends by itself, should the bench be killed. */
const LOAD_SECONDS = 420;
/** A gateway gathers changes for up to 2 s. */
const QUIET_MS = 3_000;

/** Releases one version under load, and waits until nothing of it is left. */
export async function measureRelease(
  side: Side,
  of: Push & { readonly client: KubeClient; readonly image: string },
): Promise<Run> {
  const { namespace, host } = side;
  const where = { namespace, name: "load", image: of.image, url: gatewayUrl("traefik"), host };
  const load = await startLoad(of.client, { ...where, rate: RATE, seconds: LOAD_SECONDS });
  try {
    await waitFor("answers of the version before", 60_000, async () => hasGoodAnswers(await load.results()));
    const following = await side.follow();
    const share = ({ weights }: WeightChange) => weights[following.canary] ?? 0;
    let outcome: Outcome;
    try {
      outcome = await side.release(of);
      if (outcome === "RolledBack") {
        await waitFor("weight 0", 30_000, () => Promise.resolve(following.changes.map(share).at(-1) === 0));
      }
    } finally {
      await following.stop();
    }
    const { changes } = following;
    const results = await lastResults(load, outcome === "RolledBack" ? of.version : undefined);
    await side.settle();
    return {
      outcome,
      ...(outcome === "RolledBack" ? timesOf(changes, results, { canary: following.canary, version: of.version }) : {}),
      bad: results.counts[`${of.version}/500`] ?? 0,
      topBps: Math.max(0, ...changes.map(share)),
      lost: lostOf(results),
    };
  } finally {
    await load.stop();
  }
}

function hasGoodAnswers({ counts }: LoadResults): boolean {
  return Object.keys(counts).some((key) => key.endsWith("/200"));
}

/** Waits until a version that was taken back has not answered for a while. */
function lastResults(load: Load, version: string | undefined): Promise<LoadResults> {
  return waitFor("the last answer", 60_000, async () => {
    const results = await load.results();
    const last = version === undefined ? undefined : results.seen[version]?.last;
    return (last === undefined || Date.now() - last * 1_000 > QUIET_MS) && results;
  });
}

function timesOf(
  changes: readonly WeightChange[],
  { seen }: LoadResults,
  { canary, version }: { readonly canary: string; readonly version: string },
): Pick<Run, "seconds" | "lastAnswerSeconds"> {
  const seconds = shareSeconds(changes, canary);
  const first = changes.find(({ weights }) => (weights[canary] ?? 0) > 0)?.at;
  const last = seen[version]?.last;
  return {
    ...(seconds === undefined ? {} : { seconds }),
    ...(first === undefined || last === undefined ? {} : { lastAnswerSeconds: last - first / 1_000 }),
  };
}

/** Errors of the gateway and of connections; the client asks before the route is there, which is a 404. */
function lostOf({ counts, errors }: LoadResults): number {
  const ofGateway = Object.entries(counts).filter(([key]) => key.startsWith("-/5"));
  return [...ofGateway.map(([, count]) => count), ...Object.values(errors)].reduce((sum, count) => sum + count, 0);
}
