import { systemClock } from "../../../lib/core/clock.ts";
import { waitFor } from "../../run.ts";
import type { Load } from "../load-pod.ts";
import { type Backend, backendRefs } from "../routes.ts";
import { CANARY, failures, SETTLE_MS, STABLE, type Stage } from "./stage.ts";

const TIMES = 20;
const RATE = 200;
/** After this time without an answer of the canary it is held to be out: far above what is measured. */
const QUIET_SECONDS = 3;
const WAIT_MS = 60_000;
const HALF: readonly Backend[] = [
  [STABLE, 5000],
  [CANARY, 5000],
];
const NONE: readonly Backend[] = [
  [STABLE, 10_000],
  [CANARY, 0],
];

/**
 * How long after a PATCH to weight 0 the canary still answers, and when the gateway says so in the route's status. Both soon
 * after another change of the route, and after some time without one: a gateway may gather changes.
 */
export async function rollback(stage: Stage): Promise<unknown> {
  await stage.route([{ backendRefs: backendRefs(HALF) }]);
  const load = await stage.load({ rate: RATE, seconds: 1200 });
  const answers = {
    unit: "s",
    soonAfterAChange: await series(stage, load, 0),
    afterQuiet: await series(stage, load, SETTLE_MS),
  };
  const { counts } = await load.results();
  await load.stop();
  return { ...answers, failures: failures(counts), counts };
}

async function series(stage: Stage, load: Load, pauseMs: number): Promise<Record<string, Summary>> {
  const times = { appears: [] as number[], status: [] as number[], lastSent: [] as number[], last: [] as number[] };
  const canary = async () => (await load.results()).seen[CANARY];
  for (let i = 0; i < TIMES; i += 1) {
    const on = await stage.setWeights(HALF);
    await waitFor("the canary", WAIT_MS, async () => ((await canary())?.lastSent ?? 0) > on.sent);
    times.appears.push(systemClock.now() / 1000 - on.sent);
    await systemClock.sleep(pauseMs);
    const { sent } = await stage.setWeights(NONE);
    times.status.push((await stage.observed()) - sent);
    const seen = await waitFor("the last answer of the canary", WAIT_MS, async () => {
      const now = await canary();
      return now !== undefined && systemClock.now() / 1000 - Math.max(now.last, sent) > QUIET_SECONDS && now;
    });
    times.last.push(Math.max(0, seen.last - sent));
    times.lastSent.push(Math.max(0, seen.lastSent - sent));
  }
  return Object.fromEntries(Object.entries(times).map(([name, values]) => [name, summary(values)]));
}

interface Summary {
  readonly least: number;
  readonly median: number;
  readonly worst: number;
}

function summary(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number): number => Math.round((sorted[Math.floor((sorted.length - 1) * part)] ?? 0) * 1000) / 1000;
  return { least: at(0), median: at(0.5), worst: at(1) };
}
