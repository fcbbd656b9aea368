/** The verbs that show: list, status, history. */
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import type { Rollout } from "../../crds/rollout.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { withCluster } from "./cluster.ts";
import { readPods } from "./colours.ts";
import { clusterVerb, outputOption, type PlaceFlags } from "./command.ts";
import { getRollout, listRollouts } from "./find.ts";
import { type Followed, followRelease } from "./follow-release.ts";
import { historyText } from "./history.ts";
import { listText } from "./list.ts";
import { screenText } from "./screen.ts";
import type { Place } from "./text.ts";

interface ShowFlags extends PlaceFlags {
  readonly output?: "json" | "yaml";
  readonly watch?: boolean;
  readonly untilDone?: boolean;
}

const LIST_HELP = `
Without -n the Rollouts of all namespaces.

Examples:
  shieldx rollout list
  shieldx rollout list -n shop -o json
`;

const STATUS_HELP = `
--watch draws the screen anew on a terminal and writes a line for each news elsewhere; Ctrl-C ends it. --until-done ends it
with the release under way, or with one that begins within 15 s; where none does, the last one counts.

Examples:
  shieldx rollout status shop -n shop
  shieldx rollout status shop -n shop --watch
  kubectl set image -n shop deployment/shop app=shop:2 && shieldx rollout status shop -n shop --until-done

Exit codes: 0 shown, or with --until-done promoted; 1 with --until-done taken back, or nothing to wait for; 1 other failures;
2 the command line is refused; 130 --until-done was ended by Ctrl-C.
`;

const HISTORY_HELP = `
Example:
  shieldx rollout history shop -n shop
`;

/** Exit code of a program that was interrupted. */
const INTERRUPTED = 130;

/** @param end takes the exit code */
export function showVerbs(end: (code: number) => void): readonly Command[] {
  return [
    clusterVerb("list", "show all Rollouts, one a line", LIST_HELP)
      .addOption(outputOption())
      .addOption(new Option("-A, --all-namespaces", "as without -n; for habit").conflicts("namespace"))
      .action((flags: ShowFlags) => withCluster(flags, (client) => list(client, flags))),
    clusterVerb("status", "show where one Rollout stands, and what to type next", STATUS_HELP)
      .argument("<name>", "the Rollout")
      .addOption(outputOption())
      .option("-w, --watch", "show it again whenever it changes")
      .option("--until-done", "watch until the release has ended")
      .action((name: string, flags: ShowFlags) =>
        withCluster(flags, async (client) => end(await status(client, placeOf(client, name, flags), flags))),
      ),
    clusterVerb("history", "show how the last releases ended", HISTORY_HELP)
      .argument("<name>", "the Rollout")
      .action((name: string, flags: ShowFlags) =>
        withCluster(flags, async (client) =>
          out(historyText(await getRollout(client, placeOf(client, name, flags)), systemClock.now())),
        ),
      ),
  ];
}

/** The Rollout that the command line names. */
export function placeOf({ namespace }: KubeClient, name: string, flags: PlaceFlags): Place {
  return { namespace: flags.namespace ?? namespace, name };
}

async function list(client: KubeClient, { namespace, output }: ShowFlags): Promise<void> {
  const items = await listRollouts(client, namespace);
  out(
    output === undefined
      ? listText(items, systemClock.now())
      : documentText({ apiVersion: "v1", kind: "List", items }, output),
  );
}

async function status(client: KubeClient, place: Place, flags: ShowFlags): Promise<number> {
  const { output, watch, untilDone } = flags;
  if (watch === true || untilDone === true) {
    if (output !== undefined) throw new OperatorError("USAGE", "--output does not go with --watch and --until-done");
    return watched(client, place, untilDone === true);
  }
  const rollout: Rollout = await getRollout(client, place);
  out(
    output === undefined
      ? screenText(rollout, await readPods(client, rollout), systemClock.now())
      : documentText(rollout, output),
  );
  return 0;
}

async function watched(client: KubeClient, place: Place, untilDone: boolean): Promise<number> {
  const interrupted = new AbortController();
  const stop = (): void => interrupted.abort();
  process.once("SIGINT", stop);
  try {
    const followed = await followRelease(place, untilDone, {
      client,
      clock: systemClock,
      write: out,
      isTerminal: process.stdout.isTTY,
      signal: interrupted.signal,
    });
    return untilDone ? endOf(followed, interrupted.signal.aborted) : 0;
  } finally {
    process.removeListener("SIGINT", stop);
  }
}

function endOf(followed: Followed, isInterrupted: boolean): number {
  if (isInterrupted) return INTERRUPTED;
  if (followed.release === undefined) {
    out(`${followed.why}\n`);
    return 1;
  }
  const { revision, outcome, reason, message } = followed.release;
  out(`revision ${revision}: ${outcome} (${reason}): ${message}\n`);
  return outcome === "Promoted" || outcome === "FastPromoted" ? 0 : 1;
}

function documentText(document: object, output: "json" | "yaml"): string {
  return output === "json"
    ? `${JSON.stringify(document, undefined, 2)}\n`
    : stringify(document, { compat: "yaml-1.1" });
}

function out(text: string): void {
  process.stdout.write(text);
}
