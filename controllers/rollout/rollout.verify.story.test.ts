// Releases with checks, through the whole controller in a world in memory. The test plays Job controller, kubelet and pods.
import { afterEach, describe, expect, test } from "@jest/globals";
import { ROLLOUT, type RolloutSpec } from "../../crds/rollout.ts";
import { type RolloutStatus } from "../../crds/rollout-status.ts";
import { rolloutVerify } from "../../crds/rollout-verify.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createMemoryWorld } from "../../testkit/memory-world.ts";
import { expectGolden, reconcileOnce, type StoryCast, toRest } from "../../testkit/story.ts";
import {
  deployment,
  NAME,
  NAMESPACE,
  rollout,
  type ScriptedSampler,
  scriptedSampler,
  service,
} from "./testing/builders.ts";
import { LOWER_STEPS } from "./testing/lower.ts";
import {
  COMPLETE,
  endedWith,
  GAVE_UP,
  jobNamed,
  jobPod,
  jobsSucceed,
  orphansStep,
  TOO_LATE,
  tellJob,
  UNPULLABLE,
} from "./testing/smoke-jobs.ts";
import { playedController } from "./testing/stage.ts";
import type { HttpAnswer, HttpQuestion } from "./verification/answers.ts";

const JOB = { job: { template: { spec: { containers: [{ name: "test", image: "smoke:1" }] } } } };
const GET = { http: { path: "/ok" } };

interface Stage extends StoryCast {
  readonly status: () => RolloutStatus;
  /** Requests of checks, in their order. */
  readonly asked: string[];
  readonly weights: () => Readonly<Record<string, number>>;
  readonly sampler: ScriptedSampler;
  /** Of the last request. */
  lastSignal: () => AbortSignal | undefined;
  answer: (question: HttpQuestion) => HttpAnswer | Promise<HttpAnswer>;
  /** Another replica leads, which knows what the API server knows. */
  readonly restart: () => void;
}

const stops: AbortController[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort();
});

function begin(verify: unknown, given: Partial<RolloutSpec> = {}): Stage {
  const asked: string[] = [];
  let signal: AbortSignal | undefined;
  const sampler = scriptedSampler();
  const controllerOf = () =>
    playedController({
      sampler,
      askHttp: async (question) => {
        ({ signal } = question);
        asked.push(`${question.method} ${question.host}:${String(question.port)}${question.path}`);
        // An answer takes time, which passes when the test says so.
        await world.clock.sleep(1, signal);
        return stage.answer(question);
      },
    });
  let controller = controllerOf();
  const world = createMemoryWorld({
    namespace: NAMESPACE,
    indexes: controller.indexes,
    watches: controller.watches,
    verbWidth: "create".length,
  });
  const lead = (): void => {
    const stop = new AbortController();
    stops.push(stop);
    const context = {
      cache: world.cache,
      live: { list: () => Promise.reject(new Error("no server")) },
      keys: () => [],
      add: () => undefined,
      clock: world.clock,
      random: () => 0,
      log: silentLogger,
      signal: stop.signal,
    };
    for (const source of controller.sources ?? []) void source.run(context);
  };
  lead();
  world.put(deployment("web:1"));
  world.put(service());
  world.put(rollout({ ...given, verify: rolloutVerify.parse(verify) }));
  const stage: Stage = {
    world,
    controller: { reconcile: (key, context) => controller.reconcile(key, context) },
    asked,
    sampler,
    lastSignal: () => signal,
    answer: () => ({ status: 200, body: "" }),
    status: () => world.find(ROLLOUT.kind, NAME)?.["status"] as RolloutStatus,
    weights: () => {
      const { rules } = (world.find("HTTPRoute", NAME)?.["spec"] ?? { rules: [] }) as {
        readonly rules: readonly { readonly backendRefs: readonly { name: string; weight: number }[] }[];
      };
      return Object.fromEntries((rules[0]?.backendRefs ?? []).map(({ name, weight }) => [name, weight]));
    },
    key: { namespace: NAMESPACE, name: NAME },
    kind: ROLLOUT.kind,
    steps: [...LOWER_STEPS, orphansStep],
    restart: () => {
      for (const stop of stops.splice(0)) stop.abort();
      controller = controllerOf();
      lead();
    },
  };
  return stage;
}

function push(stage: Stage, image: string): void {
  stage.world.edit("Deployment", "web", (object) => ({ ...object, spec: deployment(image)["spec"] }));
}

