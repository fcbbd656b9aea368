import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { isOperatorError } from "../../lib/core/errors.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import type { FakeKube } from "../../testkit/fake-kube.ts";
import { eventually } from "../../testkit/wait.ts";
import { widget } from "../../testkit/widget.ts";
import { inOrder, remove as removal, urgent } from "../runtime/actions.ts";
import type { Action } from "../runtime/types.ts";
import {
  type ApplyStage,
  apply,
  configMapKey,
  create,
  openApplyStage,
  owned,
  type Process,
  widgetKey,
} from "./testing/apply-stage.ts";

// Goal: a whole plan with its events and its status over a server: what succeeded stays, what converged is not written again,
// and without the Lease nothing is written at all.

const { ConfigMap } = RESOURCES;

let stage: ApplyStage;
let fake: FakeKube;
const startProcess: ApplyStage["startProcess"] = (watched) => stage.startProcess(watched);

beforeEach(async () => {
  stage = await openApplyStage();
  fake = stage.fake;
});
afterEach(() => stage.close());

describe("a plan", () => {
  it("in order stops at the first failure and keeps what succeeded; the next run goes on from there", async () => {
    const process = await startProcess();
    fake.inject({ method: "PATCH", path: /configmaps\/b/, action: { type: "answer", status: 403 } });
    const actions = inOrder([apply(owned("a", {})), apply(owned("b", {})), apply(owned("c", {}))]);
    const outcome = await process.execute(...actions);
    expect(outcome.written).toBe(1);
    expect(outcome.error).toMatchObject({ code: "KUBE_FORBIDDEN" });
    expect(fake.store.get(configMapKey("c"))).toBeUndefined();
    expect(await process.execute(...actions)).toEqual({ written: 2 });
  });

  it("look at the server after a write whose answer was lost, since memory may be older than that write", async () => {
    const process = await startProcess();
    await process.execute(apply(owned("a", { x: "1" })));
    await process.settle();
    // Nothing comes through the watch, and no answer to the write and its repetitions.
    fake.stallWatches();
    fake.inject({ method: "PATCH", times: 4, action: { type: "lose-answer" } });
    const target = { resource: ConfigMap, namespace: "default", name: "a" } as const;
    const hold: Action = {
      type: "patch",
      ...target,
      patch: { metadata: { finalizers: ["test.shieldx.dev/hold"] } },
      note: "held",
    };
    const removal: Action = { type: "delete", ...target, uid: undefined, note: "gone" };
    expect((await process.execute(hold)).error).toMatchObject({ code: "KUBE_UNREACHABLE" });
    fake.forgetRequests();
    expect(await process.execute(hold)).toEqual({ written: 0 });
    expect(fake.requests().map(({ method }) => method)).toEqual(["GET"]);
    // From here on memory knows.
    expect(await process.execute(hold)).toEqual({ written: 0 });
    expect(fake.requests()).toHaveLength(1);
    fake.inject({ method: "DELETE", times: 4, action: { type: "lose-answer" } });
    fake.store.merge(
      configMapKey("a"),
      { metadata: { finalizers: null } },
      { manager: "else", subresource: undefined },
    );
    expect((await process.execute(removal)).error).toBeDefined();
    expect(await process.execute(removal)).toEqual({ written: 0 });
    expect(fake.store.get(configMapKey("a"))).toBeUndefined();
  });

  it("does what is urgent while the server asks to slow down", async () => {
    const process = await startProcess();
    fake.inject({ path: /configmaps/, action: { type: "answer", status: 429, retryAfterSeconds: 25 } });
    expect((await process.execute(apply(owned("a", {})))).error).toMatchObject({ code: "KUBE_THROTTLED" });
    const target = { resource: ConfigMap, namespace: "default", name: "a" } as const;
    const patch: Action = { type: "patch", ...target, patch: { data: { y: "2" } }, note: "changed", urgent: true };
    const writes = [urgent(apply(owned("a", { x: "1" }))), urgent(create(owned("b", {})))];
    const gone = urgent(removal({ ...target, uid: undefined }, "gone"));
    expect(await process.execute(...writes, patch, gone)).toEqual({ written: 4 });
  });

  it("converges through lost answers without a second effect", async () => {
    const process = await startProcess();
    fake.inject({ method: "PATCH", times: 2, action: { type: "lose-answer" } });
    fake.inject({ method: "POST", action: { type: "lose-answer" } });
    const actions = [apply(owned("a", { x: "1" })), create(owned("once", { key: "k" }))];
    const first = await process.execute(...actions);
    if (first.error !== undefined) await process.execute(...actions);
    expect(fake.store.list("/configmaps", "default")).toHaveLength(2);
    const versions = fake.store.version();
    expect((await process.execute(...actions)).written).toBe(0);
    expect(fake.store.version()).toBe(versions);
  });

  it("writes nothing without the Lease", async () => {
    const process = await startProcess();
    stage.loseLease();
    const { error } = await process.execute(apply(owned("a", {})));
    expect(isOperatorError(error, "LEASE_LOST")).toBe(true);
    await expect(process.status({ phase: "x" })).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(fake.writes()).toEqual([]);
  });
});

