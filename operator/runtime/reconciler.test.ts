import { beforeEach, describe, expect, it } from "@jest/globals";
import { ANNOTATIONS, FIELD_MANAGER, FINALIZER } from "../../crds/group.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { configMap, WIDGET, widget } from "../../testkit/widget.ts";
import { noteStatedStatus, statedStatus } from "../kube/stated-status.ts";
import { apply } from "./actions.ts";
import { createReconciler, type Kind } from "./reconciler.ts";
import type { Report, Run } from "./report.ts";
import type { Action, Plan, ReconcileContext, Result } from "./types.ts";

// Goal: what every kind gets without asking: finalizer first and last, pause, one status, events after it, failures last.

const REPORT: Report = {
  state: { kind: "ready", ready: { status: "True", reason: "Ready", message: "it is" } },
  conditions: {},
  status: { size: 3 },
};
const KEY = { namespace: "default", name: "w" };
const PLANNED = apply(configMap("child", {}), "wanted");

let clock: ManualClock;
let object: KubeObject | undefined;
let failures: Map<string, Error>;
/** What was done, in order. */
let done: string[];
let statuses: Readonly<Record<string, unknown>>[];
let reports: Run[];

beforeEach(() => {
  clock = createManualClock();
  object = widget("w", {}, { uid: "1", resourceVersion: "7", finalizers: [FINALIZER] });
  failures = new Map();
  done = [];
  statuses = [];
  reports = [];
});

const nameOf = (action: Action): string =>
  action.type === "event"
    ? `event ${action.reason}`
    : action.type === "patch"
      ? `patch ${JSON.stringify(action.patch)}`
      : action.type;

async function run(
  kind: Partial<Kind<KubeObject, string, string>> = {},
  reconcile = reconcilerOf(kind),
): Promise<Result | string> {
  const context = contextOf();
  const { error, ...result } = await reconcile(KEY, context);
  return error === undefined ? result : (error as OperatorError).code;
}

function contextOf(): ReconcileContext {
  return {
    cache: { get: () => object as never, list: () => [], byIndex: () => [], availability: () => "served" },
    live: { list: async () => ({ resourceVersion: "1", items: [] }) },
    clock,
    log: silentLogger,
    signal: new AbortController().signal,
    epoch: 1,
    fence: () => undefined,
    execute: async (_owner, { actions }) => {
      for (const action of actions) {
        const failure = failures.get(action.type);
        if (failure !== undefined) return { written: 0, error: failure };
        done.push(nameOf(action));
      }
      return { written: actions.length };
    },
    statedStatus,
    patchStatus: async (_owner, status) => {
      const failure = failures.get("status");
      if (failure !== undefined) throw failure;
      done.push("status");
      statuses.push(status);
    },
  };
}

function reconcilerOf(kind: Partial<Kind<KubeObject, string, string>>) {
  return createReconciler<KubeObject, string, string>({
    resource: WIDGET,
    observe: () => "scope",
    assess: (observed) => observed,
    plan: () => ({ actions: [PLANNED] }),
    report: (_scope, about) => {
      reports.push(about);
      return REPORT;
    },
    ...kind,
  });
}

const deleting = (...finalizers: string[]): KubeObject =>
  widget("w", {}, { uid: "1", resourceVersion: "7", finalizers, deletionTimestamp: "now" });

describe("an object that lives", () => {
  it("gets plan, status and events, in this order", async () => {
    expect(await run()).toEqual({});
    expect(done).toEqual(["apply", "status", "event Ready"]);
    expect(reports).toMatchObject([{ now: clock.now(), paused: false, error: undefined, asideError: undefined }]);
  });

  it("gets its finalizer before anything else, beside those of others", async () => {
    object = widget("w", {}, { resourceVersion: "7", finalizers: ["other/one"] });
    await run();
    expect(done[0]).toBe(`patch {"metadata":{"finalizers":["other/one","${FINALIZER}"],"resourceVersion":"7"}}`);
    expect(done.slice(1)).toEqual(["apply", "status", "event Ready"]);
  });

  it("has no effect at all when the finalizer cannot be put on", async () => {
    object = widget("w", {}, {});
    failures.set("patch", new OperatorError("KUBE_CONFLICT", "injected"));
    expect(await run()).toBe("KUBE_CONFLICT");
    expect(done).not.toContain("apply");
  });

  it("gets no finalizer when all of it goes with the object anyway", async () => {
    object = widget("w", {}, {});
    expect(await run({ holdsDeletion: false })).toEqual({});
    expect(done).toEqual(["apply", "status", "event Ready"]);
  });

  it("gets one all the same before a plan of which something outlives it", async () => {
    object = widget("w", {}, {});
    await run({ holdsDeletion: false, plan: () => ({ actions: [PLANNED], holdsDeletion: true }) });
    expect(done.slice(0, 2)).toEqual([
      expect.stringContaining(`patch {"metadata":{"finalizers":["${FINALIZER}"]`),
      "apply",
    ]);
  });

  it("is looked at again at the soonest time that plan or report ask for", async () => {
    const report = (requeueAfterSeconds: number) => () => ({ ...REPORT, requeueAfterSeconds });
    const plan = (requeueAfterSeconds: number) => (): Plan => ({ actions: [], requeueAfterSeconds });
    expect(await run({ plan: plan(30), report: report(10) })).toEqual({ requeueAfterSeconds: 10 });
    expect(await run({ plan: plan(30), report: report(0) })).toEqual({ requeueAfterSeconds: 30 });
    expect(await run({ report: report(0) })).toEqual({});
  });
});

