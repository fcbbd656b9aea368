import { identityOf, type KubeObject, type ObjectIdentity, RESOURCES } from "../../../lib/kube/types.ts";
import type { Complaint } from "../../../operator/runtime/clues.ts";
import { firstWords, lastWords, sentence, type Trouble } from "./trouble.ts";

// Why a pod does not come up, whoever made it: in the words of scheduler, kubelet and container.

/** What a pod says about itself. */
export interface PodFacts extends ObjectIdentity {
  /** `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`. */
  readonly phase: string;
  readonly ready: boolean;
  readonly deleting: boolean;
  /** When its node has to have ended it, milliseconds since the epoch; `undefined` for one that is not being deleted. */
  readonly endsBy: number | undefined;
  /** Milliseconds since the epoch, by the API server's clock. */
  readonly createdAt: number | undefined;
  /** Node that it was given to. */
  readonly node: string | undefined;
  /** Why it has no node. */
  readonly unscheduled: Said | undefined;
  /** Why all of it ended, for example `Evicted`. */
  readonly ended: Said | undefined;
  readonly containers: readonly ContainerFacts[];
}

/** A reason with the words that go with it. */
export interface Said {
  readonly reason: string;
  readonly message: string;
}

/** What a container of a pod says about itself. */
export interface ContainerFacts {
  readonly name: string;
  readonly image: string;
  readonly restarts: number;
  readonly isRunning: boolean;
  readonly waits: Said | undefined;
  /** Its last end that was no success. */
  readonly lastEnd: { readonly exitCode: number; readonly reason: string; readonly message: string } | undefined;
}

/** Members of a Pod that are read here. */
interface PodShape {
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers?: readonly { readonly name: string; readonly image?: string }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
    readonly initContainerStatuses?: readonly ContainerShape[];
    readonly containerStatuses?: readonly ContainerShape[];
  };
}

interface ContainerShape {
  readonly name?: string;
  readonly image?: string;
  readonly restartCount?: number;
  readonly state?: StateShape;
  readonly lastState?: StateShape;
}

interface StateShape {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: object;
  readonly terminated?: { readonly exitCode?: number; readonly reason?: string; readonly message?: string };
}

/** Facts of a Pod. */
export function podFacts(object: KubeObject): PodFacts {
  const { spec, status = {} } = object as PodShape & KubeObject;
  const { metadata } = object;
  const condition = (type: string) => status.conditions?.find((entry) => entry.type === type);
  const scheduled = condition("PodScheduled");
  const imageOf = new Map((spec?.containers ?? []).map(({ name, image }) => [name, image]));
  return {
    ...identityOf(RESOURCES.Pod, object),
    phase: status.phase ?? "Pending",
    ready: condition("Ready")?.status === "True",
    deleting: metadata.deletionTimestamp !== undefined,
    endsBy: metadata.deletionTimestamp === undefined ? undefined : Date.parse(metadata.deletionTimestamp),
    createdAt: metadata.creationTimestamp === undefined ? undefined : Date.parse(metadata.creationTimestamp),
    node: spec?.nodeName,
    unscheduled: scheduled?.status === "False" ? said(scheduled, "Unschedulable") : undefined,
    ended: status.phase === "Failed" ? said(status, "Failed") : undefined,
    containers: [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].map((container) =>
      containerFacts(container, imageOf),
    ),
  };
}

function said({ reason, message }: { readonly reason?: string; readonly message?: string }, otherwise: string): Said {
  return { reason: reason ?? otherwise, message: message ?? "" };
}

function containerFacts(
  { name = "", image = "", restartCount = 0, state, lastState }: ContainerShape,
  imageOf: ReadonlyMap<string, string | undefined>,
): ContainerFacts {
  const ends = [state?.terminated, lastState?.terminated];
  const failed = ends.find((end) => end !== undefined && end.exitCode !== 0);
  return {
    name,
    // As the spec has it: the status may name another tag of the same content, or nothing yet.
    image: imageOf.get(name) ?? image,
    restarts: restartCount,
    isRunning: state?.running !== undefined,
    waits: state?.waiting === undefined ? undefined : said(state.waiting, "Waiting"),
    lastEnd: failed && { exitCode: failed.exitCode ?? -1, reason: failed.reason ?? "", message: failed.message ?? "" },
  };
}

/** Beyond the time that a pod was given to end, its node gets this long to say so. */
const END_LATE_MS = 30_000;

