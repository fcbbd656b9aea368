import { describe, expect, it } from "@jest/globals";
import type { KubeObject, OwnerReference, ResourceType } from "../../lib/kube/types.ts";
import { configMap, WIDGET, type Widget, widget } from "../../testkit/widget.ts";
import { fieldKeys, labelKeys, owned, ownerKeys, ownKey, references, referringKeys } from "./mapping.ts";
import type { CacheReader } from "./types.ts";

const widgets = [
  widget("a", { text: "shared" }),
  widget("b", { text: "shared" }),
  widget("c", { text: "other" }),
  widget("d", {}),
];
const INDEXES = { text: references<Widget>(({ spec }) => spec?.text) };
const cache: CacheReader = {
  get: () => undefined,
  list: () => [],
  availability: () => "served",
  byIndex: <T extends KubeObject>(_type: ResourceType<T>, index: string, key: string) =>
    (index === "text" ? widgets.filter((it) => INDEXES.text(it).includes(key)) : []) as unknown as T[],
};
const names = (keys: readonly { namespace: string; name: string }[]): string[] =>
  keys.map(({ namespace, name }) => `${namespace}/${name}`);

describe("keys", () => {
  it("are the object's own", () => {
    expect(names(ownKey(widget("w"), cache))).toEqual(["default/w"]);
  });

  it("come from the controller reference to the kind, of whatever version", () => {
    const reference = (change: Partial<OwnerReference>): OwnerReference => ({
      apiVersion: "test.shieldx.dev/v0",
      kind: "Widget",
      name: "w",
      uid: "1",
      controller: true,
      ...change,
    });
    const of = (...ownerReferences: OwnerReference[]): string[] => {
      const child = configMap("child", {});
      return names(ownerKeys(WIDGET)({ ...child, metadata: { ...child.metadata, ownerReferences } }, cache));
    };
    expect(of(reference({}))).toEqual(["default/w"]);
    expect(of(reference({ controller: false }))).toEqual([]);
    expect(of(reference({ kind: "Gadget" }))).toEqual([]);
    expect(of(reference({ apiVersion: "v1" }))).toEqual([]);
    expect(names(ownerKeys(WIDGET)(configMap("orphan", {}), cache))).toEqual([]);
  });

  it("come from a label or a field", () => {
    expect(names(labelKeys("owner")(configMap("x", {}, { owner: "w" }), cache))).toEqual(["default/w"]);
    expect(names(labelKeys("owner")(configMap("x", {}), cache))).toEqual([]);
    expect(names(fieldKeys<Widget>(({ spec }) => spec?.text)(widget("x", { text: "w" }), cache))).toEqual([
      "default/w",
    ]);
  });

  it("are found among those that refer to the object", () => {
    const referring = referringKeys(WIDGET, "text");
    expect(names(referring(configMap("shared", {}), cache))).toEqual(["default/a", "default/b"]);
    expect(names(referring(configMap("nobody", {}), cache))).toEqual([]);
    const labelled = referringKeys(WIDGET, "text", ({ metadata }) => metadata.labels?.["uses"]);
    expect(names(labelled(configMap("x", {}, { uses: "other" }), cache))).toEqual(["default/c"]);
    expect(names(labelled(configMap("x", {}), cache))).toEqual([]);
  });
});

it("owned kinds are watched by our labels, narrowed to a component where asked", () => {
  const ours = owned(WIDGET);
  expect(ours(WIDGET).labelSelector).toBe("shieldx.dev/kind=Widget");
  expect(ours(WIDGET).changed).toBeUndefined();
  const narrow = ours(WIDGET, { component: "job", changed: () => false });
  expect(narrow.labelSelector).toBe("shieldx.dev/kind=Widget,shieldx.dev/component=job");
  expect(narrow.changed?.(widget("a"), widget("b"))).toBe(false);
});