function edit(stage: Stage, change: (spec: RolloutSpec) => Partial<RolloutSpec>): void {
  stage.world.edit(ROLLOUT.kind, NAME, (object) => {
    const { spec } = object as unknown as { spec: RolloutSpec };
    return { ...object, spec: { ...spec, ...change(spec) } };
  });
}

/** What a controller of Kubernetes tells of an object in an event. */
function complain(stage: Stage, of: KubeObject, [reason, note]: readonly [string, string]): void {
  const { name, uid } = of.metadata;
  stage.world.put({
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: `${name}.1`, namespace: NAMESPACE },
    type: "Warning",
    reason,
    note,
    regarding: { apiVersion: of.apiVersion, kind: of.kind, name, namespace: NAMESPACE, uid },
    deprecatedLastTimestamp: new Date(stage.world.clock.now()).toISOString(),
  });
}

async function later(stage: Stage, seconds: number): Promise<string[]> {
  await stage.world.clock.advance(seconds * 1_000);
  return [`· ${String(seconds)} s later`, ...(await toRest(stage))];
}

const results = (stage: Stage): Record<string, string> =>
  Object.fromEntries((stage.status().verify ?? []).map(({ name, result }) => [name, result]));

/** A Rollout whose first version serves, and which verifies the next one. */
async function serving(verify: unknown, given: Partial<RolloutSpec> = {}): Promise<Stage> {
  const stage = begin({}, given);
  await toRest(stage);
  edit(stage, () => ({ verify: rolloutVerify.parse(verify) }));
  await toRest(stage);
  push(stage, "web:2");
  return stage;
}

test("[47] health, requests and a Job before the first share", async () => {
  const stage = await serving({
    health: { http: { path: "/healthz" } },
    smoke: [
      { name: "page", ...GET },
      { name: "buy", ...JOB },
    ],
  });
  const lines = await toRest(stage);
  expect(stage.status().phase).toBe("Verifying");
  lines.push(...(await later(stage, 2)), ...(await later(stage, 2)));
  expect(results(stage)).toEqual({ health: "Passed", page: "Passed", buy: "Running" });
  expect(stage.weights()).toEqual({ "web-blue": 10_000, "web-green": 0 });
  const job = jobNamed(stage.world, "buy");
  lines.push(`· Job ${job.metadata.name} succeeds`);
  tellJob(stage.world, job, COMPLETE);
  lines.push(...(await toRest(stage)));
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0 });
  expect(stage.weights()).toEqual({ "web-blue": 9_000, "web-green": 1_000 });
  expect(stage.asked).toEqual(["GET 10.0.0.1:8080/healthz", "GET 10.0.0.1:8080/ok"]);
  expectGolden(import.meta.dirname, "verified-release", lines);
});