describe("an object that is deleted while others hold it", () => {
  const end: Plan = { actions: [PLANNED], isCleanedUp: true };

  it("says that our part is done before our finalizer goes, for nobody writes its status afterwards", async () => {
    object = deleting(FINALIZER, "other/one");
    expect(await run({ plan: () => end })).toEqual({});
    expect(done).toEqual([
      "apply",
      "status",
      "event Deleting",
      'patch {"metadata":{"finalizers":["other/one"],"resourceVersion":"7"}}',
    ]);
    expect(statuses[0]?.["conditions"]).toMatchObject([
      {
        type: "Ready",
        status: "False",
        reason: "Deleting",
        message: "nothing of ours is left; finalizers of others still hold it: other/one",
      },
      {},
      {},
    ]);
  });

  it("keeps our finalizer when the clean-up or the status fails", async () => {
    object = deleting(FINALIZER, "other/one");
    failures.set("apply", new OperatorError("KUBE_FORBIDDEN", "injected"));
    expect(await run({ plan: () => end })).toBe("KUBE_FORBIDDEN");
    failures = new Map([["status", new OperatorError("KUBE_FAILED", "injected")]]);
    await expect(run({ plan: () => end })).rejects.toMatchObject({ code: "KUBE_FAILED" });
    expect(done.some((line) => line.startsWith("patch"))).toBe(false);
  });

  it("is let go when its namespace goes and the clean-up would have to make something (trial 2)", async () => {
    object = deleting(FINALIZER);
    failures.set("apply", new OperatorError("KUBE_NAMESPACE_ENDING", "injected"));
    expect(await run()).toEqual({});
    expect(done).toEqual(['patch {"metadata":{"finalizers":[],"resourceVersion":"7"}}']);
  });

  it("and paused says that nothing is removed (trial 3)", async () => {
    object = deleting(FINALIZER);
    object.metadata.annotations = { [ANNOTATIONS.paused]: "true" };
    await run({ plan: () => end });
    expect(done).toEqual(["status", "event Paused"]);
    expect(statuses[0]?.["conditions"]).toMatchObject([
      {
        type: "Ready",
        status: "False",
        reason: "Paused",
        message:
          "it is being deleted, but annotation shieldx.dev/paused is true: nothing of it is removed until that is taken off",
      },
      { type: "Reconciling", reason: "Paused" },
      { type: "Stalled", reason: "Paused" },
    ]);
  });
});

