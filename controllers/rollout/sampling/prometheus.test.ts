import { describe, expect, it } from "@jest/globals";
import { type RolloutAnalysis, rolloutAnalysis } from "../../../crds/rollout-analysis.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { taskOf } from "../testing/counting-pods.ts";
import { prometheusSource } from "./prometheus.ts";
import type { SampleTask } from "./task.ts";

// Goal: one question at one moment, whose answer counts each pod as it counts itself, and says of whom nothing is known.

const NOW = 1_796_002_146.115;
const never = new AbortController().signal;
const target = (name: string) => ({ name, uid: `uid-${name}`, ip: "", isReady: true });
const TASK: SampleTask = {
  ...taskOf({ canary: [], stable: [] }),
  canary: [target("web-blue-1")],
  stable: [target("web-green.1")],
};

type Line = readonly [part: string, pod: string, value: number, more?: Readonly<Record<string, string>>];

/** As Prometheus 2.42 writes it. */
function page(lines: readonly Line[], now = NOW): string {
  const result = lines.map(([part, pod, value, more]) => ({
    metric: { ...more, pod, shieldx_part: part },
    value: [now, String(value)],
  }));
  return JSON.stringify({ status: "success", data: { resultType: "vector", result } });
}

const R = "http_requests_total";
const B = "http_request_duration_seconds_bucket";
const BOTH: readonly Line[] = [
  [R, "web-blue-1", 8, { code: "200" }],
  [R, "web-blue-1", 2, { code: "503" }],
  ["at", "web-blue-1", NOW - 3],
  [R, "web-green.1", 900, { code: "200" }],
  ["at", "web-green.1", NOW - 14],
  [B, "web-blue-1", 6, { le: "0.1" }],
  [B, "web-blue-1", 10, { le: "+Inf" }],
];

/** Asks with what Prometheus answers, one answer after the other; the release is at its place since long. */
async function ask(answers: readonly (string | Error)[], analysis: object = {}, tasks: readonly SampleTask[] = [TASK]) {
  const spec: RolloutAnalysis = rolloutAnalysis.parse({
    source: { prometheus: { url: "http://prom:9090/below/" } },
    ...analysis,
  });
  if (spec.source.prometheus === undefined) throw new Error("no Prometheus");
  const asked: { host: string; port: number; path: string }[] = [];
  const [before, ...rest] = [page([["at", "x", 0]], NOW - 1_000), ...answers];
  const queue = [before, ...rest];
  const source = prometheusSource(async ({ host, port, path }) => {
    asked.push({ host, port, path });
    const next = queue.shift();
    if (next instanceof Error) throw next;
    return next ?? "";
  }, spec.source.prometheus);
  await source(tasks[0] ?? TASK, never);
  let answer = await source(tasks[0] ?? TASK, never);
  for (const task of tasks.slice(1)) answer = await source(task, never);
  const { canary, stable } = answer;
  return { canary, stable, asked, silent: [...canary.silent.values(), ...stable.silent.values()] };
}

const LATENCY = {
  source: { prometheus: { url: "http://prom:9090/below/", metrics: { latency: "http_request_duration_seconds" } } },
  latency: {},
};

describe("a Prometheus", () => {
  it("is asked once for everything", async () => {
    const { asked } = await ask([page(BOTH)], LATENCY);
    const of = (name: string) => `${name}{namespace="shop",pod=~"web-blue-1|web-green[.]1"}`;
    const query = [
      `label_replace(sum by(pod,code)(${of(R)}),"shieldx_part","${R}","","")`,
      `label_replace(max by(pod)(timestamp(${of(R)})),"shieldx_part","at","","")`,
      `label_replace(sum by(pod,le)(${of(B)}),"shieldx_part","${B}","","")`,
    ].join(" or ");
    expect(asked[1]).toEqual({
      host: "prom",
      port: 9090,
      path: `/below/api/v1/query?query=${encodeURIComponent(query)}`,
    });
  });

  it("tells what each pod has counted", async () => {
    const { canary, stable, silent } = await ask([page(BOTH)], LATENCY);
    expect([...canary.readings]).toEqual([
      [
        "uid-web-blue-1",
        { counters: { requests: 10, errors: 2 }, histogram: { boundsMs: [100], upTo: [6] }, missing: [] },
      ],
    ]);
    expect([...stable.readings]).toEqual([
      ["uid-web-green.1", { counters: { requests: 900, errors: 0 }, missing: ["http_request_duration_seconds"] }],
    ]);
    expect(silent).toEqual([]);
  });

  it("does not tell of a pod whose scrapes have ended, or that it does not know", async () => {
    const old = BOTH.map(
      (line): Line => (line[1] === "web-green.1" && line[0] === "at" ? ["at", line[1], NOW - 121] : line),
    );
    const { silent } = await ask([page(old.filter(([, pod]) => pod !== "web-blue-1"))]);
    expect(silent).toEqual([
      "pod web-blue-1: Prometheus has no http_requests_total of it",
      "pod web-green.1: Prometheus has last asked it 121 s ago",
    ]);
  });

  it("does not begin with what it knew before the weight changed", async () => {
    const moved = { ...TASK, stage: 1, weightBps: 500 };
    const first = await ask([page(BOTH), page(BOTH)], {}, [TASK, moved]);
    expect(first.silent).toEqual([
      "pod web-blue-1: Prometheus has not asked it since the weight changed",
      "pod web-green.1: Prometheus has not asked it since the weight changed",
    ]);
    const later = BOTH.map((line): Line => (line[0] === "at" ? ["at", line[1], NOW + 5] : line));
    const second = await ask([page(BOTH), page(BOTH), page(later, NOW + 6)], {}, [TASK, moved, moved]);
    expect(second.silent).toEqual([]);
    expect(second.canary.readings.size).toBe(1);
  });

  it.each<[string, string | Error, string]>([
    [
      "cannot be reached",
      new OperatorError("METRICS_UNREACHABLE", "prom:9090: status 503"),
      "prometheus prom:9090: status 503",
    ],
    ["is something else", "<html>", "prometheus the answer is none of Prometheus: it is no JSON"],
    ["says something secret", '{"password":hunter2}', "prometheus the answer is none of Prometheus: it is no JSON"],
    [
      "has an error",
      '{"status":"error","error":"secret"}',
      "prometheus the answer is none of Prometheus: it has not succeeded",
    ],
    [
      "answers in another form",
      '{"status":"success","data":{}}',
      "prometheus the answer is none of Prometheus: it has another form",
    ],
    ["answers with nothing", "null", "prometheus the answer is none of Prometheus: it has another form"],
  ])("that %s tells nothing of anybody", async (_, answer, reason) => {
    const { canary, stable, silent } = await ask([answer]);
    expect([canary.readings.size, stable.readings.size]).toEqual([0, 0]);
    expect(silent).toHaveLength(2);
    // Whole: nothing of the answer is quoted.
    for (const sentence of silent) expect(sentence).toBe(reason);
  });

  it("tells of a pod without the label of failures that it has none", async () => {
    const { silent } = await ask([page(BOTH.map(([part, pod, value]): Line => [part, pod, value]))]);
    expect(silent[0]).toBe("pod web-blue-1: metrics: no series of http_requests_total has the label code");
  });
});
