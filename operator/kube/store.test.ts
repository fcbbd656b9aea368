import { describe, expect, it } from "@jest/globals";
import { LABELS } from "../../crds/group.ts";
import { prng } from "../../lib/core/prng.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { createStore } from "./store.ts";

// Goal: an index answers what a scan would answer, whenever it was asked for and whatever happened before.

const object = (name: string, labels: Record<string, string> = {}, namespace = "ns"): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace, labels },
});
const names = (objects: readonly KubeObject[]): string[] =>
  objects.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
const byColours = ({ metadata }: KubeObject): string[] => metadata.labels?.["colours"]?.split("-") ?? [];

describe("an index", () => {
  it("finds objects of all namespaces under each of their keys, in order", () => {
    const store = createStore();
    const index = store.index(byColours);
    store.put(object("b", { colours: "red-blue" }));
    store.put(object("a", { colours: "red" }, "other"));
    store.put(object("a", { colours: "red-red" }));
    store.put(object("c"));
    expect(names(index.get("red"))).toEqual(["ns/a", "ns/b", "other/a"]);
    expect(names(index.get("blue"))).toEqual(["ns/b"]);
    expect(index.get("green")).toEqual([]);
  });

  it("follows an object that changes its keys or goes", () => {
    const store = createStore();
    const index = store.index(byColours);
    store.put(object("a", { colours: "red" }));
    store.put(object("b", { colours: "red" }));
    store.put(object("a", { colours: "blue" }));
    expect([names(index.get("red")), names(index.get("blue"))]).toEqual([["ns/b"], ["ns/a"]]);
    store.remove("ns", "b");
    expect(index.get("red")).toEqual([]);
  });

  it("is one for one function, and knows what was there before it", () => {
    const store = createStore();
    store.put(object("a", { colours: "red" }));
    const index = store.index(byColours);
    expect(store.index(byColours)).toBe(index);
    expect(names(index.get("red"))).toEqual(["ns/a"]);
  });
});

it("answers like a scan, in random traffic", () => {
  const seed = 7_131;
  const random = prng(seed);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
  const store = createStore();
  const index = store.index(byColours);
  for (let step = 0; step < 3_000; step += 1) {
    const [name, namespace] = [`o${pick([1, 2, 3, 4, 5, 6])}`, pick(["x", "y"])];
    if (random() < 0.3) store.remove(namespace, name);
    else {
      const labels = { colours: pick(["red", "blue", "red-blue", "red-red"]), [LABELS.name]: pick(["p", "q"]) };
      store.put(object(name, random() < 0.2 ? {} : labels, namespace));
    }
    // The index over a label begins in the middle.
    if (step % 7 !== 0 || step < 500) continue;
    const all = [...store.all()].map((one) => one).sort((a, b) => (names([a]).join() < names([b]).join() ? -1 : 1));
    const scan = (match: (one: KubeObject) => boolean): string[] => names(all.filter(match));
    expect({ seed, step, found: names(index.get("red")) }).toEqual({
      seed,
      step,
      found: scan((one) => byColours(one).includes("red")),
    });
    expect({ seed, step, found: names(store.list("x", { [LABELS.name]: "p" })) }).toEqual({
      seed,
      step,
      found: scan(({ metadata }) => metadata.namespace === "x" && metadata.labels?.[LABELS.name] === "p"),
    });
    expect(store.size()).toBe(all.length);
  }
});
