import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { ANNOTATIONS, LABELS } from "../../crds/group.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import type { FakeKube } from "../../testkit/fake-kube.ts";
import { eventually } from "../../testkit/wait.ts";
import { WIDGET } from "../../testkit/widget.ts";
import { urgent } from "../runtime/actions.ts";
import { ensureFinalizer, removeFinalizer } from "../runtime/finalizers.ts";
import type { Action, Write } from "../runtime/types.ts";
import { createApplier } from "./apply.ts";
import {
  type ApplyStage,
  apply,
  configMapKey,
  create,
  never,
  openApplyStage,
  owned,
  widgetKey,
} from "./testing/apply-stage.ts";

// Goal: an object over a converged state is written once, also by a new process; nobody else's object is ever touched; what
// somebody else changes comes back. The state of the world is asserted at the server, and its writes are counted there.

const { ConfigMap } = RESOURCES;
const WIDGET_VERSION = WIDGET.apiVersion;

let stage: ApplyStage;
let fake: FakeKube;
const startProcess: ApplyStage["startProcess"] = (watched) => stage.startProcess(watched);

beforeEach(async () => {
  stage = await openApplyStage();
  fake = stage.fake;
});
afterEach(() => stage.close());

describe("apply", () => {
  it("writes once; a second pass and a second process write nothing", async () => {
    const first = await startProcess();
    expect(await first.execute(apply(owned("a", { x: "1" })))).toEqual({ written: 1 });
    expect(fake.store.get(configMapKey("a"))?.metadata.annotations?.[ANNOTATIONS.appliedHash]).toMatch(
      /^[0-9a-f]{16}$/,
    );
    fake.forgetRequests();
    // At once, before any watch could have told.
    expect(await first.execute(apply(owned("a", { x: "1" })))).toEqual({ written: 0 });
    const second = await startProcess();
    expect(await second.execute(apply(owned("a", { x: "1" })))).toEqual({ written: 0 });
    expect(fake.writes()).toEqual([]);
  });

  it("writes nothing either when the kind is not watched", async () => {
    const process = await startProcess("unwatched");
    expect((await process.execute(apply(owned("a", { x: "1" })))).written).toBe(1);
    expect((await process.execute(apply(owned("a", { x: "1" })))).written).toBe(0);
    expect(fake.writes()).toHaveLength(1);
  });

  it("writes a change of the desired object, and removes what it no longer names", async () => {
    const process = await startProcess();
    await process.execute(apply(owned("a", { x: "1", y: "2" })));
    expect((await process.execute(apply(owned("a", { x: "3" })))).written).toBe(1);
    expect(fake.store.get(configMapKey("a"))).toMatchObject({ data: { x: "3" } });
    expect(fake.store.get(configMapKey("a"))?.["data"]).not.toHaveProperty("y");
  });

  it("leaves alone what others add, and takes back what others take (trial 7)", async () => {
    const process = await startProcess();
    await process.execute(apply(owned("a", { x: "1" })));
    fake.store.merge(configMapKey("a"), { data: { other: "1" } }, { manager: "else", subresource: undefined });
    await process.settle();
    expect((await process.execute(apply(owned("a", { x: "1" })))).written).toBe(0);
    fake.store.merge(configMapKey("a"), { data: { x: "9" } }, { manager: "else", subresource: undefined });
    await process.settle();
    expect(await process.execute(apply(owned("a", { x: "1" })))).toEqual({ written: 1 });
    expect(fake.store.get(configMapKey("a"))?.["data"]).toEqual({ x: "1", other: "1" });
    expect(process.takenBack).toEqual([
      'a: PATCH /api/v1/namespaces/default/configmaps/a: Apply failed with 1 conflict: conflict with "else" using v1: .data.x',
    ]);
    await process.settle();
    expect(await process.execute(apply(owned("a", { x: "1" })))).toEqual({ written: 0 });
  });

  it("does not make war on who writes a field again each time, and names him", async () => {
    const process = await startProcess();
    const spoil = async (value: string) => {
      fake.store.merge(configMapKey("a"), { data: { x: value } }, { manager: "else", subresource: undefined });
      await process.settle();
      return process.execute(apply(owned("a", { x: "1" })));
    };
    await process.execute(apply(owned("a", { x: "1" })));
    for (let round = 0; round < 5; round += 1) expect(await spoil(`v${round}`)).toEqual({ written: 1 });
    const { error } = await spoil("again");
    expect(error).toMatchObject({ code: "KUBE_FIELD_CONFLICT" });
    expect(error?.message).toBe(
      'ConfigMap "a": somebody writes fields of ours again each time that they are taken back, so that is tried once in 2 minutes now: PATCH /api/v1/namespaces/default/configmaps/a: Apply failed with 1 conflict: conflict with "else" using v1: .data.x',
    );
    expect(fake.store.get(configMapKey("a"))?.["data"]).toEqual({ x: "again" });
    await stage.clock.advance(120_000);
    expect(await process.execute(apply(owned("a", { x: "1" })))).toEqual({ written: 1 });
  });

  it("lets an urgent write have its say in a war, five times as well", async () => {
    const process = await startProcess();
    const spoil = async (wanted: Write) => {
      fake.store.merge(configMapKey("a"), { data: { x: "9" } }, { manager: "else", subresource: undefined });
      await process.settle();
      return (await process.execute(wanted)).error;
    };
    await process.execute(apply(owned("a", { x: "1" })));
    for (let round = 0; round < 5; round += 1) expect(await spoil(apply(owned("a", { x: "1" })))).toBeUndefined();
    expect(await spoil(apply(owned("a", { x: "1" })))).toMatchObject({ code: "KUBE_FIELD_CONFLICT" });
    for (let round = 0; round < 5; round += 1)
      expect(await spoil(urgent(apply(owned("a", { x: "0" }))))).toBeUndefined();
    expect(await spoil(urgent(apply(owned("a", { x: "0" }))))).toMatchObject({ code: "KUBE_FIELD_CONFLICT" });
  });

  it("takes over what a restore made again, with the owner reference of a resource that is gone (trial 13)", async () => {
    const reference = (uid: string) => ({
      apiVersion: WIDGET_VERSION,
      kind: "Widget",
      name: "w",
      uid,
      controller: true,
    });
    const made = (uid: string, data: Record<string, string>): KubeObject => {
      const object = owned("a", data);
      return { ...object, metadata: { ...object.metadata, ownerReferences: [reference(uid)] } };
    };
    const first = await startProcess();
    await first.execute(apply(made("uid-before", { x: "1" })));
    const {
      managedFields: _,
      uid: _uid,
      resourceVersion: _v,
      ...metadata
    } = fake.store.get(configMapKey("a"))?.metadata as KubeObject["metadata"];
    fake.store.remove(configMapKey("a"), {});
    const other = { apiVersion: "v1", kind: "ConfigMap", name: "theirs", uid: "uid-theirs" };
    const ownerReferences = [...(metadata.ownerReferences ?? []), other];
    fake.store.create(
      configMapKey("a"),
      { ...made("", { x: "0" }), metadata: { ...metadata, ownerReferences } },
      "kubectl",
    );
    const restarted = await startProcess();
    const { uid = "" } = restarted.owner().metadata;
    expect(await restarted.execute(apply(made(uid, { x: "1" })))).toEqual({ written: 1 });
    expect(fake.store.get(configMapKey("a"))).toMatchObject({
      data: { x: "1" },
      metadata: { ownerReferences: [other, reference(uid)] },
    });
    await restarted.settle();
    expect(await restarted.execute(apply(made(uid, { x: "1" })))).toEqual({ written: 0 });
  });

  it("an object that lost its labels is ours by its owner reference, and gets them again", async () => {
    const process = await startProcess();
    const uid = process.owner().metadata.uid ?? "";
    const wanted = owned("a", { x: "1" });
    wanted.metadata.ownerReferences = [{ apiVersion: WIDGET_VERSION, kind: "Widget", name: "w", uid }];
    const bare = { ...wanted, metadata: { ...wanted.metadata, labels: {} }, data: { x: "theirs" } };
    fake.store.create(configMapKey("a"), bare, "else");
    expect(await process.execute(apply(wanted))).toEqual({ written: 1 });
    expect(fake.store.get(configMapKey("a"))).toMatchObject({ data: { x: "1" }, metadata: wanted.metadata });
    await process.settle();
    expect(await process.execute(apply(wanted))).toEqual({ written: 0 });
  });

  it("brings back what somebody removed", async () => {
    const process = await startProcess();
    await process.execute(apply(owned("a", { x: "1", y: "2" })));
    fake.store.merge(configMapKey("a"), { data: { y: null } }, { manager: "else", subresource: undefined });
    await process.settle();
    expect((await process.execute(apply(owned("a", { x: "1", y: "2" })))).written).toBe(1);
    expect(fake.store.get(configMapKey("a"))?.["data"]).toEqual({ x: "1", y: "2" });
  });

  it("notices what was removed and taken while no process looked (trial 7)", async () => {
    await (await startProcess()).execute(apply(owned("a", { x: "1", y: "2" })), apply(owned("b", { x: "1" })));
    fake.store.merge(configMapKey("a"), { data: { y: null, other: "1" } }, { manager: "else", subresource: undefined });
    fake.store.merge(configMapKey("b"), { data: { x: "9" } }, { manager: "else", subresource: undefined });
    const restarted = await startProcess();
    expect(await restarted.execute(apply(owned("a", { x: "1", y: "2" })))).toEqual({ written: 1 });
    expect(fake.store.get(configMapKey("a"))?.["data"]).toEqual({ x: "1", y: "2", other: "1" });
    expect(await restarted.execute(apply(owned("b", { x: "1" })))).toEqual({ written: 1 });
    expect(fake.store.get(configMapKey("b"))?.["data"]).toEqual({ x: "1" });
  });

  it.each([
    ["without labels", {}, ["GET", "GET"]],
    // Memory shows it.
    ["of another widget", { [LABELS.kind]: "Widget", [LABELS.name]: "other" }, []],
  ])("never touches an object of the name %s", async (_name, labels, looks) => {
    const foreign = { ...owned("a", { theirs: "1" }), metadata: { namespace: "default", name: "a", labels } };
    const before = fake.store.create(configMapKey("a"), foreign, "else");
    const process = await startProcess();
    for (const action of [apply(owned("a", { x: "1" })), create(owned("a", { x: "1" }))]) {
      const { error } = await process.execute(action);
      expect(error).toMatchObject({ code: "NAME_CONFLICT", retry: "after", details: { kind: "ConfigMap", name: "a" } });
    }
    expect(fake.store.get(configMapKey("a"))).toEqual(before);
    // From now on it is looked at, and nothing is sent to it until it is gone.
    fake.forgetRequests();
    for (const action of [apply(owned("a", { x: "1" })), create(owned("a", { x: "1" }))]) {
      expect((await process.execute(action)).error).toMatchObject({ code: "NAME_CONFLICT" });
    }
    expect(fake.requests().map(({ method }) => method)).toEqual(looks);
    fake.store.remove(configMapKey("a"), {});
    await eventually("the name is free", async () => (await process.execute(create(owned("a", {})))).written === 1);
  });

  it("does not merge into an object that took the name meanwhile", async () => {
    const process = await startProcess();
    await process.execute(apply(owned("a", { x: "1" })));
    await process.settle();
    fake.stallWatches();
    fake.store.remove(configMapKey("a"), {});
    const foreign = fake.store.create(configMapKey("a"), { ...owned("a", {}), metadata: { name: "a" } }, "else");
    expect((await process.execute(apply(owned("a", { x: "2" })))).error).toMatchObject({ code: "KUBE_CONFLICT" });
    expect(fake.store.get(configMapKey("a"))).toEqual(foreign);
  });
});

