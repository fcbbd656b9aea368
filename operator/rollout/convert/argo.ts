/** Rollouts of Argo Rollouts (argoproj.io/v1alpha1). */
import { WHOLE_BPS } from "../../../crds/rollout-ladder.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { gateOf, type Templates } from "./argo-analysis.ts";
import { stagesOfSteps } from "./argo-steps.ts";
import type { Entry } from "./documents.ts";
import {
  type ConvertOptions,
  type Draft,
  gatewayOf,
  listOf,
  metadataOf,
  optional,
  textOf,
  useIf,
  wholeOf,
} from "./frame.ts";
import { ladderOf } from "./ladder.ts";
import type { Path, Reading } from "./reading.ts";
import { trafficOfRoute } from "./routes.ts";

const CANARY: Path = ["spec", "strategy", "canary"];
const BLUE_GREEN: Path = ["spec", "strategy", "blueGreen"];
/** A blue-green release names no time: it is watched as long as the last stage of the usual ladder. */
const BLUE_GREEN_HOLD_SECONDS = 300;

/** @throws OperatorError ROLLOUT_UNCONVERTIBLE */
export function fromArgo(entry: Entry, templates: Templates, options: ConvertOptions): Draft {
  const { reading } = entry;
  const isBlueGreen = reading.peek(BLUE_GREEN) !== undefined;
  const { spec, notes } = isBlueGreen ? blueGreenOf(entry, templates) : canaryOf(entry, templates);
  useIf(reading, [
    [[...CANARY, "dynamicStableScale"], false],
    [["spec", "progressDeadlineAbort"], true],
  ]);
  const drain = wholeOf(reading, [...(isBlueGreen ? BLUE_GREEN : CANARY), "scaleDownDelaySeconds"], [0, 3_600]);
  return {
    metadata: metadataOf(entry),
    spec: {
      target: targetOf(reading),
      ...optional("replicas", wholeOf(reading, ["spec", "replicas"], [1, 1_000])),
      service: serviceOf(reading, options),
      traffic: trafficOf(entry, templates, options),
      ...spec,
      ...optional("drainSeconds", drain),
      ...optional("progressDeadlineSeconds", wholeOf(reading, ["spec", "progressDeadlineSeconds"], [10, 86_400])),
      ...optional("paused", reading.use(["spec", "paused"])),
    },
    notes,
  };
}

function targetOf(reading: Reading): object {
  const ref: Path = ["spec", "workloadRef"];
  if (reading.peek(ref) === undefined) {
    const template = reading.use(["spec", "template"]);
    if (template !== undefined) return { template };
    throw new OperatorError(
      "ROLLOUT_UNCONVERTIBLE",
      `${reading.title}: it has neither spec.template nor spec.workloadRef`,
    );
  }
  const kind = String(reading.use([...ref, "kind"]));
  if (kind !== "Deployment") {
    const text = `${reading.title}: spec.workloadRef names a ${kind}; a Rollout releases a Deployment`;
    throw new OperatorError("ROLLOUT_UNCONVERTIBLE", `${text}, or a template of its own`);
  }
  return { deployment: reading.use([...ref, "name"]) };
}

/** Where Services are named, the one that clients use first. */
const SERVICES: readonly Path[] = [
  [...CANARY, "stableService"],
  [...BLUE_GREEN, "activeService"],
  [...CANARY, "pingPong", "pingService"],
];

function serviceOf(reading: Reading, { service }: ConvertOptions): object {
  const path = SERVICES.find((one) => textOf(reading, one) !== undefined);
  if (path !== undefined) {
    reading.change(
      path,
      "it is read for its ports and never changed; Argo Rollouts has added rollouts-pod-template-hash to its selector",
      "take that label out of the selector when Argo Rollouts has let go of it, else condition TargetFound says ServiceMismatch",
    );
    return { name: textOf(reading, path) };
  }
  if (service !== undefined) return { name: service };
  const ports = portsOf(reading.peek(["spec", "template", "spec", "containers"]));
  if (ports.length > 0) return { ports };
  const text = `${reading.title}: no document names a Service, and the template no port`;
  throw new OperatorError("ROLLOUT_UNCONVERTIBLE", `${text}: give --service NAME`);
}

