/** The verbs that ask a controller for something: promote, abort, retry, skip, jump, pause, resume. */
import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import type { RolloutRequest } from "../../crds/rollout-request.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { type AskContext, askRollout, holdRollout } from "./ask.ts";
import { withCluster } from "./cluster.ts";
import { clusterVerb, type PlaceFlags, wholeNumber } from "./command.ts";
import { placeOf } from "./show-verbs.ts";
import type { Place } from "./text.ts";

interface AskFlags extends PlaceFlags {
  /** False with --no-wait. */
  readonly wait: boolean;
  readonly timeout: number;
  readonly full?: boolean;
  readonly stage?: number;
}

const CODES = `
Exit codes: 0 done (with --no-wait: asked for); 1 refused, with the sentence that says why, not answered in time, or other
failures; 2 the command line is refused.
`;

const TIMEOUT_SECONDS = 30;
const TIMEOUT_MAX_SECONDS = 86_400;
/** Most stages of a ladder, as people count them. */
const STAGE_MAX = 32;

export function askVerbs(): readonly Command[] {
  const example = (line: string): string => `\nExample:\n  shieldx rollout ${line}\n${CODES}`;
  const plain = (name: string, action: RolloutRequest["action"], description: string): Command =>
    asking(name, description, example(`${name} shop -n shop`), () => ({ action }));
  return [
    asking(
      "promote",
      "let a release go on that waits for a person",
      example("promote shop -n shop\n  shieldx rollout promote shop -n shop --full"),
      ({ full }) => ({ action: full === true ? "PromoteFull" : "Promote" }),
    ).option("--full", "end the ladder: all pods first, then all requests, without any further verdict"),
    plain("abort", "Abort", "take the release back: all requests go to the version that served before"),
    plain("retry", "Retry", "release a version again that was taken back"),
    plain("skip", "Skip", "go to the next stage without a verdict"),
    asking("jump", "go to a stage", example("jump shop -n shop --stage 3"), ({ stage = 1 }) => ({
      action: "Jump",
      stage: stage - 1,
    })).requiredOption("--stage <n>", "the stage, from 1", wholeNumber(1, STAGE_MAX)),
    holding("pause", true, "hold the release, and its weights, where they are", example("pause shop -n shop")),
    holding("resume", false, "let a release go on that pause holds", example("resume shop -n shop")),
  ];
}

function asking(
  name: string,
  description: string,
  help: string,
  requestOf: (flags: AskFlags) => Omit<RolloutRequest, "id">,
): Command {
  return waiting(name, description, help).action((of: string, flags: AskFlags) => {
    const request: RolloutRequest = { ...requestOf(flags), id: `${name}-${randomUUID().slice(0, 8)}` };
    return withRollout(of, flags, (place, context) => askRollout(place, request, context));
  });
}

function holding(name: string, paused: boolean, description: string, help: string): Command {
  return waiting(name, description, help).action((of: string, flags: AskFlags) =>
    withRollout(of, flags, (place, context) => holdRollout(place, paused, context)),
  );
}

function waiting(name: string, description: string, help: string): Command {
  return clusterVerb(name, description, help)
    .argument("<name>", "the Rollout")
    .option("--no-wait", "do not wait for the answer")
    .option(
      "--timeout <seconds>",
      "how long to wait for the answer",
      wholeNumber(1, TIMEOUT_MAX_SECONDS),
      TIMEOUT_SECONDS,
    );
}

function withRollout(
  name: string,
  flags: AskFlags,
  work: (place: Place, context: AskContext) => Promise<void>,
): Promise<void> {
  return withCluster(flags, (client) =>
    work(placeOf(client, name, flags), {
      client,
      clock: systemClock,
      print: (line) => void process.stdout.write(`${line}\n`),
      waitSeconds: flags.wait ? flags.timeout : 0,
    }),
  );
}