describe("create", () => {
  it("creates also on a server that refuses the version by which creation is asked for", async () => {
    const process = await startProcess();
    const path = /configmaps\/late/;
    const action = {
      type: "answer",
      status: 409,
      body: JSON.stringify({ kind: "Status", reason: "Conflict" }),
    } as const;
    fake.inject({ method: "PATCH", path, action });
    expect(await process.execute(apply(owned("late", { a: "1" })))).toEqual({ written: 1 });
    expect(fake.store.get(configMapKey("late"))).toMatchObject({ data: { a: "1" } });
  });

  it("costs one request", async () => {
    const process = await startProcess();
    fake.forgetRequests();
    expect(await process.execute(create(owned("keys", { key: "first" })))).toEqual({ written: 1 });
    expect(fake.requests().map(({ method }) => method)).toEqual(["POST"]);
  });

  it("creates once and leaves what is there, also when the cache is late", async () => {
    const process = await startProcess();
    expect((await process.execute(create(owned("keys", { key: "first" })))).written).toBe(1);
    expect((await process.execute(create(owned("keys", { key: "second" })))).written).toBe(0);
    const late = await startProcess("unwatched");
    expect((await late.execute(create(owned("keys", { key: "third" })))).written).toBe(0);
    expect(fake.store.get(configMapKey("keys"))?.["data"]).toEqual({ key: "first" });
  });
});

