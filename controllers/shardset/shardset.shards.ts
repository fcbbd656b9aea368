import type { AgentReason } from "../../crds/agent-status.ts";
import type { ShardSetReason } from "../../crds/conditions.ts";
import { GROUP, LABELS } from "../../crds/group.ts";
import type { ShardIdentity } from "../../lib/core/shard-identity.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { type Difference, differencesOf, inWords } from "../kit/difference.ts";
import { claimTrouble } from "../kit/explain/claims.ts";
import { endingWords, lacksImage, podTrouble } from "../kit/explain/pods.ts";
import type { Trouble } from "../kit/explain/trouble.ts";
import { ownLabels } from "../kit/objects.ts";
import type { AgentAnswer, Agents, ObservedPod } from "./shardset.facts.ts";
import type { Target } from "./shardset.names.ts";
import type { ShardObjects } from "./shardset.objects.ts";
import type { World } from "./shardset.observe.ts";
import { PARAMETERS_VARIABLE } from "./shardset.pod.ts";

// The state of each shard: what its pod is like, what its agent says, and why it is not ready.

/** What goes on in the pod of a shard, as far as it is known. */
export type Activity =
  /** There is no pod, or it is ending. */
  | "none"
  /** PostgreSQL accepts writes; its agent says so now. */
  | "serving"
  /** No PostgreSQL works in it: its container has not started, or its agent says that it has none running. */
  | "idle"
  /** PostgreSQL starts, recovers, ends or hangs. */
  | "busy"
  /** Its container runs, and its agent does not answer. */
  | "unseen";

/** State of one shard. */
export interface ShardState {
  readonly shard: number;
  readonly ready: boolean;
  /** Why not, as a sentence. */
  readonly message: string | undefined;
  readonly reason: ShardSetReason;
  /** It is not ready for a reason that only a person can mend. */
  readonly needsPerson: boolean;
  readonly bucketCount: number;
  readonly objects: ShardObjects;
  readonly pod: ObservedPod | undefined;
  readonly activity: Activity;
  /** What the spec wants otherwise than the pod was made, in words; `undefined` for a pod that follows it. */
  readonly difference: string | undefined;
  readonly agent: AgentAnswer | undefined;
}

/** What the state of a shard is computed from, besides the world. */
export interface ShardFacts {
  readonly objects: readonly ShardObjects[];
  readonly agents: Agents;
  readonly bucketCounts: ReadonlyMap<number, number>;
  /** Shards whose volume is lost. */
  readonly lost: readonly number[];
  /** What people may do about data that is lost, by shard. */
  readonly ways: ReadonlyMap<number, string>;
}

/** States of all shards of the spec, in order. */
export function shardStates(world: World, facts: ShardFacts): ShardState[] {
  const lost = new Set(facts.lost);
  return facts.objects.map((objects) => {
    const { shard } = objects;
    const pod = world.pods.get(shard);
    const agent = facts.agents.get(shard);
    const problem = lost.has(shard)
      ? volumeLost(world, shard)
      : podProblem(world, { shard, pod, agent, way: facts.ways.get(shard) });
    return {
      shard,
      ready: problem === undefined,
      message: problem?.message,
      reason: problem?.reason ?? "Ready",
      needsPerson: problem?.needsPerson === true,
      bucketCount: facts.bucketCounts.get(shard) ?? 0,
      objects,
      pod,
      activity: activityOf(pod, agent),
      difference: pod && differenceOf(pod, objects),
      agent,
    };
  });
}

/** What an agent says while no PostgreSQL of its own runs. */
const IDLE_REASONS: readonly string[] = [
  "Starting",
  "WaitingForLease",
  "PreparingData",
  "DataLost",
  "DataLost",
  "DataRefused",
  "ConfigInvalid",
  "PostgresFailed",
] satisfies AgentReason[];

function activityOf(pod: ObservedPod | undefined, agent: AgentAnswer | undefined): Activity {
  if (pod === undefined || pod.deleting) return "none";
  if (agent === undefined) return pod.isStarted ? "unseen" : "idle";
  if (agent.isRemembered === true) return "unseen";
  if (agent.ready) return "serving";
  return IDLE_REASONS.includes(agent.reason) ? "idle" : "busy";
}

/** Shards that are not ready, each with its reason. */
export function describe(states: readonly ShardState[]): string {
  return states.map(({ shard, message }) => `shard ${shard}: ${message ?? "ready"}`).join("; ");
}

interface Problem {
  readonly reason: ShardSetReason;
  readonly message: string;
  readonly needsPerson?: boolean;
}

function volumeLost({ target }: World, shard: number): Problem {
  const name = target.names.instance(shard);
  const labels = Object.entries({ ...ownLabels(target.owner), [LABELS.shard]: String(shard) });
  const list = labels.map(([label, value]) => `${label}=${value}`).join(", ");
  const label = `kubectl label --overwrite pvc ${name} -n ${target.owner.namespace} ${list.replaceAll(", ", " ")}`;
  const restore = `restore it under this name with labels ${list}`;
  return {
    reason: "VolumeLost",
    message: `volume ${name} is gone; ${restore}; if it is there, it lacks them: ${label}`,
  };
}

