/** Asks a controller for something, by the spec alone, and tells what became of it. */
import { ANNOTATIONS, COMMAND_LINE_MANAGER } from "../../crds/group.ts";
import { ROLLOUT, type Rollout } from "../../crds/rollout.ts";
import { type RolloutRequest } from "../../crds/rollout-request.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { getRollout, type ReadClient } from "./find.ts";
import type { Place } from "./text.ts";

export interface AskContext {
  readonly client: ReadClient & Pick<KubeClient, "patch">;
  readonly clock: Clock;
  /** One line. */
  readonly print: (line: string) => void;
  /** How long to wait for an answer; 0: not at all. */
  readonly waitSeconds: number;
}

/** Time between two looks at the status. */
const LOOK_MS = 500;

/**
 * Writes `spec.request`, and waits until the status says what became of it.
 * @throws OperatorError USAGE for a stage that is none, ROLLOUT_REQUEST_REFUSED with the controller's sentence, ROLLOUT_UNANSWERED, and those of `getRollout`
 */
export async function askRollout(place: Place, request: RolloutRequest, context: AskContext): Promise<void> {
  const { print, waitSeconds } = context;
  const { stages } = (await getRollout(context.client, place)).spec;
  if (request.stage !== undefined && request.stage >= stages.length) {
    throw new OperatorError("USAGE", `--stage: the ladder of ${said(place)} has ${String(stages.length)} stages`);
  }
  // A patch of this kind keeps the members that it does not name: the stage of an earlier Jump has to go.
  const patch = { spec: { request: { ...request, stage: request.stage ?? null } } };
  await write(context, place, patch);
  print(`${said(place)}: asked for ${request.action} (request ${request.id})`);
  if (waitSeconds === 0) return;
  const answer = await untilAnswered(context, place, {
    what: `request ${request.id}`,
    check: ({ spec, status }) => {
      if (status?.lastRequest?.id === request.id) return status.lastRequest;
      if (spec.request?.id === request.id) return undefined;
      throw new OperatorError(
        "ROLLOUT_UNANSWERED",
        `request ${request.id} was taken out of the spec before a controller saw it; request ${spec.request?.id ?? "none"} stands there now`,
      );
    },
  });
  if (answer.result === "Refused") {
    throw new OperatorError("ROLLOUT_REQUEST_REFUSED", `${request.action} was refused: ${answer.message}`);
  }
  print(`done: ${answer.message}`);
}

/** Holds a release, or lets it go on. @throws OperatorError ROLLOUT_UNANSWERED, and those of `getRollout` */
export async function holdRollout(place: Place, paused: boolean, context: AskContext): Promise<void> {
  const { print, waitSeconds } = context;
  const before = await getRollout(context.client, place);
  const written = await write(context, place, { spec: { paused } });
  const doing = paused ? "held where it is; harm still takes it back" : "no longer held";
  const hadIt = before.spec.paused === paused ? " already" : "";
  print(`${said(place)}: spec.paused is${hadIt} ${String(paused)}`);
  if (waitSeconds === 0) return;
  const { generation = 0 } = written.metadata;
  await untilAnswered(context, place, {
    what: `spec.paused: ${String(paused)}`,
    check: ({ status }) => ((status?.observedGeneration ?? -1) >= generation ? true : undefined),
  });
  print(before.status?.canary === undefined ? "done: no release is under way" : `done: the release is ${doing}`);
}

function said({ namespace, name }: Place): string {
  return `Rollout ${namespace}/${name}`;
}

/** A plain patch of these fields alone: whoever applies the rest keeps owning it. */
function write({ client }: AskContext, place: Place, patch: object): Promise<Rollout> {
  return client.patch(ROLLOUT, place, { format: "merge", patch, fieldManager: COMMAND_LINE_MANAGER });
}

interface Answer<T> {
  /** For the sentence when nobody answers. */
  readonly what: string;
  readonly check: (rollout: Rollout) => T | undefined;
}

async function untilAnswered<T>(
  { client, clock, waitSeconds }: AskContext,
  place: Place,
  { what, check }: Answer<T>,
): Promise<T> {
  const until = clock.monotonic() + waitSeconds * 1_000;
  for (;;) {
    const rollout = await getRollout(client, place);
    const found = check(rollout);
    if (found !== undefined) return found;
    if (clock.monotonic() >= until) throw unanswered(rollout, `${what} after ${String(waitSeconds)} s`);
    await clock.sleep(LOOK_MS);
  }
}

function unanswered({ metadata }: Rollout, what: string): OperatorError {
  const isLeftAlone = metadata.annotations?.[ANNOTATIONS.paused] === "true";
  const why = isLeftAlone
    ? `the Rollout has annotation ${ANNOTATIONS.paused}, so the controller leaves it alone`
    : "it stays in the spec and is carried out when a controller is there. To look for one: kubectl get leases,pods -A | grep shieldx";
  return new OperatorError("ROLLOUT_UNANSWERED", `no controller has answered ${what}; ${why}`);
}