describe("a failure of a step that writes", () => {
  it("of the plan is told in the status, and returned after it", async () => {
    const error = new OperatorError("KUBE_INVALID", "injected");
    failures.set("apply", error);
    expect(await run()).toBe("KUBE_INVALID");
    expect(done).toEqual(["status", "event ReconcileFailed"]);
    expect(reports[0]?.error).toBe(error);
    expect(statuses[0]).toMatchObject({
      size: 3,
      conditions: [{ type: "Ready", message: "KUBE_INVALID: injected" }, {}, {}],
    });
  });

  it("of an event is returned too, and that of the plan before it", async () => {
    failures.set("event", new OperatorError("KUBE_FAILED", "injected"));
    expect(await run()).toBe("KUBE_FAILED");
    failures.set("apply", new OperatorError("NAME_CONFLICT", "injected"));
    expect(await run()).toBe("NAME_CONFLICT");
  });

  it("of the status tells nobody an event that no status stands for", async () => {
    failures.set("status", new OperatorError("KUBE_CONFLICT", "injected"));
    await expect(run()).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
    expect(done).toEqual(["apply"]);
  });

  it("of a status that the server refuses for a value is told without that value, and the object is looked at again", async () => {
    const context = contextOf();
    const refusal = new OperatorError("KUBE_INVALID", "size: must be at most 2");
    const patchStatus: ReconcileContext["patchStatus"] = async (owner, status) => {
      if (status["size"] !== undefined) throw refusal;
      return context.patchStatus(owner, status);
    };
    const plan = (): Plan => ({ actions: [PLANNED], requeueAfterSeconds: 30 });
    const result = await reconcilerOf({ plan })(KEY, { ...context, patchStatus });
    expect(result).toEqual({ requeueAfterSeconds: 30, error: refusal });
    expect(done).toEqual(["apply", "status", "event ReconcileFailed"]);
    expect(statuses).toMatchObject([{ conditions: [{ message: "KUBE_INVALID: size: must be at most 2" }, {}, {}] }]);
  });

  it("of a step says when that step is due, and makes the key wait for nothing", async () => {
    const context = contextOf();
    const error = new OperatorError("KUBE_FORBIDDEN", "injected");
    const due = (seconds: number) => ({ written: 0, error, steps: { isNews: true, retryAfterSeconds: seconds } });
    const execute: ReconcileContext["execute"] = async (_owner, { actions: [action] }) =>
      action?.type === "apply" ? due(action.object.metadata.name === "child" ? 40 : 20) : { written: 1 };
    const aside = (): Plan => ({ actions: [apply(configMap("beside", {}), "aside")] });
    expect(await reconcilerOf({})(KEY, { ...context, execute })).toEqual({ error, steps: due(40).steps });
    expect(await reconcilerOf({ plan: () => ({ actions: [] }), aside })(KEY, { ...context, execute })).toEqual({});
    const failing: ReconcileContext["execute"] = async (_owner, { actions: [action] }) =>
      action?.type === "apply" ? { ...due(20), error: new OperatorError("KUBE_FAILED", "injected") } : { written: 1 };
    expect(await reconcilerOf({ aside })(KEY, { ...context, execute: failing })).toMatchObject({
      error: { code: "KUBE_FAILED" },
      steps: due(20).steps,
    });
  });

  it("does not keep the object from being looked at when the plan asked for it", async () => {
    failures.set("apply", new OperatorError("KUBE_INVALID", "injected"));
    const context = contextOf();
    const plan = (): Plan => ({ actions: [PLANNED], requeueAfterSeconds: 30 });
    expect(await reconcilerOf({ plan })(KEY, context)).toMatchObject({
      requeueAfterSeconds: 30,
      error: { code: "KUBE_INVALID" },
    });
  });
});

describe("a failure of a step that reads or decides", () => {
  const broken = (error: Error) => () => {
    throw error;
  };
  const steps = ["observe", "make", "assess", "plan", "aside", "report"] as const;
  const before = [
    {
      type: "Ready",
      status: "True",
      reason: "Ready",
      message: "it was",
      observedGeneration: 1,
      lastTransitionTime: "t",
    },
    {
      type: "Served",
      status: "True",
      reason: "Served",
      message: "as ever",
      observedGeneration: 1,
      lastTransitionTime: "t",
    },
  ];

  it.each(steps)("%s: reaches status and event, keeps what was told before, and is thrown", async (step) => {
    object = {
      ...widget("w", {}, { uid: "1", generation: 2, finalizers: [FINALIZER] }),
      status: { size: 3, conditions: before },
    };
    const failure = new OperatorError("CERTIFICATE_INVALID", "injected");
    await expect(run({ [step]: broken(failure) })).rejects.toBe(failure);
    expect(done.slice(-2)).toEqual(["status", "event ReconcileFailed"]);
    const message = "CERTIFICATE_INVALID: injected";
    expect(statuses).toEqual([
      {
        size: 3,
        observedGeneration: 2,
        conditions: [
          expect.objectContaining({
            type: "Ready",
            status: "False",
            reason: "ReconcileFailed",
            message,
            observedGeneration: 2,
          }),
          before[1],
          expect.objectContaining({ type: "Reconciling", observedGeneration: 2 }),
          expect.objectContaining({ type: "Stalled", observedGeneration: 2 }),
        ],
      },
    ]);
  });

  it("of a plan or an observation has no other effect", async () => {
    await expect(run({ observe: broken(new TypeError("secret words")) })).rejects.toThrow(TypeError);
    expect(done).toEqual(["status", "event ReconcileFailed"]);
  });

  it("that nobody expected is told without its words, which may be those of a Secret", async () => {
    await expect(run({ assess: broken(new SyntaxError("secret words")) })).rejects.toThrow(SyntaxError);
    expect(JSON.stringify(statuses)).not.toContain("secret words");
    expect(statuses).toMatchObject([
      { conditions: [{ message: "INTERNAL: an unexpected error; the operator's log has it" }, {}, {}] },
    ]);
  });

  it.each(["KUBE_CONFLICT", "ABORTED", "LEASE_LOST"] as const)("%s is nothing to tell", async (code) => {
    await expect(run({ observe: broken(new OperatorError(code, "injected")) })).rejects.toMatchObject({ code });
    expect(done).toEqual([]);
  });

  it("leaves to others what they say in the status", async () => {
    const ours = { type: "Ready", status: "True", reason: "Ready", message: "it is", lastTransitionTime: "now" };
    const theirs = { type: "Theirs", status: "True", reason: "Theirs", message: "", lastTransitionTime: "now" };
    const typesOf = (type: string) => ({ [`k:{"type":"${type}"}`]: { "f:type": {}, "f:status": {} } });
    const owns = (manager: string, operation: string, fields: object) => {
      return { manager, operation, subresource: "status", fieldsV1: { "f:status": fields } };
    };
    const kept = { ...widget("w", {}), status: { size: 3, theirs: 1, conditions: [ours, theirs] } };
    const managedFields = [
      owns(FIELD_MANAGER, "Apply", { "f:size": {}, "f:conditions": typesOf("Ready") }),
      owns("else", "Update", { "f:theirs": {}, "f:conditions": typesOf("Theirs") }),
    ];
    noteStatedStatus(kept, { ...kept, metadata: { ...kept.metadata, managedFields } });
    object = kept;
    await expect(run({ observe: () => Promise.reject(new Error("unexpected")) })).rejects.toThrow("unexpected");
    const [status] = statuses;
    expect(Object.keys(status ?? {}).sort()).toEqual(["conditions", "observedGeneration", "size"]);
    const types = (status?.["conditions"] as readonly { type: string }[]).map(({ type }) => type);
    expect(types).toEqual(["Ready", "Reconciling", "Stalled"]);
  });

  it("stays the failure when it cannot be told", async () => {
    failures.set("status", new OperatorError("KUBE_UNREACHABLE", "injected"));
    await expect(run({ plan: broken(new OperatorError("INTERNAL", "first")) })).rejects.toMatchObject({
      code: "INTERNAL",
    });
  });
});

