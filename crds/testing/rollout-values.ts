/** Random parts of a Rollout's spec that keep the rules over several fields, for the most part. */
import fc from "fast-check";
import { rolloutSpec } from "../rollout.ts";
import { type Overrides, valuesOf } from "./arbitraries.ts";

type Fields = Readonly<Record<string, unknown>>;

const { target, stages, analysis } = rolloutSpec.shape;

/** One of five as the schema suggests it, which the rules refuse nearly always. */
function mostly<T>(values: fc.Arbitrary<unknown>, repaired: (value: T) => unknown): fc.Arbitrary<unknown> {
  const inOrder = values.map((value) => repaired(value as T));
  return fc.oneof({ weight: 4, arbitrary: inOrder }, values);
}

/** The first of the members that is there, or `otherwise`. */
function exactlyOne(value: Fields, members: readonly string[], otherwise: Fields): Fields {
  const found = members.find((member) => value[member] !== undefined);
  return found === undefined ? otherwise : { [found]: value[found] };
}

/** Weights in order, each once, up to all. */
function ladder(list: readonly { readonly weightBps: number }[]): unknown {
  const weights = [...new Set(list.map(({ weightBps }) => weightBps))].filter((weight) => weight < 10_000);
  const sorted = [...weights.sort((one, other) => one - other), 10_000];
  return list
    .slice(-sorted.length)
    .map((stage, index, kept) => ({ ...stage, weightBps: sorted.at(index - kept.length) }));
}

/** One source, and a histogram only where latency is judged. */
function judged({ source = { pods: {} }, latency, ...rest }: Fields): unknown {
  const one = exactlyOne(source as Fields, ["gateway", "prometheus", "pods"], { pods: {} });
  const [name = "", of = {}] = Object.entries(one)[0] ?? [];
  if (name === "gateway") return { ...rest, source: one, ...(latency === undefined ? {} : { latency }) };
  const { metrics = {}, ...where } = of as Fields;
  const { latency: _, ...names } = metrics as Fields;
  const histogram = latency === undefined ? {} : { latency: "http_request_duration_seconds" };
  const named = { ...where, metrics: { ...names, ...histogram } };
  return { ...rest, source: { [name]: named }, ...(latency === undefined ? {} : { latency }) };
}

export const ROLLOUT_VALUES: Overrides = {
  target: mostly(valuesOf(target, {}), (value: Fields) =>
    exactlyOne(value, ["template", "deployment"], { deployment: "web" }),
  ),
  stages: mostly(valuesOf(stages, {}), ladder),
  analysis: mostly(valuesOf(analysis, {}), judged),
};
