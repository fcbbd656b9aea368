import { describe, expect, it } from "@jest/globals";
import { type KubeObject, resourceType } from "../../lib/kube/types.ts";
import { configMap, WIDGET, widget } from "../../testkit/widget.ts";
import type { CacheSpec, CacheView } from "../kube/cache.ts";
import type { ObjectChange } from "../kube/informer.ts";
import { labelKeys, ownKey } from "./mapping.ts";
import { generationChanged } from "./predicates.ts";
import type { Controller, Watch } from "./types.ts";
import { connectWatches } from "./watch.ts";

// Goal: every change wakes whom it concerns, once and with its priority; an unreadable object harms nobody else.

const CONFIG_MAP = resourceType("v1", ["ConfigMap", "configmaps"]);

function connect(change: Partial<Controller> = {}) {
  const added: string[] = [];
  const panics: string[] = [];
  const specs: CacheSpec[] = [];
  const listeners: ((change: ObjectChange<KubeObject>) => void)[] = [];
  const availability: ((() => void) | undefined)[] = [];
  const view: CacheView = {
    byIndex: () => [],
    availability: () => "served",
    get: () => undefined,
    list: () => [],
    all: function* <T extends KubeObject>() {
      yield widget("a") as KubeObject as T;
      yield widget("b") as KubeObject as T;
    },
    include: (spec, listener, onAvailability) => {
      availability.push(onAvailability);
      specs.push(spec as unknown as CacheSpec);
      listeners.push(listener as unknown as (change: ObjectChange<KubeObject>) => void);
    },
  };
  const controller: Controller = {
    name: "widget",
    resource: WIDGET,
    watches: [],
    concurrency: 1,
    reconcile: async () => ({}),
    ...change,
  };
  connectWatches(controller, {
    view,
    queue: {
      add: ({ name }, how) => void added.push(`${name} ${how?.priority}${how?.isNewInput === true ? " new" : ""}`),
    },
    onPanic: (kind, error) => void panics.push(`${kind}: ${(error as Error).message}`),
  });
  const tell = (
    at: number,
    before: KubeObject | undefined,
    after: KubeObject | undefined,
    initial = false,
  ): string[] => {
    listeners[at]?.({ before, after, initial });
    return added.splice(0);
  };
  const comesOrGoes = (at: number): string[] => {
    availability[at]?.();
    return added.splice(0);
  };
  return { tell, comesOrGoes, panics, specs };
}

const PORTAL = resourceType("x.dev/v1", ["Portal", "portals"], false);

describe("an optional kind", () => {
  it("that comes or goes has all keys looked at again", () => {
    const { comesOrGoes, specs } = connect({ watches: [{ resource: CONFIG_MAP, keys: () => [], optional: true }] });
    expect(specs.map(({ optional }) => optional)).toEqual([undefined, true]);
    expect(comesOrGoes(1)).toEqual(["a -50", "b -50"]);
  });

  it("is every kind that lies in no namespace: an operator of a few namespaces may not read it", () => {
    expect(() => connect({ watches: [{ resource: PORTAL, keys: () => [] }] })).toThrow("lies in no namespace");
    expect(connect({ watches: [{ resource: PORTAL, keys: () => [], optional: true }] }).specs).toHaveLength(2);
  });
});

