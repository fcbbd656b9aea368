import { describe, expect, it } from "@jest/globals";
import type { KubeObject } from "../../lib/kube/types.ts";
import { widget } from "../../testkit/widget.ts";
import {
  all,
  annotationsChanged,
  any,
  deletionChanged,
  factsChanged,
  generationChanged,
  labelsChanged,
  not,
  statusChanged,
} from "./predicates.ts";
import type { Predicate } from "./types.ts";

const before: KubeObject = {
  ...widget("w", { size: 1 }, { generation: 1, labels: { a: "1" }, annotations: { b: "1" }, finalizers: ["x"] }),
  status: { ready: false },
};
/** As the server sends it again. */
const copyOf = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const after = (metadata: Partial<KubeObject["metadata"]>, rest: Record<string, unknown> = {}): KubeObject => ({
  ...copyOf(before),
  ...rest,
  metadata: { ...copyOf(before.metadata), resourceVersion: "2", ...metadata },
});
const predicates: Record<string, Predicate> = {
  generation: generationChanged,
  labels: labelsChanged,
  annotations: annotationsChanged,
  status: statusChanged,
  deletion: deletionChanged,
  size: factsChanged(({ spec }: KubeObject) => spec),
};

describe("predicates", () => {
  it.each<[string, KubeObject, string[]]>([
    ["an echo", after({}), []],
    ["another spec", after({ generation: 2 }, { spec: { size: 2 } }), ["generation", "size"]],
    ["another label", after({ labels: { a: "2" } }), ["labels"]],
    ["another annotation", after({ annotations: { b: "1", c: "1" } }), ["annotations"]],
    ["another status", after({}, { status: { ready: true } }), ["status"]],
    ["a deletion", after({ deletionTimestamp: "now" }), ["deletion"]],
    ["a finalizer less", after({ finalizers: [] }), ["deletion"]],
  ])("see of %s", (_name, changed, seen) => {
    const saw = Object.keys(predicates).filter((name) => predicates[name]?.(before, changed));
    expect(saw).toEqual(seen);
  });

  it("combine", () => {
    const labelled = after({ labels: { a: "2" } });
    expect(any(generationChanged, labelsChanged)(before, labelled)).toBe(true);
    expect(all(generationChanged, labelsChanged)(before, labelled)).toBe(false);
    expect(not(labelsChanged)(before, labelled)).toBe(false);
    expect(any()(before, labelled)).toBe(false);
    expect(all()(before, labelled)).toBe(true);
  });
});
