// The world in memory is as strict as a server: what a story shows of drift, conflicts and hashes is what a cluster shows.
import { describe, expect, test } from "@jest/globals";
import { ANNOTATIONS, LABELS } from "../crds/group.ts";
import { OperatorError } from "../lib/core/errors.ts";
import type { KubeObject } from "../lib/kube/types.ts";
import { apply } from "../operator/runtime/actions.ts";
import { createMemoryWorld } from "./memory-world.ts";
import { conditionOf, reconcileOnce, type StoryCast, toRest } from "./story.ts";
import { configMap, WIDGET, widget } from "./widget.ts";
import { createWidgetOperator } from "./widget-operator.ts";

const KEY = { namespace: "default", name: "w" };

function begin(): StoryCast {
  const world = createMemoryWorld({ namespace: "default" });
  world.put(widget("w", { size: 2, text: "hello" }));
  return {
    world,
    controller: createWidgetOperator({ cleansUp: false, isTerse: true }),
    key: KEY,
    kind: "Widget",
    steps: [],
  };
}

const dataOf = ({ world }: StoryCast): unknown => world.find("ConfigMap", "w")?.["data"];

/** What a reconcile that fails threw; its status is written all the same. */
const failureOf = (cast: StoryCast): Promise<unknown> =>
  reconcileOnce(cast).then(
    () => undefined,
    (error: unknown) => error,
  );

describe("drift", () => {
  test("a member that somebody takes out of an owned object is put back, with one write", async () => {
    const cast = begin();
    await toRest(cast);
    cast.world.edit("ConfigMap", "w", (object) => ({ ...object, data: { size: "2" } }));
    expect(await reconcileOnce(cast)).toEqual(["apply ConfigMap w: size 2"]);
    expect(dataOf(cast)).toEqual({ text: "hello", size: "2" });
    expect(await reconcileOnce(cast)).toEqual([]);
  });

  test("what somebody adds stays, and costs no write", async () => {
    const cast = begin();
    await toRest(cast);
    cast.world.edit("ConfigMap", "w", (object) => ({
      ...object,
      metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, mine: "yes" } },
      data: { ...(object["data"] as object), mine: "yes" },
    }));
    expect(await reconcileOnce(cast)).toEqual([]);
    cast.world.edit("Widget", "w", (object) => ({ ...object, spec: { size: 2, text: "bye" } }));
    await toRest(cast);
    expect(dataOf(cast)).toEqual({ text: "bye", size: "2", mine: "yes" });
    expect(cast.world.find("ConfigMap", "w")?.metadata.annotations).toMatchObject({ mine: "yes" });
  });

  test("a value that somebody else owns now is taken back", async () => {
    const cast = begin();
    await toRest(cast);
    cast.world.edit("ConfigMap", "w", (object) => ({ ...object, data: { size: "2", text: "theirs" } }));
    await toRest(cast);
    expect(dataOf(cast)).toEqual({ text: "hello", size: "2" });
    expect(conditionOf(cast, "Ready")).toMatchObject({ status: "True" });
  });

  test("what we stated once and do not state any more goes; an unchanged statement is not sent", async () => {
    const { world } = begin();
    const owner = world.find("Widget", "w") as KubeObject;
    const labels = { [LABELS.kind]: "Widget", [LABELS.name]: "w" };
    const state = (data: Record<string, string>) =>
      world.context.execute(owner, { actions: [apply(configMap("c", data, labels), "state")] });
    expect(await state({ a: "1", b: "2" })).toEqual({ written: 1 });
    expect(world.find("ConfigMap", "c")?.metadata.annotations?.[ANNOTATIONS.appliedHash]).toBeDefined();
    expect(await state({ a: "1", b: "2" })).toEqual({ written: 0 });
    expect(await state({ a: "1" })).toEqual({ written: 1 });
    expect(world.find("ConfigMap", "c")?.["data"]).toEqual({ a: "1" });
  });

  test("a status is ours, whoever writes into it", async () => {
    const cast = begin();
    await toRest(cast);
    const before = cast.world.find("Widget", "w")?.["status"];
    cast.world.edit("Widget", "w", (object) => ({
      ...object,
      status: { ...(object["status"] as object), observedGeneration: 77, theirs: true },
    }));
    expect(await reconcileOnce(cast)).toEqual(["status"]);
    expect(cast.world.find("Widget", "w")?.["status"]).toEqual({ ...(before as object), theirs: true });
  });
});