function podProblem(
  world: World,
  { shard, pod, agent, way }: Pick<ShardState, "shard" | "pod" | "agent"> & { readonly way: string | undefined },
): Problem | undefined {
  const name = world.target.names.instance(shard);
  if (pod === undefined) return { reason: "Provisioning", message: `pod ${name} does not exist yet` };
  if (pod.deleting) return { reason: "ShardNotReady", message: endingWords(pod, world.seenAt) };
  const { target, map } = world;
  if (agent?.ready === true) return identityProblem(agent, { target, recorded: map?.identities.get(shard), name });
  if (agent !== undefined) return agentProblem(agent, way);
  const trouble = startTrouble(world, shard, pod);
  if (trouble !== undefined) return { reason: "Provisioning", message: trouble.text, needsPerson: trouble.needsPerson };
  if (pod.phase !== "Running") return { reason: "Provisioning", message: `pod ${name} is ${pod.phase}` };
  const where = pod.node === undefined ? "" : ` on node ${pod.node}`;
  return { reason: "AgentUnreachable", message: `the agent of pod ${name}${where} does not answer` };
}

/** Reasons of the agent that are reasons of the ShardSet. */
const DATA_REASONS: Readonly<Record<string, ShardSetReason>> = { DataLost: "DataLost", DataRefused: "DataRefused" };

function agentProblem(agent: AgentAnswer, way: string | undefined): Problem {
  const reason = DATA_REASONS[agent.reason] ?? "ShardNotReady";
  return {
    reason,
    message: [`${agent.reason}: ${agent.message}`, way].filter((part) => part !== undefined).join("; "),
  };
}

/** A shard counts as ready once it is recorded what its data is: from then on a loss is told from a beginning. */
function identityProblem(
  { systemIdentifier }: AgentAnswer,
  {
    target,
    recorded,
    name,
  }: { readonly target: Target; readonly recorded: ShardIdentity | undefined; readonly name: string },
): Problem | undefined {
  if (systemIdentifier === undefined || recorded === undefined) return undefined;
  if (recorded.state !== "known") {
    return { reason: "Provisioning", message: `its system identifier ${systemIdentifier} is being recorded` };
  }
  if (recorded.systemIdentifier === systemIdentifier) return undefined;
  const says = `ConfigMap ${target.names.map} says that its data is the one with ${recorded.systemIdentifier}`;
  const message = `pod ${name} works on the PostgreSQL cluster with system identifier ${systemIdentifier}, but ${says}`;
  return { reason: "DataRefused", message };
}

/** Why the pod does not come up: what its volume lacks comes first, since the pod only says that it waits for it. */
function startTrouble(
  { clues, claims, target, shardSet }: World,
  shard: number,
  pod: ObservedPod,
): Trouble | undefined {
  const claim = claims.get(shard);
  const volume = claim && claimTrouble(claim, clues, mendingOf(target, shardSet.status?.volumesBound === true));
  if (claim !== undefined && volume !== undefined) return { ...volume, text: `volume ${claim.name}: ${volume.text}` };
  const trouble = podTrouble(pod, clues.complaints.get(pod.uid ?? ""));
  return trouble && { ...trouble, text: `pod ${pod.name}: ${trouble.text}` };
}

/** What a person does about a class. @param isFixed the set has volumes, so that its class stays */
function mendingOf({ spec }: World["target"], isFixed: boolean): string {
  const { storageClassName } = spec.storage;
  if (isFixed)
    return `make ${storageClassName === undefined ? "a default class" : "the class"}: other volumes of the ShardSet are in it`;
  const verb = storageClassName === undefined ? "set" : "correct";
  return `${verb} spec.storage.storageClassName: there is no data yet, so the volume is made anew`;
}

function differenceOf(pod: ObservedPod, { pod: wanted, podHash }: ShardObjects): string | undefined {
  // Its Service leads to the pod by labels of ours. The others are for people, whose policies may say them otherwise: each
  // new pod would be changed again, and replaced again.
  const labels = Object.entries(wanted.metadata.labels ?? {}).filter(([label]) => label.startsWith(`${GROUP}/`));
  if (labels.some(([label, value]) => pod.labels[label] !== value)) return "labels";
  if (pod.configHash === podHash) return needsPullSecrets(pod, wanted) ? "imagePullSecrets" : undefined;
  const differences = differencesOf(pod.spec, wanted["spec"]).flatMap(namesOf);
  // Somebody took the annotation off: what the pod was made from is not known, and what can be compared is as it should be.
  if (pod.configHash === undefined && differences.length === 0) return undefined;
  // A field that was taken out of the spec cannot be told from the defaults that the server adds.
  return differences.length === 0 ? "a field that was taken out of the spec" : inWords(differences);
}

/** A pod without its image, and without the Secrets that may get it: it cannot be given them, so another one is made. */
function needsPullSecrets(pod: ObservedPod, wanted: KubeObject): boolean {
  const { spec, phase } = pod;
  if (phase !== "Pending" && !lacksImage(pod)) return false;
  const desired = pullSecretsOf(wanted["spec"]);
  // Without a wish of ours they are those of the ServiceAccount, which admission wrote there.
  return desired.length > 0 && desired.join() !== pullSecretsOf(spec).join();
}

function pullSecretsOf(spec: unknown): readonly string[] {
  const { imagePullSecrets = [] } = spec as { readonly imagePullSecrets?: readonly { readonly name: string }[] };
  return imagePullSecrets.map(({ name }) => name);
}

/** All parameters of PostgreSQL are one variable of the pod; people read which of them changed. */
function namesOf({ what, live, desired }: Difference): string[] {
  if (!what.startsWith(`${PARAMETERS_VARIABLE} `)) return [what];
  const [before, after] = [parametersOf(live), parametersOf(desired)];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.filter((name) => before[name] !== after[name]);
}

function parametersOf(json: unknown): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = typeof json === "string" ? JSON.parse(json) : undefined;
    return parsed !== null && typeof parsed === "object" ? (parsed as Record<string, unknown>) : {};
  } catch {
    // Somebody wrote something else there: every parameter counts as changed.
    return {};
  }
}
