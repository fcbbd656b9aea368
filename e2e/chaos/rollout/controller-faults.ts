/** The operator dies, or stands still, in the middle of a release. */
import { type Phase } from "../../../crds/rollout-status.ts";
import {
  type Arena,
  askFor,
  beginRelease,
  ended,
  lookAt,
  type Moment,
  momentText,
  PATIENCE_MS,
  pass,
  pushNext,
  reach,
  releaseOf,
  request,
  sound,
  type Trial,
} from "./arena.ts";
import { type ArmedPod } from "./node-shell.ts";

/** Steps of a good release, each of which is written before it is acted upon. */
const BOUNDARIES: readonly Moment[] = [
  { phase: "Preparing" },
  { phase: "Verifying" },
  { phase: "Canary", stage: 0 },
  { phase: "Canary", stage: 1 },
  { phase: "Canary", stage: 2 },
  { phase: "Baking" },
  { phase: "Switching" },
  { phase: "Retiring" },
];

/** SIGKILL of the operator as each step is written, and twice as a release goes back: it goes on where it was. */
export async function controllerKilled(arena: Arena): Promise<void> {
  const { operator, timeline, check, say } = arena;
  let armed = await operator.arm();
  const since = lookAt(arena);
  const first = timeline.until("a release to begin", {
    from: since.mark,
    timeoutMs: PATIENCE_MS,
    match: (sight) => sight.kind === "rollout" && sight.status?.phase === "Preparing" && sight,
  });
  const pushed = await pushNext(arena);
  await first;
  armed = await kill(arena, armed, "Preparing");
  const good = await releaseOf(arena, since, pushed);
  for (const moment of BOUNDARIES.slice(1)) {
    const sight = await reach(arena, good, moment);
    const lateMs = Date.now() - sight.at;
    armed = await kill(arena, armed, momentText(moment));
    // A step that was written while the replicas were still being found says nothing.
    if (lateMs > AT_ONCE_MS) say(`  ${momentText(moment)}: killed ${String(lateMs)} ms after it was written`);
  }
  const { outcome } = await ended(arena, good);
  check("a release whose controller dies at every step goes out", outcome === "Promoted", outcome);
  await sound(arena);

  const back = await beginRelease(arena);
  await reach(arena, back, { phase: "Canary", stage: 1, isVerified: true });
  const zero = timeline.until("weight 0 in the route", {
    from: timeline.mark(),
    timeoutMs: PATIENCE_MS,
    match: (sight) => sight.kind === "route" && sight.takenBack === back.startedAt,
  });
  await request(arena, "Abort");
  await zero;
  armed = await kill(arena, armed, "weight 0 is in the route");
  await reach(arena, back, { phase: "RollingBack" });
  await kill(arena, armed, "RollingBack");
  const end = await ended(arena, back);
  check("a release that goes back does so, whoever dies", end.outcome === "Aborted", `${end.outcome}: ${end.message}`);
  await sound(arena);
}

const AT_ONCE_MS = 50;

/** Kills the leader, and often the other replica too. @returns the replicas that are there then */
async function kill(arena: Arena, armed: readonly ArmedPod[], when: string): Promise<readonly ArmedPod[]> {
  const victims = arena.random() < ALL_DIE ? armed : armed.slice(0, 1);
  await Promise.all(victims.map((pod) => pod.signal("KILL")));
  arena.say(`  killed at ${when}: ${victims.map(({ name }) => name).join(", ")}`);
  await arena.operator.replace(victims);
  return arena.operator.arm();
}

const ALL_DIE = 0.5;

/**
 * The leader is frozen as a step is written, another one takes over and takes the release back, or goes on with it; then the frozen
 * one wakes up and would go on where it stood.
 */
export async function leaderFrozen(arena: Arena): Promise<void> {
  await askFor(arena.stage, { holdSeconds: 8 });
  const aborted = await beginRelease(arena);
  const first = await freezeAt(arena, aborted, { phase: "Canary", stage: 1 });
  await request(arena, "Abort");
  await wakeAt(arena, first, aborted, { phase: "RollingBack" });
  const back = await ended(arena, aborted);
  arena.check(
    "the other replica takes the release back",
    back.outcome === "Aborted",
    `${back.outcome}: ${back.message}`,
  );
  await pass(LATE_SECONDS);

  const good = await beginRelease(arena);
  const second = await freezeAt(arena, good, { phase: "Canary", stage: 0 });
  await wakeAt(arena, second, good, { phase: "Canary", stage: 1 });
  const { outcome } = await ended(arena, good);
  arena.check("the other replica goes on with the release", outcome === "Promoted", outcome);
  await pass(LATE_SECONDS);
  await sound(arena);
}

/** Time in which whoever woke up would write what it had in mind. */
const LATE_SECONDS = 10;

async function freezeAt(arena: Arena, trial: Trial, moment: Moment): Promise<ArmedPod> {
  const [leader] = await arena.operator.arm();
  if (leader === undefined) throw new Error("nobody leads");
  await reach(arena, trial, moment);
  await leader.signal("STOP");
  arena.say(`  frozen at ${momentText(moment)}: ${leader.name}`);
  return leader;
}

async function wakeAt(arena: Arena, frozen: ArmedPod, trial: Trial, moment: { phase: Phase; stage?: number }) {
  const other = await arena.operator.leaderBut(frozen.name);
  await reach(arena, trial, moment);
  await frozen.signal("CONT");
  arena.say(`  ${other} leads; woken at ${momentText(moment)}: ${frozen.name}`);
}