describe("a change", () => {
  it("of the kind itself wakes its key; the first list waits for what is live", () => {
    const { tell } = connect();
    expect(tell(0, undefined, widget("a"), true)).toEqual(["a -100"]);
    expect(tell(0, undefined, widget("a"))).toEqual(["a 0 new"]);
    expect(tell(0, widget("a"), { ...widget("a"), status: { ready: true } })).toEqual(["a 0"]);
    expect(tell(0, widget("a"), undefined)).toEqual(["a 0 new"]);
  });

  it("of what the object itself asks for is new input; its status, its finalizers and other objects are none", () => {
    const { tell } = connect({ watches: [{ resource: CONFIG_MAP, keys: ownKey }] });
    const at = (metadata: object, body: object = {}): KubeObject => ({
      ...widget("a", {}, { generation: 1, uid: "u", ...metadata }),
      ...body,
    });
    const edits: KubeObject[] = [
      at({ generation: 2 }),
      at({ labels: { a: "1" } }),
      at({ annotations: { a: "1" } }),
      at({ deletionTimestamp: "2026-01-01T00:00:00Z" }),
      at({ uid: "v" }),
    ];
    for (const edit of edits) expect(tell(0, at({}), edit)).toEqual(["a 0 new"]);
    for (const other of [at({}, { status: { a: 1 } }), at({ finalizers: ["f"] }), at({ resourceVersion: "9" })]) {
      expect(tell(0, at({}), other)).toEqual(["a 0"]);
    }
    const child = (data: Record<string, string>): KubeObject => configMap("a", data, data);
    expect(tell(1, child({ a: "1" }), child({ a: "2" }))).toEqual(["a 0"]);
    expect(tell(1, undefined, child({}))).toEqual(["a 0"]);
    expect(tell(1, child({}), undefined)).toEqual(["a 0"]);
  });

  it("of a kind that has no generations is new input with everything but the status", () => {
    const { tell } = connect({ resource: CONFIG_MAP });
    expect(tell(0, configMap("a", { a: "1" }), configMap("a", { a: "2" }))).toEqual(["a 0 new"]);
    expect(tell(0, configMap("a", {}), { ...configMap("a", {}), status: { a: 1 } })).toEqual(["a 0"]);
  });

  it("of an owner wakes both the old and the new one", () => {
    const { tell } = connect({ watches: [{ resource: CONFIG_MAP, keys: labelKeys("owner") }] });
    const owned = (owner: string): KubeObject => configMap("child", {}, { owner });
    expect(tell(1, owned("a"), owned("b"))).toEqual(["a 0", "b 0"]);
    expect(tell(1, owned("a"), configMap("child", {}))).toEqual(["a 0"]);
  });

  it("that concerns nobody wakes nobody; an end always does", () => {
    const { tell } = connect({ changed: generationChanged });
    const at = (generation: number): KubeObject => widget("a", {}, { generation });
    expect(tell(0, at(1), at(1))).toEqual([]);
    expect(tell(0, at(1), at(2))).toEqual(["a 0 new"]);
    expect(tell(0, at(1), undefined)).toEqual(["a 0 new"]);
  });

  it("of one object into another of its name always counts: a list shows an end and a beginning as one update", () => {
    const { tell } = connect({ changed: generationChanged });
    const at = (uid: string): KubeObject => widget("a", {}, { uid, generation: 1 });
    expect(tell(0, at("old"), at("old"))).toEqual([]);
    expect(tell(0, at("old"), at("new"))).toEqual(["a 0 new"]);
  });
});

describe("a function that throws", () => {
  const broken: Watch = {
    resource: CONFIG_MAP,
    keys: ({ metadata }) => {
      if (metadata.name === "bad") throw new TypeError("unreadable");
      return [{ namespace: "default", name: metadata.name }];
    },
  };

  it("loses its own side only, and is told", () => {
    const { tell, panics } = connect({ watches: [broken] });
    expect(tell(1, configMap("good", {}), configMap("bad", {}))).toEqual(["good 0"]);
    expect(panics).toEqual(["ConfigMap: unreadable"]);
  });

  it("counts as a change when it is the predicate", () => {
    const { tell, panics } = connect({
      changed: () => {
        throw new TypeError("cannot compare");
      },
    });
    expect(tell(0, widget("a"), widget("a"))).toEqual(["a 0"]);
    expect(panics).toEqual(["Widget: cannot compare"]);
  });
});

it("passes selector and transform to the cache", () => {
  const transform = (object: KubeObject): KubeObject => object;
  const { specs } = connect({ watches: [{ resource: CONFIG_MAP, labelSelector: "a=b", keys: () => [], transform }] });
  expect(specs).toEqual([{ type: WIDGET }, { type: CONFIG_MAP, labelSelector: "a=b", transform }]);
});