describe("the status", () => {
  it("is written only when it differs, and whole", async () => {
    const process = await startProcess();
    expect(await process.status({ phase: "a", gone: 1 })).toBe("written");
    expect(await process.status({ phase: "a", gone: 1 })).toBe("unchanged");
    expect(await (await startProcess()).status({ gone: 1, phase: "a" })).toBe("unchanged");
    expect(await process.status({ phase: "b" })).toBe("written");
    expect(fake.store.get(widgetKey)?.["status"]).toEqual({ phase: "b" });
    expect(fake.writes()).toHaveLength(2);
  });

  it("comes back when somebody else damaged it", async () => {
    const process = await startProcess();
    await process.status({ phase: "a" });
    fake.store.merge(widgetKey, { status: { phase: "damaged" } }, { manager: "else", subresource: "status" });
    await eventually("damage seen", () => (process.owner()["status"] as { phase: string }).phase === "damaged");
    expect(await process.status({ phase: "a" })).toBe("written");
    expect(fake.store.get(widgetKey)?.["status"]).toEqual({ phase: "a" });
  });

  it("may have members of somebody else: neither they nor a restart cost a request", async () => {
    const process = await startProcess();
    const wanted = { phase: "a", conditions: [{ type: "Ready", status: "True" }], nested: { ours: 1 } };
    await process.status(wanted);
    const theirs = (count: number): void =>
      void fake.store.merge(
        widgetKey,
        { status: { theirs: { count }, nested: { theirs: count } } },
        { manager: "else", subresource: "status" },
      );
    const sees = (one: Process, count: number) =>
      eventually("seen", () => (one.owner()["status"] as { nested: { theirs?: number } }).nested.theirs === count);
    fake.forgetRequests();
    for (const count of [1, 2]) {
      theirs(count);
      await sees(process, count);
      expect(await process.status(wanted)).toBe("unchanged");
    }
    const restarted = await startProcess();
    expect(await restarted.status(wanted)).toBe("unchanged");
    expect(fake.writes()).toEqual([]);
    // What we stated before the restart and do not state any more goes, and theirs stays.
    expect(await restarted.status({ phase: "a", nested: { ours: 1 } })).toBe("written");
    expect(fake.store.get(widgetKey)?.["status"]).toEqual({
      phase: "a",
      nested: { ours: 1, theirs: 2 },
      theirs: { count: 2 },
    });
  });

  it("is taken back from who took a member of it, also after a restart", async () => {
    await (await startProcess()).status({ phase: "a", size: 1 });
    fake.store.merge(widgetKey, { status: { size: 9, theirs: 1 } }, { manager: "else", subresource: "status" });
    expect(await (await startProcess()).status({ phase: "a", size: 1 })).toBe("written");
    expect(fake.store.get(widgetKey)?.["status"]).toEqual({ phase: "a", size: 1, theirs: 1 });
  });

  it("is taken back from who fills a list that we state as empty", async () => {
    const process = await startProcess();
    await process.status({ phase: "a", problems: [] });
    const change = { status: { problems: ["theirs"], theirs: 1 } };
    fake.store.merge(widgetKey, change, { manager: "else", subresource: "status" });
    await eventually("seen", () => (process.owner()["status"] as { theirs?: number }).theirs === 1);
    expect(await process.status({ phase: "a", problems: [] })).toBe("written");
    expect(fake.store.get(widgetKey)?.["status"]).toEqual({ phase: "a", problems: [], theirs: 1 });
    expect(await process.status({ phase: "a", problems: [] })).toBe("unchanged");
  });

  it("is of no use when the owner is gone or another one", async () => {
    const process = await startProcess();
    // The cache still shows the old one.
    fake.stallWatches();
    fake.store.remove(widgetKey, {});
    expect(await process.status({ phase: "a" })).toBe("unchanged");
    const another = fake.store.create(widgetKey, widget("w"), "user");
    await expect(process.status({ phase: "a" })).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
    expect(fake.store.get(widgetKey)).toEqual(another);
  });
});

describe("events", () => {
  const tell = (note: string): Action => ({ type: "event", eventType: "Normal", reason: "Told", note });
  const events = () => fake.store.list("events.k8s.io/events", "default");

  it("are written once per situation, again after ten minutes as a series", async () => {
    const process = await startProcess();
    expect((await process.execute(tell("1 of 3"))).written).toBe(1);
    expect((await process.execute(tell("1 of 3"), tell("2 of 3"))).written).toBe(1);
    expect(events()).toHaveLength(2);
    expect(events()[0]).toMatchObject({ reason: "Told", type: "Normal", regarding: { kind: "Widget", name: "w" } });
    await stage.clock.advance(600_000);
    expect((await process.execute(tell("1 of 3"))).written).toBe(1);
    expect(events()).toHaveLength(2);
    expect(events().map((event) => event["series"])).toContainEqual(expect.objectContaining({ count: 2 }));
  });

  it("are not told again by a new process while they are there", async () => {
    await (await startProcess()).execute(tell("1 of 3"));
    const restarted = await startProcess();
    expect((await restarted.execute(tell("1 of 3"))).written).toBe(0);
    expect(events()).toHaveLength(1);
  });

  it("that cannot be written stop nothing", async () => {
    const process = await startProcess();
    fake.inject({ path: /events/, action: { type: "answer", status: 403 } });
    expect(await process.execute(tell("lost"), apply(owned("a", {})))).toEqual({ written: 1 });
  });
});