describe("what fails takes the release back and leaves the version that serves alone", () => {
  async function expectTakenBack(stage: Stage, reason: string, ...words: readonly string[]): Promise<void> {
    await toRest(stage);
    await later(stage, 60);
    const [ended] = stage.status().releases ?? [];
    expect(ended).toMatchObject({ outcome: "RolledBack", reason });
    for (const word of words) expect(ended?.message).toContain(word);
    expect(stage.status()).toMatchObject({ phase: "Idle", stable: { colour: "Blue" } });
    expect(stage.status().verify).toBeUndefined();
    expect(stage.weights()).toEqual({ "web-blue": 10_000, "web-green": 0 });
  }

  test("[34, 35] a Job that gives up: with the last words of its container", async () => {
    const stage = await serving({ smoke: [{ name: "buy", ...JOB }] });
    await toRest(stage);
    const job = jobNamed(stage.world, "buy");
    stage.world.put(jobPod(job, endedWith(1, "no price for tea\n")));
    tellJob(stage.world, job, GAVE_UP);
    await expectTakenBack(
      stage,
      "SmokeTestFailed",
      "smoke test buy failed",
      "BackoffLimitExceeded",
      "no price for tea",
    );
    // Its log can be read until another release begins.
    expect(stage.world.all("Job")).toHaveLength(1);
    push(stage, "web:3");
    await toRest(stage);
    expect(stage.world.all("Job").map(({ metadata }) => metadata.name)).not.toContain(job.metadata.name);
    expect(stage.status()).toMatchObject({ phase: "Verifying", verify: [{ name: "buy", result: "Running" }] });
  });

  test("[34] a Job whose image cannot be pulled: in the registry's words, though its pod is gone by then", async () => {
    const stage = await serving({ smoke: [{ name: "buy", ...JOB }] });
    await toRest(stage);
    const job = jobNamed(stage.world, "buy");
    stage.world.put(jobPod(job, UNPULLABLE));
    await toRest(stage);
    expect(stage.status().phase).toBe("Verifying");
    expect(stage.status().verify?.[0]?.message).toContain("image smoke:1 cannot be pulled");
    stage.world.edit("Pod", `${job.metadata.name}-pod`, () => undefined);
    await toRest(stage);
    tellJob(stage.world, job, TOO_LATE);
    await expectTakenBack(stage, "SmokeTestFailed", "DeadlineExceeded", "image smoke:1 cannot be pulled");
  });

  test("[34] a Job that nobody runs, once its deadline is over", async () => {
    const stage = await serving({ smoke: [{ name: "buy", ...JOB }] });
    await toRest(stage);
    await later(stage, 359);
    expect(stage.status().phase).toBe("Verifying");
    await later(stage, 2);
    await expectTakenBack(stage, "SmokeTestFailed", "has not ended within 360 s");
    expect(stage.world.all("Job")).toEqual([]);
  });

  test("a Job that the API server refuses, in its words", async () => {
    const stage = await serving({ smoke: [{ name: "buy", ...JOB }] });
    await toRest(stage);
    const { name } = jobNamed(stage.world, "buy").metadata;
    stage.world.fail(
      "Job",
      name,
      new OperatorError("KUBE_FORBIDDEN", `jobs.batch "${name}" is forbidden: exceeded quota`),
    );
    stage.world.edit("Job", name, () => undefined);
    await stage.controller.reconcile(stage.key, stage.world.context);
    await stage.controller.reconcile(stage.key, stage.world.context);
    expect(stage.status().verify).toMatchObject([{ runs: 2, message: expect.stringContaining("exceeded quota") }]);
    await stage.world.clock.advance(361_000);
    await stage.controller.reconcile(stage.key, stage.world.context);
    stage.world.takeTranscript();
    await expectTakenBack(stage, "SmokeTestFailed", "its Job could not be made within 360 s", "exceeded quota");
  });

  test("a Job whose pods are refused, and one whose pod waits for a volume: in the words of their controllers", async () => {
    const stage = await serving({
      smoke: [
        { name: "buy", ...JOB },
        { name: "sell", ...JOB },
      ],
    });
    await toRest(stage);
    const [buy, sell] = ["buy", "sell"].map((name) => jobNamed(stage.world, name));
    if (buy === undefined || sell === undefined) throw new Error("no Jobs");
    const pod = jobPod(sell, { phase: "Pending" });
    stage.world.put({ ...pod, metadata: { ...pod.metadata, creationTimestamp: "2025-01-01T00:00:00Z" } });
    complain(stage, buy, ["FailedCreate", "Error creating: pods is forbidden: exceeded quota: small"]);
    complain(stage, pod, ["FailedMount", "secret not found"]);
    await later(stage, 10);
    expect(stage.status().verify).toMatchObject([
      { name: "buy", message: expect.stringContaining("no pod can be made: pods is forbidden: exceeded quota: small") },
      { name: "sell", message: expect.stringContaining("FailedMount: secret not found") },
    ]);
    tellJob(stage.world, buy, TOO_LATE);
    await expectTakenBack(stage, "SmokeTestFailed", "DeadlineExceeded", "exceeded quota: small");
  });

  test("a Job that is removed again and again", async () => {
    const stage = await serving({ smoke: [{ name: "buy", ...JOB }] });
    for (let run = 1; run <= 3; run += 1) {
      await toRest(stage);
      expect(stage.status().verify?.[0]).toMatchObject({ result: "Running", ...(run === 1 ? {} : { runs: run }) });
      stage.world.edit("Job", jobNamed(stage.world, "buy").metadata.name, () => undefined);
    }
    await expectTakenBack(stage, "SmokeTestFailed", "its Job was removed 3 times");
  });

  test("[47] an answer with another status, without quoting it", async () => {
    const stage = await serving({ smoke: [{ name: "page", ...GET }] });
    stage.answer = () => ({ status: 500, body: "password=hunter2" });
    await toRest(stage);
    await later(stage, 2);
    await expectTakenBack(stage, "SmokeTestFailed", "status 500, expected 200-299");
    expect(JSON.stringify(stage.status())).not.toContain("hunter2");
  });

  test("a pod that is never well", async () => {
    const stage = await serving({ health: { attempts: 3, intervalSeconds: 2, http: { path: "/healthz" } } });
    stage.answer = () => ({ status: 503, body: "" });
    await toRest(stage);
    await later(stage, 2);
    expect(stage.status()).toMatchObject({ phase: "Verifying", verify: [{ name: "health", result: "Running" }] });
    await later(stage, 3);
    await expectTakenBack(stage, "HealthCheckFailed", "status 503", "at the last of 3 looks");
    expect(stage.asked).toHaveLength(3);
  });

  test("one of several, while others run: none begins any more, and what runs is removed", async () => {
    const names = ["a", "b", "c", "d", "e", "f"];
    const stage = await serving({ smoke: names.map((name) => ({ name, ...JOB })) });
    await toRest(stage);
    expect(results(stage)).toEqual({ a: "Running", b: "Running", c: "Running", d: "Running" });
    tellJob(stage.world, jobNamed(stage.world, "b"), GAVE_UP);
    await toRest(stage);
    expect(stage.status().phase).toBe("RollingBack");
    expect(stage.world.all("Job").map(({ metadata }) => metadata.name)).toEqual([
      expect.stringMatching(/^web-b-[0-9a-f]{8}$/),
    ]);
  });
});

