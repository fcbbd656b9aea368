import { AGENT_PORT, type AgentStatus, agentStatus } from "../../crds/agent-status.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { KeyPair } from "../kit/pki/certificates.ts";
import { trustedBundle } from "../kit/pki/objects.ts";
import { verifiedName } from "./shardset.names.ts";
import type { World } from "./shardset.observe.ts";

// Asks the shard agents for their status. It is the only thing that the controller reads outside the Kubernetes API.

/** Asks one agent; `lib/node/https-json.ts` has this shape. @throws when there is no answer */
export type GetJson = (request: {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly serverName: string;
  readonly tls: { readonly caPem: string; readonly certPem: string; readonly keyPem: string };
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}) => Promise<unknown>;

/** The answer of an agent. */
export interface AgentAnswer extends AgentStatus {
  /** It is an earlier one: the agent does not answer now. Good enough to be told, not to act on. */
  readonly isRemembered?: true;
}

/** What the agents of the shards answered; a shard whose agent does not answer is absent. */
export type Agents = ReadonlyMap<number, AgentAnswer>;

/** What asking takes beside the observed world. */
export interface AskContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Agents answer from memory in a millisecond; on a node under full load in a second. */
const ANSWER_TIMEOUT_MS = 2_000;

/**
 * A pod that its kubelet calls ready keeps its last answer for this long: one lost packet must not make a whole
 * ShardSet unavailable in its status.
 */
export const ANSWER_LIFETIME_MS = 20_000;

/** Pods whose answers are remembered. */
const REMEMBERED_MAX = 10_000;

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
    const { target, leaves, pods } = world;
    const pair = leaves.find(({ secret }) => secret === target.names.operatorTls)?.kept?.value;
    const caPem = trustedBundle(world);
    if (pair === undefined || caPem === undefined) return new Map();
    const tls = { certPem: pair.certPem, keyPem: pair.keyPem, caPem };
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
