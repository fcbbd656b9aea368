import { expect, test } from "@jest/globals";
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { contentOf, digestOf, rememberSource, sourceOf } from "./rollout.sources.ts";

const secret = (data: Record<string, string>, metadata: Partial<KubeObject["metadata"]> = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: {
    name: "password",
    namespace: "shop",
    uid: "u",
    resourceVersion: "7",
    labels: { app: "web" },
    annotations: { "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"a":"czNjcjN0"}}' },
    ...metadata,
  },
  type: "Opaque",
  data,
});

test("nothing of what a Secret holds is remembered, in its annotations neither", () => {
  const remembered = rememberSource(secret({ a: "czNjcjN0" }));
  expect(JSON.stringify(remembered)).not.toContain("czNjcjN0");
  expect(remembered).toMatchObject({ kind: "Secret", metadata: { name: "password", uid: "u", resourceVersion: "7" } });
  expect(sourceOf(remembered)).toMatchObject({ name: "password", bytes: 9, type: "Opaque", isShared: false });
});

test("the digest is that of the content alone", () => {
  const digest = (object: KubeObject) => sourceOf(rememberSource(object)).digest;
  expect(digest(secret({ a: "MQ==" }))).toBe(digest(secret({ a: "MQ==" }, { uid: "v", labels: {} })));
  expect(digest(secret({ a: "MQ==" }))).toBe(digestOf(contentOf(secret({ a: "MQ==" }))));
  expect(digest(secret({ a: "MQ==" }))).not.toBe(digest(secret({ a: "Mg==" })));
  const { data, ...binary } = secret({ a: "MQ==" });
  expect(digest({ ...binary, binaryData: data })).not.toBe(digest(secret({ a: "MQ==" })));
});

test("its owner can have it left out", () => {
  const shared = secret({}, { annotations: { "shieldx.dev/configuration": "Shared" } });
  expect(sourceOf(rememberSource(shared)).isShared).toBe(true);
});

test("only the key of the Rollout is kept whole", () => {
  const labels = { [LABELS.component]: COMPONENTS.configurationKey };
  expect(contentOf(rememberSource(secret({ key: "azM=" }, { labels })))).toEqual({ data: { key: "azM=" } });
  expect(contentOf(rememberSource(secret({ key: "azM=" })))).toEqual({});
});