describe("the first version", () => {
  test("has no requests before it is verified", async () => {
    const stage = begin({ smoke: [{ name: "buy", ...JOB }] });
    await toRest(stage);
    expect(stage.status().phase).toBe("Verifying");
    expect(stage.weights()).toEqual({ "web-blue": 0, "web-green": 10_000 });
    tellJob(stage.world, jobNamed(stage.world, "buy"), COMPLETE);
    await toRest(stage);
    expect(stage.status()).toMatchObject({ phase: "Idle", stable: { colour: "Blue" } });
    expect(stage.weights()).toEqual({ "web-blue": 10_000, "web-green": 0 });
    expect(stage.world.all("Job")).toEqual([]);
  });

  test("that fails is taken back: nothing serves, and the next one is released", async () => {
    const stage = begin({ smoke: [{ name: "buy", ...JOB }] });
    await toRest(stage);
    tellJob(stage.world, jobNamed(stage.world, "buy"), GAVE_UP);
    await toRest(stage);
    expect(stage.status()).toMatchObject({ phase: "Idle", releases: [{ reason: "SmokeTestFailed" }] });
    expect(stage.status().stable).toBeUndefined();
    expect(stage.weights()).toEqual({ "web-blue": 0, "web-green": 10_000 });
    expect(stage.world.all("Pod").filter(({ metadata }) => metadata.name.startsWith("web-blue"))).toEqual([]);
    push(stage, "web:2");
    (stage as { steps: unknown }).steps = [...stage.steps, jobsSucceed];
    await toRest(stage);
    expect(stage.status()).toMatchObject({ phase: "Idle", stable: { colour: "Blue" } });
    expect(stage.weights()).toMatchObject({ "web-blue": 10_000 });
  });

  test("gives way to another one", async () => {
    const stage = begin({ smoke: [{ name: "buy", ...JOB }] });
    await toRest(stage);
    const before = jobNamed(stage.world, "buy").metadata.name;
    push(stage, "web:2");
    await reconcileOnce(stage);
    expect(stage.status().phase).toBe("Preparing");
    expect(stage.status().verify).toBeUndefined();
    await toRest(stage);
    expect(stage.status().phase).toBe("Verifying");
    expect(stage.world.all("Job").map(({ metadata }) => metadata.name)).not.toContain(before);
  });
});

