/** Random parts of a Rollout's spec that keep the rules over several fields, for the most part. */
import fc from "fast-check";
import { rolloutSpec } from "../rollout.ts";
import { type Overrides, valuesOf } from "./arbitraries.ts";

type Fields = Readonly<Record<string, unknown>>;

const { target, traffic, shadow, service, stages, analysis, request, disruption, windows, autoscaling, verify } =
  rolloutSpec.shape;

/** One of ten as the schema suggests it, which the rules refuse nearly always. */
function mostly<T>(values: fc.Arbitrary<unknown>, repaired: (value: T) => unknown): fc.Arbitrary<unknown> {
  const inOrder = values.map((value) => repaired(value as T));
  return fc.oneof({ weight: 9, arbitrary: inOrder }, values);
}

/** The first of the members that is there, or `otherwise`. */
function exactlyOne(value: Fields, members: readonly string[], otherwise: Fields): Fields {
  const found = members.find((member) => value[member] !== undefined);
  return found === undefined ? otherwise : { [found]: value[found] };
}

/** The first item with each value of a member; an item without the member stays. */
function distinct(items: readonly Fields[], member: string): readonly Fields[] {
  const isFirst = (item: Fields, index: number): boolean =>
    items.findIndex((other) => other[member] === item[member]) === index;
  return items.filter((item, index) => item[member] === undefined || isFirst(item, index));
}

/** A name, or ports that can be told apart. */
function reached({ ports, ...rest }: Fields): unknown {
  if (ports === undefined) return { name: "web", ...rest };
  const kept = distinct(distinct(ports as readonly Fields[], "name"), "port");
  const named = kept.map((it) => ({ name: `p${String(it["port"])}`, ...it }));
  return { ...rest, ports: kept.length > 1 ? named : kept };
}

/** A route of the user's with nothing that it says by itself, or one that is made, with testers of one sort. */
function led({ gatewayAPI }: { readonly gatewayAPI: Fields }): unknown {
  const { kind: _, route, parentRefs = [{ name: "public" }], testers, capabilities, ...rest } = gatewayAPI;
  const listed = [...new Set((capabilities ?? []) as readonly unknown[])];
  const able = capabilities === undefined ? {} : { capabilities: listed };
  // Testers and copies are not for a named route: it is kept where the spec has few other words.
  if (route !== undefined && Object.keys(rest).length === 0)
    return { gatewayAPI: { ...able, route: { backend: "web", ...(route as Fields) } } };
  const known = exactlyOne((testers ?? {}) as Fields, ["header", "cookie"], { header: { name: "x", value: "y" } });
  return { gatewayAPI: { ...able, parentRefs, ...(testers === undefined ? {} : { testers: known }), ...rest } };
}

/** A stage where one is jumped to, and nowhere else. */
function asked({ stage = 0, ...rest }: Fields): unknown {
  return rest["action"] === "Jump" ? { ...rest, stage } : rest;
}

/** A hold that is within the longest one. */
function held({ maxHoldSeconds = 3_600, ...rest }: Fields): Fields {
  const longest = Number(maxHoldSeconds);
  const { holdSeconds = 300 } = rest;
  return { ...rest, maxHoldSeconds: longest === 0 ? 0 : Math.max(longest, Number(holdSeconds)) };
}

/** Weights in order, each once, up to all. */
function ladder(list: readonly { readonly weightBps: number }[]): unknown {
  const weights = [...new Set(list.map(({ weightBps }) => weightBps))].filter((weight) => weight < 10_000);
  const sorted = [...weights.sort((one, other) => one - other), 10_000];
  return list
    .slice(-sorted.length)
    .map((stage, index, kept) => ({ ...held(stage), weightBps: sorted.at(index - kept.length) }))
    .map((stage: Fields, index, kept) => ({ ...stage, ...flagShare(kept.slice(0, index + 1)) }));
}

/** The largest share of flags so far, where the stage has one. */
function flagShare(stages: readonly Fields[]): Fields {
  const shares = stages.map((stage) => stage["flagBps"] as number | undefined);
  return shares.at(-1) === undefined ? {} : { flagBps: Math.max(...shares.map((share = 0) => share)) };
}

/** Flags with a stage that raises them, or neither. */
function raising({ flags, ...rest }: Fields): unknown {
  const list = rest["stages"] as readonly Fields[] | undefined;
  if (list === undefined) return rest;
  if (flags !== undefined) return { ...rest, flags, stages: list.with(-1, { ...list.at(-1), flagBps: 10_000 }) };
  return { ...rest, stages: list.map(({ flagBps: _, ...stage }) => stage) };
}

/** A window of some time, in a zone that there is. */
function placed({ days, ...rest }: Fields): unknown {
  const timeZone = rest["timeZone"] === undefined ? {} : { timeZone: "Asia/Kathmandu" };
  const end = rest["start"] === rest["end"] ? { end: "24:00" } : {};
  return { ...rest, ...timeZone, ...end, ...(days === undefined ? {} : { days: [...new Set(days as string[])] }) };
}

