/** Smoke tests that are Jobs: how they are to be, and what they say. */
import { COMPONENTS, LABELS } from "../../../crds/group.ts";
import type { Colour } from "../../../crds/rollout-status.ts";
import { identityOf, type KubeObject, type ObjectIdentity, RESOURCES } from "../../../lib/kube/types.ts";
import type { Clues } from "../../../operator/runtime/clues.ts";
import { type PodFacts, podFacts, podTrouble } from "../../kit/explain/pods.ts";
import { refusalTrouble } from "../../kit/explain/refusals.ts";
import { firstWords } from "../../kit/explain/trouble.ts";
import { componentLabels, ownedObject } from "../../kit/objects.ts";
import { colourLabel, type Target, TEMPLATE_IMAGES } from "../rollout.names.ts";
import type { Check } from "./checks.ts";
import type { Seen } from "./memory.ts";

/** What the containers of a smoke test are told. */
export interface Subject {
  readonly revision: string;
  readonly colour: Colour;
  /** Where the canary answers, without a slash at the end. */
  readonly url: string;
}

/** Seconds for which a Job that has ended is kept for its log, when nobody removes it before. */
const KEPT_SECONDS = 3_600;

interface TemplateShape {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
}

interface ContainerShape {
  readonly env?: readonly { readonly name: string }[];
  readonly [member: string]: unknown;
}

/** Job `<rollout>-<name>-<hash>`. Its pods carry our labels, but those of no colour: no Service of ours leads to them. */
export function smokeJob(target: Target, check: Check & { readonly kind: "job" }, subject: Subject): KubeObject {
  const { owner, names } = target;
  const { template, backoffLimit, activeDeadlineSeconds } = check.job;
  const { metadata = {}, spec = {} } = template as TemplateShape;
  const labels = componentLabels(owner, COMPONENTS.verification);
  const foreign = Object.entries(metadata.labels ?? {}).filter(([key]) => !OUR_LABELS.includes(key));
  const restartPolicy = spec["restartPolicy"] ?? "Never";
  return ownedObject(owner, RESOURCES.Job, names.smoke(check.name, check.hash), {
    labels: { ...labels, [LABELS.revision]: subject.revision },
    spec: {
      backoffLimit,
      activeDeadlineSeconds,
      ttlSecondsAfterFinished: KEPT_SECONDS,
      ...(restartPolicy === "Never" ? { podFailurePolicy: DRAINS_ARE_NO_FAILURE } : {}),
      template: {
        metadata: { ...metadata, labels: { ...Object.fromEntries(foreign), ...labels } },
        spec: { ...spec, restartPolicy, ...toldContainers(spec, environmentOf(target, subject)) },
      },
    },
  });
}

const OUR_LABELS: readonly string[] = Object.values(LABELS);

const DRAINS_ARE_NO_FAILURE = {
  rules: [{ action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] }],
};

type Variable = { readonly name: string; readonly value: string };

function environmentOf({ owner }: Target, { revision, colour, url }: Subject): readonly Variable[] {
  return [
    { name: "SHIELDX_ROLLOUT", value: owner.name },
    { name: "SHIELDX_REVISION", value: revision },
    { name: "SHIELDX_COLOUR", value: colourLabel(colour) },
    { name: "SHIELDX_SERVICE_URL", value: url },
  ];
}

/** Ours come first, so that those of the template may refer to them; one that the template sets itself is its own. */
function toldContainers(spec: Readonly<Record<string, unknown>>, told: readonly Variable[]): Record<string, unknown> {
  const tell = (container: ContainerShape): ContainerShape => {
    const { env = [] } = container;
    return { ...container, env: [...told.filter(({ name }) => !env.some((own) => own.name === name)), ...env] };
  };
  return Object.fromEntries(
    ["initContainers", "containers"].flatMap((list) => {
      const containers = spec[list] as readonly ContainerShape[] | undefined;
      return containers === undefined ? [] : [[list, containers.map(tell)] as const];
    }),
  );
}

/** A Job of a smoke test. */
export interface ObservedJob extends ObjectIdentity {
  readonly state: "running" | "succeeded" | "failed";
  /** Why it failed. */
  readonly message: string;
  readonly createdAt: number | undefined;
}

interface JobShape {
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
}

/** Only a Job that says so itself has succeeded: one that was stopped, or is being removed, has not. */
export function observeJob(object: KubeObject): ObservedJob {
  const { status } = object as JobShape & KubeObject;
  const { creationTimestamp } = object.metadata;
  const holds = (type: string) => status?.conditions?.find((entry) => entry.type === type && entry.status === "True");
  const failed = holds("Failed");
  return {
    ...identityOf(RESOURCES.Job, object),
    state: failed !== undefined ? "failed" : holds("Complete") !== undefined ? "succeeded" : "running",
    message: firstWords([failed?.reason, failed?.message].filter((part) => part !== undefined).join(": ")),
    createdAt: creationTimestamp === undefined ? undefined : Date.parse(creationTimestamp),
  };
}

/** A pod of a smoke test. */
export interface JobPod extends PodFacts {
  /** UID of its Job. */
  readonly job: string | undefined;
}

export function observeJobPod(pod: KubeObject): JobPod {
  const owner = pod.metadata.ownerReferences?.find(({ kind, controller }) => kind === "Job" && controller === true);
  return { ...podFacts(pod), job: owner?.uid };
}

/** What a Job says of its check, in the words of its newest pod that has some. */
export function seenJob(job: ObservedJob | undefined, pods: readonly JobPod[], clues: Clues): Seen {
  if (job === undefined) return { state: "Absent" };
  const { name, uid = "", state } = job;
  const own = pods.filter((pod) => pod.job === uid).toSorted((a, b) => (b.createdAt ?? 0) - (a.createdAt ?? 0));
  const told = { job: uid };
  const words = wordsOf(own, clues);
  switch (state) {
    case "succeeded":
      return { state: "Passed", message: `Job ${name} succeeded`, ...told };
    case "failed": {
      const message = `Job ${name} failed${job.message === "" ? "" : `: ${job.message}`}`;
      return { state: "Failed", message, ...(words === undefined ? {} : { words }), ...told };
    }
    case "running": {
      const complaint = own.length === 0 ? clues.complaints.get(uid) : undefined;
      const refused = complaint && refusalTrouble(complaint.message).text;
      const message = own.length === 0 ? refused : (words ?? "");
      return { state: "Running", ...(message === undefined ? {} : { message }), ...told };
    }
  }
}

function wordsOf(pods: readonly JobPod[], { complaints }: Clues): string | undefined {
  for (const pod of pods) {
    const trouble = podTrouble(pod, complaints.get(pod.uid ?? ""), TEMPLATE_IMAGES);
    if (trouble !== undefined) return `pod ${pod.name}: ${trouble.text}`;
  }
  return undefined;
}