test("an object of the wanted name that is not ours is left alone and named, and its end is the end of the conflict", async () => {
  const cast = begin();
  cast.world.put(configMap("w", { theirs: "yes" }));
  expect(await failureOf(cast)).toMatchObject({ code: "NAME_CONFLICT" });
  expect(dataOf(cast)).toEqual({ theirs: "yes" });
  expect(conditionOf(cast, "Ready")?.message).toContain('ConfigMap "w" exists and is not ours');
  cast.world.edit("ConfigMap", "w", () => undefined);
  await toRest(cast);
  expect(conditionOf(cast, "Ready")).toMatchObject({ status: "True" });
});

describe("the world", () => {
  test("counts generations and versions, and says who deleted what when", async () => {
    const { world } = begin();
    const made = world.find("Widget", "w");
    expect(made?.metadata).toMatchObject({ generation: 1, creationTimestamp: "2025-01-01T00:00:00Z" });
    const revision = world.revision();
    world.edit("Widget", "w", (object) => ({ ...object, status: { seen: 1 } }));
    expect(world.find("Widget", "w")?.metadata.generation).toBe(1);
    world.edit("Widget", "w", (object) => ({ ...object, spec: { size: 3 } }));
    expect(world.find("Widget", "w")?.metadata).toMatchObject({ generation: 2, uid: made?.metadata.uid });
    expect(world.revision()).toBe(revision + 2);
    world.edit("Widget", "w", ({ metadata, ...object }) => ({
      ...object,
      metadata: { ...metadata, finalizers: ["x/y"] },
    }));
    world.markDeleted("Widget", "w");
    expect(world.find("Widget", "w")?.metadata.deletionTimestamp).toBe("2025-01-01T00:00:00Z");
    world.edit("Widget", "w", ({ metadata: { finalizers: _, ...metadata }, ...object }) => ({ ...object, metadata }));
    expect(world.find("Widget", "w")).toBeUndefined();
  });

  test("hands out frozen objects: who changes what he read changes nothing", () => {
    const { world } = begin();
    const read = world.cache.get(WIDGET, "default", "w");
    expect(() => Object.assign(read?.spec ?? {}, { size: 9 })).toThrow(TypeError);
  });

  test("keeps what somebody else has to end, marked, until he ends it", async () => {
    const world = createMemoryWorld({ namespace: "default", lingering: ["ConfigMap"] });
    const cast = { ...begin(), world, controller: createWidgetOperator() };
    world.put(widget("w"));
    await toRest(cast);
    world.markDeleted("Widget", "w");
    await reconcileOnce(cast);
    expect(world.find("ConfigMap", "w")?.metadata.deletionTimestamp).toBe("2025-01-01T00:00:00Z");
    world.edit("ConfigMap", "w", () => undefined);
    expect(world.all("ConfigMap")).toEqual([]);
  });

  test("shows nothing of a kind that is not served", () => {
    const { world } = begin();
    const shown = () => [
      world.cache.availability(WIDGET, "default"),
      world.cache.get(WIDGET, "default", "w")?.metadata.name,
      world.cache.list(WIDGET, "default").length,
    ];
    world.setAvailability("Widget", "missing");
    expect(shown()).toEqual(["missing", undefined, 0]);
    world.setAvailability("Widget", "served");
    expect(shown()).toEqual(["served", "w", 1]);
  });

  test("lets a step of a plan fail, once or until it is healed", async () => {
    const cast = begin();
    const refusal = new OperatorError("KUBE_FORBIDDEN", "no");
    cast.world.fail("ConfigMap", "w", refusal, "once");
    expect(await failureOf(cast)).toBe(refusal);
    expect(await failureOf(cast)).toBeUndefined();
    cast.world.fail("ConfigMap", "w", refusal);
    expect(await failureOf(cast)).toBe(refusal);
    expect(await failureOf(cast)).toBe(refusal);
    cast.world.fail("ConfigMap", "w", undefined);
    expect(await failureOf(cast)).toBeUndefined();
  });
});