describe("what is remembered", () => {
  test("[45] a controller that comes after a crash runs nothing again that has passed", async () => {
    const stage = await serving({
      smoke: [
        { name: "page", ...GET },
        { name: "slow", http: { path: "/slow" } },
      ],
    });
    stage.answer = ({ path }) =>
      path === "/slow" ? new Promise<HttpAnswer>(() => undefined) : { status: 200, body: "" };
    await toRest(stage);
    await later(stage, 2);
    expect(results(stage)).toEqual({ page: "Passed", slow: "Running" });
    stage.restart();
    stage.answer = () => ({ status: 200, body: "" });
    await toRest(stage);
    await later(stage, 2);
    expect(stage.status().phase).toBe("Canary");
    expect(stage.asked.filter((request) => request.endsWith("/ok"))).toHaveLength(1);
    expect(stage.asked.filter((request) => request.endsWith("/slow"))).toHaveLength(2);
  });

  test("a result does not count for the same revision in another release", async () => {
    const stage = await serving({ smoke: [{ name: "buy", ...JOB }] });
    await toRest(stage);
    const before = jobNamed(stage.world, "buy");
    tellJob(stage.world, before, GAVE_UP);
    await toRest(stage);
    await later(stage, 60);
    edit(stage, () => ({ request: { id: "again", action: "Retry" } }));
    await toRest(stage);
    expect(stage.status()).toMatchObject({ phase: "Verifying", verify: [{ name: "buy", result: "Running" }] });
    expect(jobNamed(stage.world, "buy").metadata.name).not.toBe(before.metadata.name);
  });

  test("an edited check runs anew; one that is taken out is waited for no more", async () => {
    const stage = await serving({
      smoke: [
        { name: "buy", ...JOB },
        { name: "sell", ...JOB },
      ],
    });
    await toRest(stage);
    tellJob(stage.world, jobNamed(stage.world, "buy"), COMPLETE);
    await toRest(stage);
    expect(results(stage)).toEqual({ buy: "Passed", sell: "Running" });
    const other = { job: { ...JOB.job, backoffLimit: 1 } };
    edit(stage, () => ({ verify: rolloutVerify.parse({ smoke: [{ name: "buy", ...other }] }) }));
    await toRest(stage);
    expect(results(stage)).toEqual({ buy: "Running" });
    expect(stage.world.all("Job")).toHaveLength(1);
    edit(stage, () => ({ verify: rolloutVerify.parse({}) }));
    await toRest(stage);
    expect(stage.status().phase).toBe("Canary");
    expect(stage.world.all("Job")).toEqual([]);
  });
});

describe("others who decide", () => {
  test("both versions are looked at meanwhile, and the canary has its pods, whoever takes them away", async () => {
    const stage = await serving({ smoke: [{ name: "buy", ...JOB }] });
    await toRest(stage);
    expect(stage.sampler.task()).toMatchObject({ stage: 0, weightBps: 0, canary: [{}], stable: [{}, {}, {}, {}] });
    const scale = (object: KubeObject): KubeObject => ({
      ...object,
      spec: { ...(object["spec"] as object), replicas: 0 },
    });
    stage.world.edit("Deployment", "web-green", scale);
    await toRest(stage);
    expect(stage.world.find("Deployment", "web-green")?.["spec"]).toMatchObject({ replicas: 1 });
  });

  test("a held release begins no check; what runs goes on, and a failure takes it back", async () => {
    const names = ["a", "b", "c", "d", "e"];
    const stage = await serving({ smoke: names.map((name) => ({ name, ...JOB })) });
    await toRest(stage);
    edit(stage, () => ({ paused: true }));
    tellJob(stage.world, jobNamed(stage.world, "a"), COMPLETE);
    await toRest(stage);
    expect(results(stage)).toEqual({ a: "Passed", b: "Running", c: "Running", d: "Running" });
    tellJob(stage.world, jobNamed(stage.world, "b"), GAVE_UP);
    await toRest(stage);
    expect(stage.status().phase).toBe("RollingBack");
  });

  test("[47] an abort, and a question without an answer, wait for nothing", async () => {
    const stage = await serving({
      smoke: [
        { name: "page", ...GET },
        { name: "buy", ...JOB },
      ],
    });
    stage.answer = () => new Promise<HttpAnswer>(() => undefined);
    await toRest(stage);
    edit(stage, () => ({ request: { id: "stop", action: "Abort" } }));
    expect(stage.lastSignal()?.aborted).toBe(false);
    await reconcileOnce(stage);
    expect(stage.status().phase).toBe("RollingBack");
    await toRest(stage);
    expect(stage.lastSignal()?.aborted).toBe(true);
    expect(stage.world.all("Job")).toEqual([]);
  });

  test("a person goes on without the checks by PromoteFull", async () => {
    const stage = await serving({ smoke: [{ name: "buy", ...JOB }] });
    await toRest(stage);
    edit(stage, () => ({ request: { id: "now", action: "PromoteFull" } }));
    await toRest(stage);
    expect(stage.status().stable).toMatchObject({ colour: "Green" });
    expect(stage.world.all("Job")).toEqual([]);
  });

  test("a return within the window is not verified again", async () => {
    const stage = await serving({ smoke: [{ name: "buy", ...JOB }] });
    await toRest(stage);
    edit(stage, () => ({ request: { id: "now", action: "PromoteFull" } }));
    await toRest(stage);
    await later(stage, 60);
    push(stage, "web:1");
    await toRest(stage);
    expect(stage.status()).toMatchObject({
      stable: { colour: "Blue" },
      releases: [{ outcome: "FastPromoted" }, {}, {}],
    });
  });
});