describe("labels that somebody takes from an object of ours", () => {
  const labelsOf = (name: string) => fake.store.get(configMapKey(name))?.metadata.labels;
  const full = owned("keys", { key: "first" });
  const labels = { ...full.metadata.labels, [LABELS.component]: "shard" };
  const object = { ...full, metadata: { ...full.metadata, labels } };
  const unlabel = (...taken: string[]): void => {
    const left = Object.fromEntries(taken.map((label) => [label, null]));
    fake.store.merge(
      configMapKey("keys"),
      { metadata: { labels: left } },
      { manager: "kubectl", subresource: undefined },
    );
  };

  it.each([
    ["create", create, [LABELS.name]],
    ["create", create, [LABELS.kind]],
    ["create", create, [LABELS.kind, LABELS.name]],
    ["apply", apply, [LABELS.name]],
    ["apply", apply, [LABELS.kind, LABELS.name]],
  ] as const)("come back with the next %s, and its content stays", async (_how, step, taken) => {
    const process = await startProcess();
    await process.execute(step(object));
    const { uid } = fake.store.get(configMapKey("keys"))?.metadata ?? {};
    unlabel(...taken);
    const restarted = await startProcess();
    expect(await restarted.execute(step(object))).toEqual({ written: 1 });
    expect(labelsOf("keys")).toMatchObject(labels);
    expect(fake.store.get(configMapKey("keys"))).toMatchObject({ metadata: { uid }, data: { key: "first" } });
    await restarted.settle();
    expect(await restarted.execute(step(object))).toEqual({ written: 0 });
  });

  it.each([
    ["all of them", [LABELS.kind, LABELS.name, LABELS.component], undefined],
    ["one, of an object that somebody else made", [LABELS.name], "else"],
  ] as const)("do not by themselves when it is %s, and the sentence says how", async (_what, taken, maker) => {
    const process = await startProcess();
    if (maker === undefined) await process.execute(create(object));
    else fake.store.create(configMapKey("keys"), object, maker);
    unlabel(...taken);
    const restarted = await startProcess();
    const before = fake.store.get(configMapKey("keys"));
    for (const step of [create, apply]) {
      expect((await restarted.execute(step(object))).error?.message).toBe(
        `ConfigMap "keys" exists and is not ours: it lacks the labels shieldx.dev/kind=Widget, shieldx.dev/name=w; if it was ours, or to hand it over: kubectl label --overwrite configmap keys -n default shieldx.dev/kind=Widget shieldx.dev/name=w; if it is somebody else's, delete or rename it`,
      );
    }
    expect(fake.store.get(configMapKey("keys"))).toEqual(before);
  });

  it("do not come back where another one says whose it is now", async () => {
    const process = await startProcess();
    await process.execute(create(object));
    const others = { metadata: { labels: { [LABELS.name]: "other" } } };
    fake.store.merge(configMapKey("keys"), others, { manager: "kubectl", subresource: undefined });
    const restarted = await startProcess();
    expect((await restarted.execute(create(object))).error?.message).toContain(
      "(it is of Widget other); if it was ours",
    );
    expect(labelsOf("keys")).toMatchObject({ [LABELS.name]: "other" });
  });
});

