// Goal: the figures of the benchmark are read from the kernel, the audit log and the metrics as these write them.
import { readFile } from "node:fs/promises";
import { expect, test } from "@jest/globals";
import { parse } from "yaml";
import { countRequests } from "./audit.ts";
import { parseCpuSeconds, parseMiB } from "./procfs.ts";
import { parseProgress, START } from "./programs.ts";
import { alternate, figure, latencySpread, spreadOf, tableOf } from "./report.ts";
import { readSizes } from "./sizes.ts";

test("processor time is read past a name with spaces and parentheses", () => {
  const rest = "S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 11 0 100";
  expect(parseCpuSeconds(`42 (a (b) c) ${rest}`)).toBe(4);
});

test("memory is read in MiB; a field that is missing is an error", () => {
  const status = "Name:\tnode\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n";
  expect(parseMiB(status, "VmRSS")).toBe(100);
  expect(parseMiB(status, "VmHWM")).toBe(200);
  expect(() => parseMiB(status, "VmSwap")).toThrow("VmSwap");
});

test("requests are counted once, by user agent; upkeep and failures apart", () => {
  const entry = (verb: string, resource: string, more: object = {}): string =>
    JSON.stringify({
      stage: "ResponseComplete",
      verb,
      userAgent: "ours/1",
      objectRef: { resource },
      responseStatus: { code: 200 },
      ...more,
    });
  const counts = countRequests(
    [
      entry("patch", "configmaps"),
      entry("patch", "widgets", { objectRef: { resource: "widgets", subresource: "status" } }),
      entry("get", "configmaps", { responseStatus: { code: 404 } }),
      entry("watch", "widgets", { stage: "ResponseStarted" }),
      entry("watch", "widgets"),
      entry("update", "leases", { userAgent: "ours/1 leader-election" }),
      entry("create", "events"),
      entry("patch", "configmaps", { userAgent: "theirs" }),
      // The name of another program in somebody else's request.
      entry("patch", "configmaps", { userAgent: "theirs", requestURI: "/ours/1" }),
      "",
    ],
    "ours/1",
  );
  expect(counts).toEqual({
    byVerb: {
      "patch configmaps": 1,
      "patch widgets/status": 1,
      "get configmaps": 1,
      "watch widgets": 1,
      "update leases": 1,
      "create events": 1,
    },
    writes: 2,
    requests: 4,
    upkeep: 2,
    failures: 1,
  });
});

test("progress is the sum over results and priorities", () => {
  const page = [
    'controller_runtime_reconcile_total{controller="w",result="success"} 3',
    'controller_runtime_reconcile_total{controller="w",result="error"} 1',
    'workqueue_depth{controller="w",name="w",priority="-100"} 7',
    "# HELP workqueue_depth x",
  ].join("\n");
  expect(parseProgress(page)).toEqual({ reconciles: 4, depth: 7 });
});

test("no program always goes first", () => {
  expect(alternate(["a", "b"], 3)).toEqual(["a", "b", "b", "a", "a", "b"]);
});

test("figures hold medians, spreads and how many times the peer's ours is", () => {
  const result = figure(
    "seconds",
    { ours: spreadOf([1, 3, 2]), peer: spreadOf([4]) },
    { text: "no slower", met: (_, times) => (times ?? 0) <= 1 },
  );
  expect(result).toMatchObject({ ours: { median: 2, min: 1, max: 3 }, times: 0.5, goal: { met: true } });
  expect(figure("writes", { ours: spreadOf([0]), peer: spreadOf([0]) }).times).toBeNull();
  expect(tableOf([result])[1]).toMatch(/^seconds +2 \(1–3\) +4 +0\.50 +no slower: yes$/);
  expect(latencySpread([[1, 2, 3], [], [10]], 0.5)).toEqual({ median: 3, min: 2, max: 10 });
});

test("sizes come from the environment; what is no number is refused by name", () => {
  expect(readSizes({ BENCH_REST_SECONDS: "600" })).toMatchObject({ restSeconds: 600, widgets: 5_000 });
  expect(() => readSizes({ BENCH_WIDGETS: "many" })).toThrow("BENCH_WIDGETS=many");
});

test("our program is started as the chart starts the controllers", async () => {
  const chart = new URL("../../../charts/operator/", import.meta.url);
  const template = await readFile(new URL("templates/deployment.yaml", chart), "utf8");
  const values = parse(await readFile(new URL("values.yaml", chart), "utf8")) as {
    resources: { limits: { memory: string } };
  };
  const variable = (name: string) => new RegExp(`- name: ${name}\\n +value: "?([^"\\n]+)"?\\n`).exec(template)?.[1];
  const limitMiB = Number(/^(\d+)Mi$/.exec(values.resources.limits.memory)?.[1]);
  const [, ...flags] = START.flags;
  expect(flags).toEqual([variable("NODE_OPTIONS"), `--max-old-space-size=${limitMiB / 2}`]);
  const names = [...template.matchAll(/- name: (MALLOC_\w+)\n/g)].map(([, name = ""]) => name);
  expect(START.environment).toEqual(Object.fromEntries(names.map((name) => [name, variable(name)])));
});
