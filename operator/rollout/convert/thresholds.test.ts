// Which conditions are limits on the share of failed requests, and what they come to.
import { describe, expect, it } from "@jest/globals";
import { secondsOf } from "./durations.ts";
import { boundsOf, errorLimit, podMetricsOf } from "./thresholds.ts";

describe("a condition", () => {
  it.each<[string, boolean, object | undefined]>([
    ["result[0] >= 0.95", false, { min: 0.95 }],
    ["result > 0.95", false, { min: 0.95 }],
    ["0.95 <= result[0]", false, { min: 0.95 }],
    ["result[0] < 0.05", false, { max: 0.05 }],
    ["result[0] < 0.95", true, { min: 0.95 }],
    ["0.02 < result[0]", true, { max: 0.02 }],
    ["isNaN(result[0]) || result[0] >= 0.95", false, { min: 0.95 }],
    ["len(result) == 0 || (result[0] >= 0.95)", false, { min: 0.95 }],
    ["default(result, 0) <= 1", false, { max: 1 }],
    ["result[0] >= 0.95 && result[1] < 3", false, undefined],
    ["result[0] >= 0.95 || result[1] < 3", false, undefined],
    ["all(result, # >= 0.9)", false, undefined],
    ["result.value == 'ok'", false, undefined],
    ["result[0] >= {{args.least}}", false, undefined],
    ["isNaN(result[0])", false, undefined],
  ])("%s (failure: %s)", (condition, isFailure, bounds) => {
    expect(boundsOf(condition, isFailure)).toEqual(bounds);
  });
});

describe("a threshold", () => {
  const GOOD = 'sum(rate(r_total{code!~"5.*"}[1m])) / sum(rate(r_total[1m]))';
  const BAD = 'sum(rate(r_total{code=~"5.."}[1m])) / sum(rate(r_total[1m]))';
  it.each<[string, Parameters<typeof errorLimit>[0], number | undefined]>([
    ["a success rate", { name: "x", query: GOOD, min: 0.95 }, 500],
    ["a success rate in percent, by its value", { name: "x", query: GOOD, min: 99.5 }, 50],
    ["a success rate in percent, by its query", { name: "x", query: `${GOOD} * 100`, min: 99 }, 100],
    ["a success rate by its name", { name: "success-rate", query: "some_recording_rule", min: 0.99 }, 100],
    ["an error rate", { name: "x", query: BAD, max: 0.01 }, 100],
    ["an error rate in percent", { name: "x", query: `100 * ${BAD}`, max: 1 }, 100],
    ["one minus a success rate", { name: "x", query: `1 - (${GOOD})`, max: 0.01 }, 100],
    ["one minus an error rate", { name: "x", query: `100 - 100 * ${BAD}`, min: 99 }, 100],
    ["a success rate that must be low", { name: "x", query: GOOD, max: 0.95 }, undefined],
    ["a success rate that allows no error", { name: "x", query: GOOD, min: 1 }, undefined],
    ["a success rate that allows any", { name: "x", query: GOOD, min: 0 }, undefined],
    ["a number of errors", { name: "errors", query: "sum(increase(errors_total[5m]))", max: 5 }, undefined],
    ["a latency", { name: "errors", query: "histogram_quantile(0.99, x)", max: 0.5 }, undefined],
    ["something else", { name: "queue", query: "queue_length", max: 0.5 }, undefined],
    ["nothing", { name: "success", query: GOOD }, undefined],
  ])("%s", (_, threshold, limit) => {
    expect(errorLimit(threshold)).toBe(limit);
  });

  it("tells the counter of the pods, and takes none of a mesh for it", () => {
    expect(podMetricsOf(GOOD)).toEqual({ requests: "r_total", errors: { label: "code", pattern: "5.." } });
    expect(podMetricsOf('a_total{x="{{ target }}",status=~"500|503"}')).toEqual({
      requests: "a_total",
      errors: { label: "status", pattern: "500|503" },
    });
    expect(podMetricsOf('istio_requests_total{response_code=~"5.*"}')).toBeUndefined();
    expect(podMetricsOf('up{code=~"5.."}')).toBeUndefined();
    expect(podMetricsOf('r_total{code=~"[45].."}')).toBeUndefined();
    expect(podMetricsOf("r_total")).toBeUndefined();
  });
});

it.each<[unknown, number | undefined]>([
  ["1h30m", 5_400],
  ["90s", 90],
  ["500ms", 1],
  ["1.5m", 90],
  ["60", 60],
  [60, 60],
  [-1, undefined],
  ["", undefined],
  ["1 h", undefined],
  ["10d", undefined],
  [undefined, undefined],
])("reads %j as %j seconds", (duration, seconds) => {
  expect(secondsOf(duration)).toBe(seconds);
});