/** One source, and a histogram only where latency is judged. */
function judged({ source = { pods: {} }, latency, ...rest }: Fields): unknown {
  const one = exactlyOne(source as Fields, ["pods", "prometheus", "gateway"], { pods: {} });
  const [name = "", of = {}] = Object.entries(one)[0] ?? [];
  if (name === "gateway") return { ...rest, source: one, ...(latency === undefined ? {} : { latency }) };
  const { metrics = {}, ...where } = of as Fields;
  const { latency: _, ...names } = metrics as Fields;
  const histogram = latency === undefined ? {} : { latency: "http_request_duration_seconds" };
  const named = { ...where, metrics: { ...names, ...histogram } };
  return { ...rest, source: { [name]: named }, ...(latency === undefined ? {} : { latency }) };
}

/** Each method once, and a time that is within the longest one. */
function copied({ methods, durationSeconds = 300, maxDurationSeconds = 3_600, ...rest }: Fields): unknown {
  const longest = Number(maxDurationSeconds);
  return {
    ...rest,
    ...(methods === undefined ? {} : { methods: [...new Set(methods as readonly unknown[])] }),
    durationSeconds,
    maxDurationSeconds: longest === 0 ? 0 : Math.max(longest, Number(durationSeconds)),
  };
}

/** Bounds in order, and metrics with the member of their type. */
function scaled({ minReplicas, maxReplicas, metrics, ...rest }: Fields): unknown {
  const bounds = [Number(minReplicas ?? 1), Number(maxReplicas ?? 10)].sort((one, other) => one - other);
  const typed = ((metrics ?? []) as readonly Fields[]).map(() => ({
    type: "Resource",
    resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } },
  }));
  const listed = metrics === undefined ? {} : { metrics: typed };
  return { ...rest, minReplicas: bounds[0], maxReplicas: bounds[1], ...listed };
}

/** Smoke tests of one kind each, without a body where there can be none. */
function checked({ smoke, ...rest }: Fields): unknown {
  if (smoke === undefined) return rest;
  const one = ({ http, job, ...test }: Fields): Fields => {
    if (job !== undefined) return { ...test, job };
    const { body: _, expectBody: __, ...asked } = (http ?? {}) as Fields;
    return { ...test, http: asked };
  };
  return { ...rest, smoke: distinct((smoke as readonly Fields[]).map(one), "name") };
}

/** The members of an object, and none of anything else: specs are damaged on purpose. */
function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** Without what does not go together with the rest; anything but a spec as it is. */
function inKeeping(value: unknown): unknown {
  const spec = fieldsOf(value);
  const { replicas, shadow: copies, ...rest } = spec;
  const { dryRun, ...judging } = fieldsOf(rest["analysis"]);
  const { route } = fieldsOf(fieldsOf(rest["traffic"])["gatewayAPI"]);
  const isCopied = route === undefined && fieldsOf(judging["source"])["gateway"] === undefined;
  if (Object.keys(spec).length === 0) return value;
  return {
    ...rest,
    ...(dryRun === undefined ? {} : { analysis: { ...judging, dryRun: tried(dryRun) } }),
    ...(replicas === undefined || rest["autoscaling"] !== undefined ? {} : { replicas }),
    ...(copies === undefined || !isCopied ? {} : { shadow: copies }),
  };
}

/** Of another policy, what needs no second look at the ladder and at latency. */
function tried(dryRun: unknown): unknown {
  const { stages: _, latency: __, ...rest } = fieldsOf(dryRun);
  return Object.keys(rest).length === 0 ? dryRun : rest;
}

const FIELDS: Overrides = {
  target: mostly(valuesOf(target, {}), (value: Fields) =>
    exactlyOne(value, ["template", "deployment"], { deployment: "web" }),
  ),
  autoscaling: mostly(valuesOf(autoscaling, {}), scaled),
  verify: mostly(valuesOf(verify, {}), checked),
  shadow: mostly(valuesOf(shadow, {}), copied),
  service: mostly(valuesOf(service, {}), reached),
  disruption: mostly(valuesOf(disruption, {}), (value: Fields) =>
    exactlyOne(value, ["maxUnavailable", "minAvailable"], { maxUnavailable: 1 }),
  ),
  windows: mostly(valuesOf(windows, {}), (list: readonly Fields[]) => list.map(placed)),
  traffic: mostly(valuesOf(traffic, {}), led),
  stages: mostly(valuesOf(stages, {}), ladder),
  analysis: mostly(valuesOf(analysis, {}), judged),
  request: mostly(valuesOf(request, {}), asked),
};

export const ROLLOUT_VALUES: Overrides = {
  "": mostly(valuesOf(rolloutSpec, FIELDS), (spec: Fields) => inKeeping(raising(spec))),
};
