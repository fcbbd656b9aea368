import { describe, expect, it } from "@jest/globals";
import { toOperatorError } from "../core/errors.ts";
import { type Answer, openScripted } from "./testing/scripted-client.ts";
import { RESOURCES } from "./types.ts";

// Goal: a list whose pages cannot be read to their end is read whole, once, and never mixed with what it began with.

const { ConfigMap } = RESOURCES;

const page = (version: number, names: readonly string[], next?: string): Answer => ({
  status: 200,
  body: {
    metadata: { resourceVersion: String(version), ...(next === undefined ? {} : { continue: next }) },
    items: names.map((name) => ({ metadata: { name, namespace: "ns", resourceVersion: "1" } })),
  },
});
const expired = (next?: string): Answer => ({
  status: 410,
  body: {
    kind: "Status",
    code: 410,
    reason: "Expired",
    metadata: { ...(next === undefined ? {} : { continue: next }) },
  },
});
const bad = (status: number): Answer => ({ status, body: { message: "continue key is not valid" } });

async function list(...answers: Answer[]) {
  const { client, sent } = openScripted(...answers);
  const outcome = await client.list(ConfigMap, { labelSelector: "a=b", pageSize: 2 }).then(
    ({ items, resourceVersion }) => ({ names: items.map(({ metadata }) => metadata.name), resourceVersion }),
    (error: unknown) => toOperatorError(error).code,
  );
  return { outcome, queries: sent.map(({ path }) => decodeURIComponent(path.split("?")[1] ?? "")) };
}

describe("a list in pages", () => {
  it.each([
    ["that expires", expired()],
    ["that expires with another token for an inconsistent rest", expired("fresh")],
    ["whose token was garbled on the way", bad(400)],
    ["whose token is too long for a proxy", bad(414)],
  ])("%s is read whole and without a limit, at one version", async (_name, answer) => {
    const { outcome, queries } = await list(page(5, ["a", "b"], "next"), answer, page(9, ["b", "c", "d"]));
    expect(outcome).toEqual({ names: ["b", "c", "d"], resourceVersion: "9" });
    expect(queries).toEqual([
      "labelSelector=a=b&limit=2",
      "labelSelector=a=b&limit=2&continue=next",
      "labelSelector=a=b",
    ]);
  });

  it("is begun anew once: a server that pages all the same and loses that too has failed", async () => {
    const { outcome, queries } = await list(page(5, ["a"], "x"), expired(), page(9, ["a"], "y"), expired());
    expect(outcome).toBe("KUBE_GONE");
    expect(queries).toHaveLength(4);
  });

  it("goes on with the pages of a server that pages all the same", async () => {
    const { outcome } = await list(page(5, ["a"], "x"), expired(), page(9, ["b"], "y"), page(9, ["c"]));
    expect(outcome).toEqual({ names: ["b", "c"], resourceVersion: "9" });
  });

  it.each([
    [410, "KUBE_GONE"],
    [400, "KUBE_INVALID"],
  ])("whose first page is refused (%s) has failed", async (status, code) => {
    expect(await list({ status })).toMatchObject({ outcome: code, queries: [expect.any(String)] });
  });

  it.each([
    [403, "KUBE_FORBIDDEN"],
    [404, "KUBE_NOT_FOUND"],
  ])("whose kind or right is taken away between two pages (%s) has failed", async (status, code) => {
    expect((await list(page(5, ["a"], "x"), { status })).outcome).toBe(code);
  });
});