/** How a pod that is being deleted ends, or why it does not. @param now milliseconds since the epoch */
export function endingWords({ name, namespace, node, endsBy }: PodFacts, now: number): string {
  if (endsBy === undefined || node === undefined || now < endsBy + END_LATE_MS) return `pod ${name} is ending`;
  const late = `pod ${name} should have ended at ${new Date(endsBy).toISOString()}, but node ${node} has not said so`;
  const force = `kubectl delete pod ${name} -n ${namespace} --force`;
  return `${late}: it goes on when the node answers; if the node is gone for good: ${force}`;
}

/** What helps where an image of ours cannot be had. */
const OUR_IMAGES = "correct the image in the values of the operator, or name a pull secret in spec.imagePullSecrets";

/**
 * Why a pod does not come up; `undefined` for one that is starting as pods do.
 * @param complaint of an event about it @param imageAdvice what helps where its image cannot be had
 */
export function podTrouble(pod: PodFacts, complaint?: Complaint, imageAdvice = OUR_IMAGES): Trouble | undefined {
  if (pod.ready || pod.phase === "Succeeded") return undefined;
  if (pod.ended !== undefined)
    return { text: `it ended: ${sentence(pod.ended.reason, pod.ended.message)}${lastOf(pod)}`, needsPerson: false };
  if (pod.unscheduled !== undefined) return unscheduled(pod.unscheduled);
  const [trouble] = pod.containers
    .map((it) => containerTrouble(it, imageAdvice))
    .filter((found) => found !== undefined);
  if (trouble !== undefined) return trouble;
  const isStarting = pod.phase === "Pending" || pod.containers.some(({ waits }) => waits !== undefined);
  if (!isStarting || complaint === undefined) return undefined;
  return { text: sentence(complaint.reason, complaint.message), needsPerson: false };
}

function lastOf({ containers }: PodFacts): string {
  const end = containers.find(({ lastEnd }) => lastEnd !== undefined)?.lastEnd;
  return end === undefined ? "" : `; its container ended ${endInWords(end)}`;
}

function unscheduled({ reason, message }: Said): Trouble {
  // The first line: what follows repeats it for each node.
  const text = sentence(reason, message.split("\n")[0]);
  if (reason === "SchedulingGated") return { text: `${text}; remove the scheduling gate`, needsPerson: true };
  // A freed or a new node helps without anybody's hand.
  return { text, needsPerson: false };
}

/** Reasons with which a kubelet cannot have an image. */
const IMAGE_REASONS = [
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "ImageInspectError",
  "RegistryUnavailable",
];

/** True for a pod whose image cannot be had, now. */
export function lacksImage({ containers }: PodFacts): boolean {
  return containers.some(({ waits }) => waits !== undefined && IMAGE_REASONS.includes(waits.reason));
}

/** Answers of registries that no later try changes. */
const IMAGE_FOR_PEOPLE = /not found|manifest unknown|unauthorized|denied|forbidden|authentication required|no match/i;

/** Waiting is what every container does before it starts. */
const STARTING = ["ContainerCreating", "PodInitializing"];

function containerTrouble(container: ContainerFacts, imageAdvice: string): Trouble | undefined {
  const { name, image, restarts, isRunning, waits, lastEnd } = container;
  // What it ended with yesterday does not say why it is not ready now.
  if (isRunning) return undefined;
  if (waits !== undefined && IMAGE_REASONS.includes(waits.reason)) return imageTrouble(image, waits, imageAdvice);
  if (lastEnd !== undefined && (waits === undefined || waits.reason === "CrashLoopBackOff")) {
    return {
      text: `container ${name}, restarted ${String(restarts)} times, ended ${endInWords(lastEnd)}`,
      needsPerson: false,
    };
  }
  if (waits === undefined || STARTING.includes(waits.reason)) return undefined;
  return { text: `container ${name}: ${sentence(waits.reason, waits.message)}`, needsPerson: false };
}

function endInWords({ exitCode, reason, message }: NonNullable<ContainerFacts["lastEnd"]>): string {
  const why = reason === "" || reason === "Error" ? "" : ` (${reason})`;
  const words = lastWords(message);
  return `with exit code ${String(exitCode)}${why}${words === "" ? "" : `: ${words}`}`;
}

function imageTrouble(image: string, { reason, message }: Said, advice: string): Trouble {
  const text = `image ${image} cannot be pulled: ${sentence(reason, message)}`;
  const isFinal = reason === "InvalidImageName" || reason === "ErrImageNeverPull" || IMAGE_FOR_PEOPLE.test(message);
  if (!isFinal) return { text, needsPerson: false };
  return {
    text: `${firstWords(text)}; ${advice}`,
    needsPerson: true,
  };
}