describe("delete", () => {
  const remove = (uid: string | undefined): Action => ({
    type: "delete",
    resource: ConfigMap,
    namespace: "default",
    name: "a",
    uid,
    note: "not wanted",
  });

  it("deletes the object that was observed, and only that one", async () => {
    const process = await startProcess();
    await process.execute(apply(owned("a", { x: "1" })));
    const uid = fake.store.get(configMapKey("a"))?.metadata.uid;
    expect(await process.execute(remove("another"))).toEqual({ written: 0 });
    expect(await process.execute(remove(uid))).toEqual({ written: 1 });
    expect(fake.store.get(configMapKey("a"))).toBeUndefined();
    expect(await process.execute(remove(uid))).toEqual({ written: 0 });
  });

  it("is refused when the object has changed since, where that was asked for", async () => {
    const process = await startProcess();
    await process.execute(apply(owned("a", { x: "1" })));
    const seen = fake.store.get(configMapKey("a"));
    const { uid, resourceVersion } = seen?.metadata ?? {};
    fake.store.put(configMapKey("a"), { ...(seen as KubeObject), data: { x: "2" } }, "else");
    const action = { ...remove(uid), resourceVersion } as Action;
    expect((await process.execute(action)).error).toMatchObject({ code: "KUBE_CONFLICT" });
    expect(fake.store.get(configMapKey("a"))?.["data"]).toEqual({ x: "2" });
  });

  it("does not repeat itself while a finalizer holds the object", async () => {
    const object = owned("a", {});
    object.metadata.finalizers = ["else/hold"];
    fake.store.create(configMapKey("a"), object, "user");
    const process = await startProcess();
    expect((await process.execute(remove(undefined))).written).toBe(1);
    expect((await process.execute(remove(undefined))).written).toBe(0);
    expect(fake.writes()).toHaveLength(1);
  });
});