describe("a paused object", () => {
  it("is left alone but for its status", async () => {
    object = widget("w", {}, { annotations: { [ANNOTATIONS.paused]: "true" } });
    const plan = (): Plan => ({ actions: [PLANNED], requeueAfterSeconds: 5 });
    expect(await run({ plan, aside: plan })).toEqual({});
    expect(done).toEqual(["status", "event Ready"]);
    expect(reports[0]?.paused).toBe(true);
  });
});

describe("a deletion", () => {
  it("keeps the finalizer while the clean-up goes on", async () => {
    object = deleting(FINALIZER);
    await run();
    expect(done).toEqual(["apply", "status", "event Ready"]);
  });

  it("takes ours off after the last step, and writes no status for what is gone", async () => {
    object = deleting(FINALIZER);
    expect(await run({ plan: () => ({ actions: [PLANNED], isCleanedUp: true }) })).toEqual({});
    expect(done).toEqual(["apply", 'patch {"metadata":{"finalizers":[],"resourceVersion":"7"}}']);
  });

  it("keeps the finalizer when a step of the clean-up fails", async () => {
    object = deleting(FINALIZER);
    failures.set("apply", new OperatorError("KUBE_FAILED", "injected"));
    expect(await run({ plan: () => ({ actions: [PLANNED], isCleanedUp: true }) })).toBe("KUBE_FAILED");
    expect(done).toEqual(["status", "event ReconcileFailed"]);
  });

  it("of an object without our finalizer is none of our business", async () => {
    object = deleting("other/one");
    expect(await run()).toEqual({});
    expect(done).toEqual([]);
  });

  it("that is over is nothing to do", async () => {
    object = undefined;
    expect(await run()).toEqual({});
    expect(done).toEqual([]);
  });
});

describe("work aside", () => {
  const growth = {
    aside: (): Plan => ({ actions: [{ type: "delete", resource: WIDGET, ...KEY, uid: "1", note: "grow" }] }),
  };

  it("is done whatever became of the plan, and its failure is returned after the status", async () => {
    failures.set("apply", new OperatorError("NAME_CONFLICT", "injected"));
    expect(await run(growth)).toBe("NAME_CONFLICT");
    expect(done).toEqual(["delete", "status", "event NameConflict"]);
    failures.clear();
    failures.set("delete", new OperatorError("KUBE_FAILED", "injected"));
    expect(await run(growth)).toBe("KUBE_FAILED");
  });

  it("that is refused is told, not returned, and not tried again for five minutes unless it is other work", async () => {
    const reconcile = reconcilerOf(growth);
    const refusal = new OperatorError("KUBE_FORBIDDEN", "injected");
    failures.set("delete", refusal);
    expect(await run({}, reconcile)).toEqual({});
    expect(reports.at(-1)?.asideError).toBe(refusal);
    failures.clear();
    await clock.advance(299_000);
    await run({}, reconcile);
    expect(reports.at(-1)?.asideError).toBe(refusal);
    await clock.advance(1_000);
    await run({}, reconcile);
    expect(reports.at(-1)?.asideError).toBeUndefined();
    expect(done.filter((what) => what === "delete")).toHaveLength(1);
  });
});
