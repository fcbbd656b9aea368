/** `shieldx rollout status --watch`: shows a Rollout again and again, and knows when its release has ended. */

import type { Rollout } from "../../crds/rollout.ts";
import type { EndedRelease } from "../../crds/rollout-status.ts";
import { type Clock, rfc3339Seconds } from "../../lib/core/clock.ts";
import { type ErrorCode, isOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { readPods } from "./colours.ts";
import { getRollout, type ReadClient } from "./find.ts";
import { readyCondition } from "./next.ts";
import { screenText } from "./screen.ts";
import type { Place } from "./text.ts";

export interface FollowContext {
  readonly client: ReadClient & Pick<KubeClient, "find">;
  readonly clock: Clock;
  /** Writes text as it is. */
  readonly write: (text: string) => void;
  /** Whether the screen can be drawn anew. */
  readonly isTerminal: boolean;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

/** Time between two looks. */
const LOOK_MS = 1_000;
/** A release begins this soon after its Deployment was changed, or is not awaited any longer. */
const BEGIN_MS = 15_000;
/** A server that is away for longer ends the watch. */
const AWAY_MS = 120_000;
/** Failures that heal by themselves. */
const AWAY: ReadonlySet<ErrorCode> = new Set(["KUBE_UNREACHABLE", "KUBE_FAILED", "KUBE_THROTTLED"]);
/** Goes to the upper left corner and clears the rest. */
const REDRAW = "\u001B[H\u001B[2J";

/** How a watch ended. */
export type Followed = { readonly release: EndedRelease } | { readonly release: undefined; readonly why: string };

/** Shows the Rollout until the signal fires, or until its release has ended. @throws OperatorError as `getRollout` */
export async function followRelease(place: Place, untilDone: boolean, context: FollowContext): Promise<Followed> {
  const { client, clock, signal } = context;
  const began = clock.monotonic();
  const first = await getRollout(client, place);
  const before = newest(first);
  let isUnderWay = isReleasing(first);
  const show = shower(context);
  const again = patientReader(place, context);
  for (let rollout = first; ; rollout = await again()) {
    await show(rollout);
    isUnderWay ||= isReleasing(rollout);
    const ended = newest(rollout);
    const isOver = ended !== undefined && keyOf(ended) !== keyOf(before);
    // One that gave way to a newer version goes on as that one.
    if (untilDone && isOver && ended.outcome !== "Superseded" && !isReleasing(rollout)) return { release: ended };
    if (untilDone && !isUnderWay && clock.monotonic() - began >= BEGIN_MS) return lastOne(ended);
    await clock.sleep(LOOK_MS, signal);
    if (signal.aborted) return { release: undefined, why: "the watch was ended" };
  }
}

/** Reads the Rollout; a server that is away for a while ends no watch. */
function patientReader(
  place: Place,
  { client, clock, write, isTerminal, signal }: FollowContext,
): () => Promise<Rollout> {
  return async () => {
    const began = clock.monotonic();
    for (let isTold = false; ; isTold = true) {
      try {
        return await getRollout(client, place);
      } catch (error) {
        const isOver = signal.aborted || clock.monotonic() - began >= AWAY_MS;
        if (!isOperatorError(error) || !AWAY.has(error.code) || isOver) throw error;
        if (!isTold && !isTerminal) write(`${rfc3339Seconds(clock.now())} ${error.code}: tried again\n`);
        await clock.sleep(LOOK_MS, signal);
      }
    }
  };
}

function lastOne(ended: EndedRelease | undefined): Followed {
  if (ended !== undefined) return { release: ended };
  return {
    release: undefined,
    why: `no release has begun within ${String(BEGIN_MS / 1_000)} s, and none ended before`,
  };
}

function newest({ status }: Rollout): EndedRelease | undefined {
  return status?.releases?.[0];
}

function keyOf(ended: EndedRelease | undefined): string {
  return ended === undefined ? "" : `${ended.revision} ${ended.startedAt} ${ended.endedAt}`;
}

function isReleasing({ status }: Rollout): boolean {
  return status?.canary !== undefined || readyCondition(status)?.reason === "Releasing";
}

/** Draws the screen anew on a terminal; elsewhere writes one line for each news. */
function shower({ client, clock, write, isTerminal }: FollowContext): (rollout: Rollout) => Promise<void> {
  let told = "";
  return async (rollout) => {
    if (isTerminal) return write(REDRAW + screenText(rollout, await readPods(client, rollout), clock.now()));
    const line = lineText(rollout);
    if (line !== told) write(`${rfc3339Seconds(clock.now())} ${line}\n`);
    told = line;
  };
}

/** Where the release stands, in a line. */
function lineText({ status }: Rollout): string {
  const { phase = "-", step, share, verdict } = status ?? {};
  const ready = readyCondition(status);
  const judged = verdict === undefined ? [] : [`${verdict.verdict} (${verdict.reason})`];
  const where = [phase, step, share, ...judged].filter((part) => part !== undefined).join(" ");
  return ready === undefined ? where : `${where}: ${ready.message}`;
}
