import { describe, expect, it } from "@jest/globals";
import { isOperatorError } from "../../../lib/core/errors.ts";
import { parseExposition } from "./exposition.ts";
import { commonBounds, project } from "./histogram.ts";
import { type CountNames, readingOf, seriesOf } from "./reading.ts";

// Goal: the sums are those of the program, and a name that nothing has is told by name.

const NAMES = { requests: "http_requests_total", errors: { label: "code", pattern: "5.." } };
const WITH_LATENCY = { ...NAMES, latency: { histogram: "http_request_duration_seconds", unitMs: 1_000 } };
const REQUESTS =
  'http_requests_total{code="200"} 90\nhttp_requests_total{code="503"} 3\nhttp_requests_total{code="404"} 7\n';

const bucket = (le: string, count: number, more = "") =>
  `http_request_duration_seconds_bucket{${more}le="${le}"} ${count}\n`;
const read = (text: string, names: CountNames = NAMES) => readingOf(parseExposition(text, seriesOf(names)), names);

function failureOf(text: string, names?: CountNames): [string, string] {
  try {
    read(text, names);
  } catch (error) {
    if (isOperatorError(error)) return [error.code, error.message];
    throw error;
  }
  return ["none", ""];
}

describe("readingOf", () => {
  it("sums a counter over its series, and those of failures", () => {
    expect(read(REQUESTS)).toEqual({ counters: { requests: 100, errors: 3 }, missing: [] });
  });

  it.each([
    ["5..|404", 10],
    ["...", 100],
    ["50", 0],
    ["03", 0],
    ["500|501", 0],
  ])("takes the whole value of the label for %s", (pattern, errors) => {
    expect(read(REQUESTS, { ...NAMES, errors: { label: "code", pattern } }).counters?.errors).toBe(errors);
  });

  it("takes only series of one version when told which", () => {
    const page = 'r{service="a",code="200"} 5\nr{service="b",code="500"} 6\n';
    const names = { ...NAMES, requests: "r" };
    const reading = readingOf(parseExposition(page, seriesOf(names)), names, (labels) => labels.get("service") === "b");
    expect(reading.counters).toEqual({ requests: 6, errors: 6 });
  });

  it.each([
    ["announced by its name", "# TYPE http_requests_total counter\n"],
    ["announced as OpenMetrics does", "# TYPE http_requests counter\n"],
  ])("takes a counter without series for zero when it is %s", (_, page) => {
    expect(read(page)).toEqual({ counters: { requests: 0, errors: 0 }, missing: [] });
  });

  it("takes the count of a histogram for announced with it", () => {
    const names = { ...NAMES, requests: "http_request_duration_seconds_count" };
    expect(read("# TYPE http_request_duration_seconds histogram\n", names).missing).toEqual([]);
  });

  it("tells what is neither counted nor announced", () => {
    expect(read("up 1\n", WITH_LATENCY)).toEqual({
      missing: ["http_requests_total", "http_request_duration_seconds"],
    });
  });

  it("sums buckets, in milliseconds", () => {
    const page = `${REQUESTS}${bucket("0.07", 5, 'code="200",')}${bucket("0.5", 80, 'code="200",')}${bucket("+Inf", 97, 'code="200",')}${bucket("0.5", 1, 'code="503",')}${bucket("0.07", 0, 'code="503",')}${bucket("+Inf", 3, 'code="503",')}`;
    expect(read(page, WITH_LATENCY).histogram).toEqual({ boundsMs: [70, 500], upTo: [5, 81] });
  });

  it("leaves out bounds that not every series has", () => {
    const page = `${bucket("0.1", 5, 'a="1",')}${bucket("+Inf", 9, 'a="1",')}${bucket("0.1", 5)}${bucket("0.2", 6)}${bucket("+Inf", 7)}`;
    expect(read(page, WITH_LATENCY).histogram).toEqual({ boundsMs: [100], upTo: [10] });
  });

  it("takes bounds in their unit", () => {
    const names = { ...NAMES, latency: { histogram: "t_ms", unitMs: 1 } };
    expect(read('t_ms_bucket{le="2.5"} 1\nt_ms_bucket{le="+Inf"} 1\n', names).histogram?.boundsMs).toEqual([2.5]);
  });

  it("takes a histogram without an event for none yet", () => {
    expect(read(`${REQUESTS}# TYPE http_request_duration_seconds histogram\n`, WITH_LATENCY)).toEqual({
      counters: { requests: 100, errors: 3 },
      missing: [],
    });
  });

  it.each<[string, string, [string, string]]>([
    ["no label of failures", "http_requests_total 5\n", ["METRIC_MISSING", "has the label code"]],
    ["a count that is none", 'http_requests_total{code="200"} NaN\n', ["METRICS_INVALID", "is NaN, which is no count"]],
    ["a negative count", 'http_requests_total{code="200"} -1\n', ["METRICS_INVALID", "is -1"]],
    ["an infinite count", 'http_requests_total{code="200"} +Inf\n', ["METRICS_INVALID", "is Infinity"]],
    ["a bound that is none", bucket("fast", 1), ["METRICS_INVALID", "a bound that is no number"]],
    ["buckets that fall", bucket("1", 5) + bucket("2", 4) + bucket("+Inf", 5), ["METRICS_INVALID", "fall from one"]],
  ])("refuses %s", (_, page, [code, message]) => {
    const failure = failureOf(page, WITH_LATENCY);
    expect(failure[0]).toBe(code);
    expect(failure[1]).toContain(message);
  });

  it("cuts the fraction of a sum off", () => {
    expect(read('http_requests_total{code="200"} 1.6\nhttp_requests_total{code="500"} 1.6\n').counters).toEqual({
      requests: 3,
      errors: 1,
    });
  });
});

describe("histograms of several programs", () => {
  it("have their common bounds, and are counted up to these", () => {
    const one = { boundsMs: [5, 10, 100], upTo: [1, 2, 3] };
    const other = { boundsMs: [10, 50, 100], upTo: [4, 5, 6] };
    expect(commonBounds([one, other])).toEqual([10, 100]);
    expect(project(other, [10, 100])).toEqual([4, 6]);
    expect(project(one, [50])).toBeUndefined();
    expect(commonBounds([])).toEqual([]);
  });
});