function portsOf(containers: unknown): readonly object[] {
  const ports = listOf(containers)
    .flatMap((container) => listOf((container as { readonly ports?: unknown }).ports))
    .flatMap((item) => {
      const {
        name,
        containerPort,
        protocol = "TCP",
      } = item as {
        readonly name?: string;
        readonly containerPort?: number;
        readonly protocol?: string;
      };
      return containerPort === undefined || protocol !== "TCP"
        ? []
        : [{ ...optional("name", name), port: containerPort }];
    });
  const distinct = ports.filter(({ port }, index) => ports.findIndex((other) => other.port === port) === index);
  // Containers need no names for their ports; Services of several do.
  return distinct.length < 2 ? distinct : distinct.map((it) => ({ name: `port-${String(it.port)}`, ...it }));
}

function trafficOf({ reading, namespace }: Entry, entries: readonly Entry[], options: ConvertOptions): object {
  const plugin: Path = [...CANARY, "trafficRouting", "plugins", "argoproj-labs/gatewayAPI"];
  const found = (["httpRoute", "httpRoutes", "grpcRoute", "grpcRoutes"] as const).find(
    (member) => reading.peek([...plugin, member]) !== undefined,
  );
  if (found === undefined) return { gatewayAPI: gatewayOf(reading, options) };
  const kind = found.startsWith("grpc") ? "GRPCRoute" : "HTTPRoute";
  const at: Path = found.endsWith("s") ? [...plugin, found, 0, "name"] : [...plugin, found];
  const name = textOf(reading, at) ?? "";
  const isAlone = listOf(reading.peek([...plugin, found])).length <= 1;
  const traffic = isAlone ? trafficOfRoute(entries, { kind, name, namespace }) : undefined;
  const copied =
    traffic === undefined ? "copy host names, matches and filters of that route to spec.traffic.gatewayAPI, and" : "";
  reading.change(
    at,
    "the Rollout makes a route of its own name and owns its weights",
    `${copied} remove ${kind} ${name} when the Rollout's own route is accepted`.trim(),
  );
  return { gatewayAPI: { kind, ...(traffic ?? gatewayOf(reading, options)) } };
}

interface Release {
  readonly spec: object;
  readonly notes: readonly string[];
}

function canaryOf(entry: Entry, templates: Templates): Release {
  const { reading } = entry;
  const gate = gateOf(entry, [...CANARY, "analysis"], templates);
  const startingStep = Number(reading.use([...CANARY, "analysis", "startingStep"]) ?? 0);
  const { drafts, metrics } = stagesOfSteps(entry, templates, { gate, startingStep });
  const source = sourceOf(metrics);
  // Empty members say as much as absent ones.
  if (isEmpty(reading.peek(CANARY))) reading.use(CANARY);
  for (const member of ["steps", "analysis", "trafficRouting"])
    if (isEmpty(reading.peek([...CANARY, member]))) reading.use([...CANARY, member]);
  if (drafts.length === 0 && gate.maxErrorRateBps === undefined) {
    return { spec: source, notes: ["it has no weights, so the Rollout has the usual ladder: 1, 5, 25, 50, 100 %"] };
  }
  const { stages, notes } = ladderOf(drafts, gate.maxErrorRateBps);
  return { spec: { ...source, stages }, notes };
}

function blueGreenOf(entry: Entry, templates: Templates): Release {
  const { reading } = entry;
  const after = gateOf(entry, [...BLUE_GREEN, "postPromotionAnalysis"], templates);
  const isManual = reading.peek([...BLUE_GREEN, "autoPromotionEnabled"]) === false;
  if (isManual) {
    reading.change(
      [...BLUE_GREEN, "autoPromotionEnabled"],
      "the stage waits for 'shieldx rollout promote' once it has passed, which is after the new version got requests",
      "to look at a version before its first request, apply it together with spec.paused: true",
    );
  } else reading.use([...BLUE_GREEN, "autoPromotionEnabled"]);
  const holdSeconds = Math.max(after.seconds, BLUE_GREEN_HOLD_SECONDS);
  const stage = { weightBps: WHOLE_BPS, holdSeconds, approval: isManual, maxErrorRateBps: after.maxErrorRateBps };
  const { stages, notes } = ladderOf([stage], undefined);
  const kept =
    "the version before keeps 5 % of the requests until the release has ended (holdbackBps), to compare with";
  return { spec: { ...sourceOf(after.metrics), stages }, notes: [...notes, kept] };
}

function sourceOf(metrics: object | undefined): object {
  return metrics === undefined ? {} : { analysis: { source: { pods: { metrics } } } };
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
