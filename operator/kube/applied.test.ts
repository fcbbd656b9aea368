import { describe, expect, it } from "@jest/globals";
import { ANNOTATIONS, LABELS } from "../../crds/group.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import type { ObjectRef } from "../../lib/kube/paths.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { widget } from "../../testkit/widget.ts";
import { createApplier } from "./apply.ts";

// Goal: what the server writes in a form of its own is sent once for as long as its object lives, however many there are
// and however long nobody asked; what is gone is remembered no longer.

const { ConfigMap } = RESOURCES;
const never = new AbortController().signal;
const OWNER = widget("w");

function wanted(name: string): KubeObject {
  const labels = { [LABELS.kind]: OWNER.kind, [LABELS.name]: OWNER.metadata.name };
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: "default", name, labels },
    data: { a: "AS SENT" },
  };
}

/** An applier over a server that writes a field in lower case, whatever is sent. */
function open({ isWatched }: { readonly isWatched: boolean }) {
  const clock = createManualClock();
  const server = new Map<string, KubeObject>();
  const requests: string[] = [];
  const find = (name: string): KubeObject | undefined => server.get(name);
  const applier = createApplier({
    client: {
      apply: async <T extends KubeObject>(_type: ResourceType<T>, object: KubeObject): Promise<T> => {
        const { name } = object.metadata;
        requests.push(`PATCH ${name}`);
        const uid = `uid of ${name}`;
        const kept = { ...object, metadata: { ...object.metadata, uid, resourceVersion: "2" }, data: { a: "as sent" } };
        server.set(name, kept);
        return kept as unknown as T;
      },
      find: async <T extends KubeObject>(_type: ResourceType<T>, { name }: ObjectRef) => find(name) as T | undefined,
      create: () => Promise.reject(new Error("not asked for")),
      patch: () => Promise.reject(new Error("not asked for")),
      delete: () => Promise.reject(new Error("not asked for")),
    },
    cache: { overlay: () => undefined, overlayDeleted: () => undefined },
    view: { get: (_type, _namespace, name) => (isWatched ? (find(name) as never) : undefined) },
    isWatched: () => isWatched,
    typeOf: () => ConfigMap,
    fence: () => undefined,
    clock,
  });
  return { server, requests, clock, apply: (name: string) => applier.apply(OWNER, wanted(name), { signal: never }) };
}

describe.each([
  ["that is watched", { isWatched: true }],
  ["that is not watched", { isWatched: false }],
])("objects of a kind %s", (_name, how) => {
  it("are sent once, among 12,000 of them", async () => {
    const { requests, apply, clock } = open(how);
    const names = Array.from({ length: 12_000 }, (_, index) => `a${index}`);
    for (const name of names) await apply(name);
    await clock.advance(12 * 3_600_000);
    await apply("new");
    expect(requests).toHaveLength(12_001);
    for (const name of [...names, "new"]) expect(await apply(name)).toBe("unchanged");
    expect(requests).toHaveLength(12_001);
  });
});

it("forgets what nobody asked for in a day, where no memory tells what is gone", async () => {
  const { requests, apply, clock } = open({ isWatched: false });
  await apply("forgotten");
  await clock.advance(13 * 3_600_000);
  await apply("used");
  await clock.advance(13 * 3_600_000);
  await apply("used");
  for (let index = 0; index < 1_000; index += 1) await apply(`a${index}`);
  requests.length = 0;
  for (const name of ["forgotten", "used"]) await apply(name);
  expect(requests).toEqual(["PATCH forgotten"]);
});

it("forgets objects that are gone", async () => {
  const { server, requests, apply } = open({ isWatched: true });
  const first = ["gone", "there"];
  for (const name of first) await apply(name);
  const back = server.get("gone") as KubeObject;
  server.delete("gone");
  for (let index = 0; index < 2_000; index += 1) await apply(`a${index}`);
  // Back under its uid, which no server does: the only way to ask what is remembered.
  server.set("gone", back);
  requests.length = 0;
  for (const name of first) await apply(name);
  expect(requests).toEqual(["PATCH gone"]);
  expect(server.get("gone")?.metadata.annotations?.[ANNOTATIONS.appliedHash]).toBeDefined();
});
