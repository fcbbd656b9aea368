import {
  AGENT_PORT,
  type AgentStatus,
  agentStatus,
  SETTINGS_PATH,
  type SettingsAnswer,
  settingsAnswer,
} from "../../crds/agent-status.ts";
import { contentHash } from "../../lib/core/canonical.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { KeyPair } from "../kit/pki/certificates.ts";
import { trustedBundle } from "../kit/pki/objects.ts";
import { verifiedName } from "./shardset.certificates.ts";
import type { AgentAnswer, Agents } from "./shardset.facts.ts";
import type { World } from "./shardset.observe.ts";
import { type SettingsVerdict, trierOf, verdictOf } from "./shardset.settings.ts";

// Asks the shard agents for their status, and to try settings. It is the only thing that the controller reads outside the
// Kubernetes API.

/** Asks one agent; `lib/node/https-json.ts` has this shape. @throws when there is no answer */
export type GetJson = (request: {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly serverName: string;
  readonly tls: { readonly caPem: string; readonly certPem: string; readonly keyPem: string };
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Sent in a POST. */
  readonly body?: unknown;
}) => Promise<unknown>;

/** What asking takes beside the observed world. */
export interface AskContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Agents answer from memory in a millisecond; on a node under full load in a second. */
const ANSWER_TIMEOUT_MS = 2_000;

/** The agent lets PostgreSQL read the settings, in about 15 ms; on a node under full load in seconds. */
const TRIAL_TIMEOUT_MS = 5_000;

/**
 * A pod that its kubelet calls ready keeps its last answer for this long: one lost packet must not make a whole
 * ShardSet unavailable in its status.
 */
export const ANSWER_LIFETIME_MS = 20_000;

/** Pods, and trials, whose answers are remembered. */
const REMEMBERED_MAX = 10_000;

/** Who we are for agents; `undefined` before there are certificates. */
function identityOf(world: World): (KeyPair & { readonly caPem: string }) | undefined {
  const { target, leaves } = world;
  const pair = leaves.find(({ secret }) => secret === target.names.operatorTls)?.kept?.value;
  const caPem = trustedBundle(world);
  if (pair === undefined || caPem === undefined) return undefined;
  return { certPem: pair.certPem, keyPem: pair.keyPem, caPem };
}

/**
 * Makes a function that has the settings of the spec tried by an agent, where a pod is to get other ones than it has. An
 * answer counts for as long as pod and settings are the same.
 */
export function createSettingsTrier(
  getJson: GetJson,
): (world: World, agents: Agents, context: AskContext) => Promise<SettingsVerdict> {
  const remembered = new Map<string, SettingsAnswer>();
  return async (world, agents, { log, signal }) => {
    const { target } = world;
    const pod = trierOf(world, agents);
    const tls = identityOf(world);
    if (pod?.ip === undefined || tls === undefined) return { outcome: "untried" };
    const body = { parameters: target.spec.postgres.parameters };
    const key = contentHash([pod.uid, body]);
    const known = remembered.get(key);
    if (known !== undefined) return verdictOf(known, target);
    try {
      const asked = {
        host: pod.ip,
        port: AGENT_PORT,
        path: SETTINGS_PATH,
        serverName: verifiedName(target, pod.shard),
      };
      const answer = settingsAnswer.parse(await getJson({ ...asked, tls, body, timeoutMs: TRIAL_TIMEOUT_MS, signal }));
      if (remembered.size >= REMEMBERED_MAX) remembered.clear();
      if (answer.outcome !== "unknown") remembered.set(key, answer);
      return verdictOf(answer, target);
    } catch (error) {
      const { message } = toOperatorError(error);
      log.debug({ pod: pod.name, error: message }, "a shard agent does not try settings");
      return { outcome: "unknown", message: `the agent of pod ${pod.name} does not answer` };
    }
  };
}

/** Makes a function that asks the agents of all running pods at once. */
export function createAgentReader(getJson: GetJson): (world: World, context: AskContext) => Promise<Agents> {
  const remembered = new Map<string, { readonly status: AgentStatus; readonly at: number }>();

  const ask = async (
    pod: { readonly name: string; readonly uid: string | undefined; readonly ip: string; readonly ready: boolean },
    how: { readonly tls: KeyPair & { readonly caPem: string }; readonly serverName: string },
    { clock, log, signal }: AskContext,
  ): Promise<AgentAnswer | undefined> => {
    const key = pod.uid ?? pod.name;
    try {
      const answer = await getJson({
        host: pod.ip,
        port: AGENT_PORT,
        path: "/status",
        timeoutMs: ANSWER_TIMEOUT_MS,
        signal,
        ...how,
      });
      const status = agentStatus.parse(answer);
      if (remembered.size >= REMEMBERED_MAX) remembered.clear();
      remembered.set(key, { status, at: clock.monotonic() });
      return status;
    } catch (error) {
      log.debug({ pod: pod.name, error: toOperatorError(error).message }, "a shard agent does not answer");
      const last = remembered.get(key);
      const fresh = last !== undefined && clock.monotonic() - last.at < ANSWER_LIFETIME_MS;
      return fresh && pod.ready ? { ...last.status, isRemembered: true } : undefined;
    }
  };

  return async (world, context) => {
    const { target, pods } = world;
    const tls = identityOf(world);
    if (tls === undefined) return new Map();
    const answers = await Promise.all(
      [...pods.values()].map(async ({ name, uid, ip, shard, ready, phase }) => {
        if (ip === undefined || phase !== "Running") return undefined;
        const how = { tls, serverName: verifiedName(target, shard) };
        const status = await ask({ name, uid, ip, ready }, how, context);
        return status === undefined ? undefined : ([shard, status] as const);
      }),
    );
    return new Map(answers.filter((answer) => answer !== undefined));
  };
}
