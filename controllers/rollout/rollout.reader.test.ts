import { expect, test } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { readSources } from "./rollout.reader.ts";
import { contentOf, digestOf } from "./rollout.sources.ts";
import type { Copy } from "./rollout.template.ts";
import { configMap, secret } from "./testing/configured.ts";

const { signal } = new AbortController();

const copy = (kind: Copy["kind"], source: string, object: KubeObject): Copy => ({
  kind,
  source,
  name: `web-of-${source}`,
  digest: digestOf(contentOf(object)),
});
const COPIES = [copy("ConfigMap", "settings", configMap("red")), copy("Secret", "keys", secret("one"))];

/** @param answer what the server says to a list of one name */
function read(answer: (kind: string, fieldSelector: string | undefined) => readonly KubeObject[]) {
  const list = async (type: { readonly kind: string }, how?: { readonly fieldSelector?: string | undefined }) => ({
    items: answer(type.kind, how?.fieldSelector),
  });
  return readSources(COPIES, "shop", { live: { list } as never, log: silentLogger, signal });
}

test("each is asked for by its name, and read as it is", async () => {
  const asked: string[] = [];
  const { contents, trouble } = await read((kind, selector = "") => {
    asked.push(`${kind} ${selector}`);
    return [kind === "Secret" ? secret("one") : configMap("red")];
  });
  expect(asked).toEqual(["ConfigMap metadata.name=settings", "Secret metadata.name=keys"]);
  expect(trouble).toBeUndefined();
  expect([...contents]).toEqual([
    ["ConfigMap/web-of-settings", { data: { COLOR: "red" } }],
    ["Secret/web-of-keys", { data: { key: "b25l" } }],
  ]);
});

test.each<[string, readonly KubeObject[]]>([
  ["holds something else now", [secret("two")]],
  ["is gone", []],
])("a source that %s is not copied, and the others are", async (_, secrets) => {
  const { contents, trouble } = await read((kind) => (kind === "Secret" ? secrets : [configMap("red")]));
  expect([...contents.keys()]).toEqual(["ConfigMap/web-of-settings"]);
  expect(trouble).toBe("Secret keys is being changed");
});

test("a server that refuses is told of by its code alone", async () => {
  const { contents, trouble } = await read((kind) => {
    if (kind === "Secret") throw new OperatorError("KUBE_FORBIDDEN", "the words of the server");
    return [configMap("red")];
  });
  expect(contents.size).toBe(1);
  expect(trouble).toBe("Secret keys cannot be read: KUBE_FORBIDDEN");
});

test("a bug is not swallowed", async () => {
  const broken = read(() => {
    throw new TypeError("broken");
  });
  await expect(broken).rejects.toThrow("broken");
});
