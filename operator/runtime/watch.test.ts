import { describe, expect, it } from "@jest/globals";
import type { KubeObject } from "../../lib/kube/types.ts";
import { configMap, WIDGET, widget } from "../../testkit/widget.ts";
import type { CacheSpec, CacheView } from "../kube/cache.ts";
import type { ObjectChange } from "../kube/informer.ts";
import { labelKeys } from "./mapping.ts";
import { generationChanged } from "./predicates.ts";
import type { Controller, Watch } from "./types.ts";
import { connectWatches } from "./watch.ts";

// Goal: every change wakes whom it concerns, once and with its priority; an unreadable object harms nobody else.

const CONFIG_MAP = { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps", namespaced: true };

function connect(change: Partial<Controller> = {}) {
  const added: string[] = [];
  const panics: string[] = [];
  const specs: CacheSpec[] = [];
  const listeners: ((change: ObjectChange<KubeObject>) => void)[] = [];
  const view: CacheView = {
    byIndex: () => [],
    get: () => undefined,
    list: () => [],
    all: function* () {},
    include: (spec, listener) => {
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
    queue: { add: ({ name }, how) => void added.push(`${name} ${how?.priority}`) },
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
  return { tell, panics, specs };
}

describe("a change", () => {
  it("of the kind itself wakes its key; the first list waits for what is live", () => {
    const { tell } = connect();
    expect(tell(0, undefined, widget("a"), true)).toEqual(["a -100"]);
    expect(tell(0, undefined, widget("a"))).toEqual(["a 0"]);
    expect(tell(0, widget("a"), widget("a", { size: 2 }))).toEqual(["a 0"]);
    expect(tell(0, widget("a"), undefined)).toEqual(["a 0"]);
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
    expect(tell(0, at(1), at(2))).toEqual(["a 0"]);
    expect(tell(0, at(1), undefined)).toEqual(["a 0"]);
  });

  it("of one object into another of its name always counts: a list shows an end and a beginning as one update", () => {
    const { tell } = connect({ changed: generationChanged });
    const at = (uid: string): KubeObject => widget("a", {}, { uid, generation: 1 });
    expect(tell(0, at("old"), at("old"))).toEqual([]);
    expect(tell(0, at("old"), at("new"))).toEqual(["a 0"]);
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
