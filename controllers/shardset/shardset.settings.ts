import type { SettingsAnswer } from "../../crds/agent-status.ts";
import { compareQuantities } from "../../crds/quantity.ts";
import { canonicalJson } from "../../lib/core/canonical.ts";
import type { Agents, ObservedPod } from "./shardset.facts.ts";
import { POSTGRES_CONTAINER, type Target } from "./shardset.names.ts";
import type { World } from "./shardset.observe.ts";
import { PARAMETERS_VARIABLE } from "./shardset.pod.ts";

// Whether PostgreSQL takes the settings of the spec, before a pod goes for them. The agent of a shard that serves tries them
// on a copy; a shard that serves already with them is proof by itself.

/** What is known of the settings of the spec. */
export type SettingsVerdict =
  /** No pod would change its settings, one serves with them already, or no agent that answers can try them. */
  | { readonly outcome: "untried" }
  | { readonly outcome: "accepted" }
  /** They could not be tried now; they are tried again. */
  | { readonly outcome: "unknown"; readonly message: string }
  /** PostgreSQL would not start with them: only another spec helps. */
  | { readonly outcome: "refused"; readonly setting: string | undefined; readonly message: string };

/** The pod whose agent is to try the settings. @returns `undefined` when there is nothing to try, or nobody who can */
export function trierOf({ pods, target }: World, agents: Agents): ObservedPod | undefined {
  const wanted = canonicalJson(target.spec.postgres.parameters);
  const living = target.shards.flatMap((shard) => pods.get(shard) ?? []).filter(({ deleting }) => !deleting);
  if (living.every(({ spec }) => parametersText(spec) === wanted)) return undefined;
  const serving = living.filter(({ shard }) => {
    const agent = agents.get(shard);
    return agent?.ready === true && agent.isRemembered !== true;
  });
  if (serving.some(({ spec }) => parametersText(spec) === wanted && imageOf(spec) === target.image)) return undefined;
  return serving.find(({ shard }) => agents.get(shard)?.canTrySettings === true);
}

/** What an answer means for the spec, whose memory the server has to fit into. */
export function verdictOf(answer: SettingsAnswer, { spec }: Target): SettingsVerdict {
  const { outcome, message = "it does not say why", setting, sharedMemoryBytes, nodeMemoryBytes } = answer;
  if (outcome === "refused") return { outcome, setting, message };
  if (outcome === "unknown") return { outcome, message };
  const limit = spec.resources.limits?.memory;
  const room = limit ?? (nodeMemoryBytes === undefined ? undefined : String(nodeMemoryBytes));
  if (sharedMemoryBytes === undefined || room === undefined) return { outcome: "accepted" };
  if ((compareQuantities(String(sharedMemoryBytes), room) ?? 0) <= 0) return { outcome: "accepted" };
  const where = limit === undefined ? `the node has ${mebibytes(Number(room))}` : `resources.limits.memory is ${limit}`;
  const names = Object.keys(spec.postgres.parameters);
  return {
    outcome: "refused",
    setting: ["shared_buffers", "max_connections"].find((name) => names.includes(name)),
    message: `its shared memory would take ${mebibytes(sharedMemoryBytes)}, but ${where}`,
  };
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)}Mi`;

interface PodSpec {
  readonly containers?: readonly {
    readonly name?: string;
    readonly image?: string;
    readonly env?: readonly { readonly name: string; readonly value?: string }[];
  }[];
}

function parametersText(spec: unknown): string | undefined {
  return ofPostgres(spec)?.env?.find(({ name }) => name === PARAMETERS_VARIABLE)?.value;
}

function imageOf(spec: unknown): string | undefined {
  return ofPostgres(spec)?.image;
}

function ofPostgres(spec: unknown): NonNullable<PodSpec["containers"]>[number] | undefined {
  return (spec as PodSpec | undefined)?.containers?.find(({ name }) => name === POSTGRES_CONTAINER);
}