describe("patch", () => {
  it("adds the finalizer once, removes it once, keeps those of others", async () => {
    fake.store.merge(
      widgetKey,
      { metadata: { finalizers: ["else/hold"] } },
      { manager: "user", subresource: undefined },
    );
    const process = await startProcess();
    expect((await process.execute(...ensureFinalizer(process.owner(), WIDGET))).written).toBe(1);
    expect(process.owner().metadata.finalizers).toEqual(["else/hold", "shieldx.dev/finalizer"]);
    expect(ensureFinalizer(process.owner(), WIDGET)).toEqual([]);
    fake.store.remove(widgetKey, {});
    await eventually("deletion seen", () => process.owner().metadata.deletionTimestamp !== undefined);
    expect((await process.execute(...removeFinalizer(process.owner(), WIDGET))).written).toBe(1);
    expect(fake.store.get(widgetKey)?.metadata.finalizers).toEqual(["else/hold"]);
    expect(removeFinalizer(process.owner(), WIDGET)).toEqual([]);
    expect(ensureFinalizer(process.owner(), WIDGET)).toEqual([]);
  });

  it("is refused when the list of finalizers changed meanwhile", async () => {
    const process = await startProcess();
    const action = ensureFinalizer(process.owner(), WIDGET);
    fake.store.merge(
      widgetKey,
      { metadata: { finalizers: ["else/hold"] } },
      { manager: "user", subresource: undefined },
    );
    expect((await process.execute(...action)).error).toMatchObject({ code: "KUBE_CONFLICT" });
    expect(fake.store.get(widgetKey)?.metadata.finalizers).toEqual(["else/hold"]);
  });

  it("sees the object gone at once when the last finalizer went", async () => {
    const process = await startProcess();
    await process.execute(...ensureFinalizer(process.owner(), WIDGET));
    fake.store.remove(widgetKey, {});
    await eventually("deletion seen", () => process.owner().metadata.deletionTimestamp !== undefined);
    await process.execute(...removeFinalizer(process.owner(), WIDGET));
    expect(process.owner()).toBeUndefined();
    expect(fake.store.get(widgetKey)).toBeUndefined();
  });

  it("keeps a pod in memory that ends in its own time: its grace period holds it, and no finalizer", async () => {
    const pod = (metadata: Partial<KubeObject["metadata"]>): KubeObject => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace: "default", name: "p", uid: "u", deletionTimestamp: "2026-01-01T00:00:30Z", ...metadata },
    });
    const told: string[] = [];
    const patched = async (answer: KubeObject): Promise<readonly string[]> => {
      const applier = createApplier({
        client: { ...fake.client(), patch: async <T extends KubeObject>() => answer as T },
        cache: { overlay: () => void told.push("there"), overlayDeleted: () => void told.push("gone") },
        view: { get: () => undefined },
        isWatched: () => true,
        typeOf: () => RESOURCES.Pod,
        fence: () => undefined,
        clock: stage.clock,
      });
      const patch = { metadata: { labels: { a: "b" } } };
      await applier.patch({ resource: RESOURCES.Pod, namespace: "default", name: "p", patch }, { signal: never });
      return told.splice(0);
    };
    expect(await patched(pod({ deletionGracePeriodSeconds: 30 }))).toEqual(["there"]);
    expect(await patched(pod({ deletionGracePeriodSeconds: 0, finalizers: ["else/hold"] }))).toEqual(["there"]);
    expect(await patched(pod({ deletionGracePeriodSeconds: 0 }))).toEqual(["gone"]);
  });

  it("sends nothing that is satisfied already", async () => {
    const process = await startProcess();
    const patch: Action = {
      type: "patch",
      resource: WIDGET,
      namespace: "default",
      name: "w",
      patch: { metadata: { ownerReferences: null }, spec: { size: 1 } },
      note: "no change",
    };
    expect((await process.execute(patch)).written).toBe(0);
    expect(fake.writes()).toEqual([]);
  });
});
