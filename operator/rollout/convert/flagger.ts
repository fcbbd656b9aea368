/** Canaries of Flagger (flagger.app/v1beta1). */
import { OperatorError } from "../../../lib/core/errors.ts";
import type { Entry } from "./documents.ts";
import { analysisPath, limitsOf, stagesOfAnalysis } from "./flagger-analysis.ts";
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
import { parentOf } from "./routes.ts";

const SERVICE: Path = ["spec", "service"];
const TARGET: Path = ["spec", "targetRef"];

/** @throws OperatorError ROLLOUT_UNCONVERTIBLE */
export function fromFlagger(entry: Entry, templates: readonly Entry[], options: ConvertOptions): Draft {
  const { reading } = entry;
  const deployment = deploymentOf(reading);
  const path = analysisPath(reading);
  const { maxErrorRateBps, metrics } = limitsOf(entry, path, templates);
  const drafts = stagesOfAnalysis(reading, path, maxErrorRateBps);
  const ladder =
    drafts.length === 0 && maxErrorRateBps === undefined
      ? { notes: ["it has no weights, so the Rollout has the usual ladder: 1, 5, 25, 50, 100 %"] }
      : ladderOf(drafts, maxErrorRateBps);
  const notes = [
    ...ladder.notes,
    `Flagger keeps Deployment ${deployment} without pods and serves from ${deployment}-primary: set spec.replicas, or scale ${deployment} up before the Rollout is applied`,
  ];
  useIf(reading, [
    [["spec", "skipAnalysis"], false],
    [["spec", "revertOnDeletion"], false],
    [[...path, "mirror"], false],
  ]);
  return {
    metadata: metadataOf(entry),
    spec: {
      target: { deployment },
      service: serviceOf(reading, deployment),
      traffic: { gatewayAPI: trafficOf(reading, options) },
      ...(metrics === undefined ? {} : { analysis: { source: { pods: { metrics } } } }),
      ...("stages" in ladder ? { stages: ladder.stages } : {}),
      ...optional("progressDeadlineSeconds", wholeOf(reading, ["spec", "progressDeadlineSeconds"], [10, 86_400])),
      ...optional("paused", reading.use(["spec", "suspend"])),
    },
    notes,
  };
}

function deploymentOf(reading: Reading): string {
  const kind = String(reading.use([...TARGET, "kind"]));
  const name = reading.use([...TARGET, "name"]);
  if (kind !== "Deployment" || typeof name !== "string") {
    const text = `${reading.title}: spec.targetRef names a ${kind}`;
    throw new OperatorError("ROLLOUT_UNCONVERTIBLE", `${text}; a Rollout releases a Deployment`);
  }
  return name;
}

/** The Services that Flagger made go with the Canary, so the ports are taken and not the name. */
function serviceOf(reading: Reading, deployment: string): object {
  const port = wholeOf(reading, [...SERVICE, "port"], [1, 65_535]);
  const name = textOf(reading, [...SERVICE, "name"]) ?? deployment;
  const targetPort = reading.peek([...SERVICE, "targetPort"]);
  useIf(reading, [[[...SERVICE, "portDiscovery"], false]]);
  if (port === undefined || typeof targetPort === "string") {
    const path: Path = [...SERVICE, port === undefined ? "name" : "targetPort"];
    reading.change(
      path,
      `ports are those of Service ${name}, which goes with the Canary`,
      `make Service ${name} yourself, or name ports in spec.service.ports`,
    );
    return { name };
  }
  if (reading.peek([...SERVICE, "name"]) !== undefined) {
    reading.drop(
      [...SERVICE, "name"],
      `Service ${name} goes with the Canary`,
      "make it yourself where programs in the cluster use it",
    );
  }
  return {
    ports: [
      {
        name: reading.use([...SERVICE, "portName"]) ?? "http",
        port,
        ...optional("targetPort", reading.use([...SERVICE, "targetPort"])),
        ...optional("appProtocol", reading.use([...SERVICE, "appProtocol"])),
      },
    ],
  };
}

function trafficOf(reading: Reading, options: ConvertOptions): object {
  const refs = listOf(reading.peek([...SERVICE, "gatewayRefs"])).flatMap((_, index) =>
    parentOf(reading, [...SERVICE, "gatewayRefs", index]),
  );
  const hostnames = listOf(reading.peek([...SERVICE, "hosts"])).flatMap((host, index) => {
    const path: Path = [...SERVICE, "hosts", index];
    if (typeof host === "string" && host.includes(".")) return [reading.use(path)];
    reading.drop(path, "a route takes whole host names only");
    return [];
  });
  const matches = listOf(reading.peek([...SERVICE, "match"])).flatMap((_, index) =>
    matchOf(reading, [...SERVICE, "match", index]),
  );
  return {
    ...(refs.length > 0 ? { parentRefs: refs } : gatewayOf(reading, options)),
    ...(hostnames.length === 0 ? {} : { hostnames }),
    ...(matches.length === 0 ? {} : { matches }),
  };
}

const PATH_TYPES: Readonly<Record<string, string>> = {
  exact: "Exact",
  prefix: "PathPrefix",
  regex: "RegularExpression",
};

/** A match on the path; one that asks for more would take more requests without it, and is left out as a whole. */
function matchOf(reading: Reading, path: Path): readonly object[] {
  const members = Object.keys(reading.peek(path) ?? {});
  const [type = "", ...more] = Object.keys(reading.peek([...path, "uri"]) ?? {});
  const kind = PATH_TYPES[type];
  if (members.join() !== "uri" || kind === undefined || more.length > 0) {
    reading.drop(
      path,
      "matches on anything but the path are not translated",
      "write it as a match of the Gateway API in spec.traffic.gatewayAPI.matches",
    );
    return [];
  }
  return [{ path: { type: kind, value: reading.use([...path, "uri", type]) } }];
}
