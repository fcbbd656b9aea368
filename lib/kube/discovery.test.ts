import { describe, expect, it } from "@jest/globals";
import { openScripted } from "./testing/scripted-client.ts";

// Goal: both forms of discovery give the same answers; a group whose server is down hides nothing but itself.

const ok = (body: unknown) => ({ status: 200, body });
const widgets = (version: string) => ({
  version,
  resources: [
    {
      resource: "widgets",
      responseKind: { kind: "Widget" },
      scope: "Namespaced",
      verbs: ["get", "watch"],
      subresources: [{ subresource: "status" }],
    },
  ],
});
const widget = { group: "example.com", kind: "Widget" };

describe("aggregated discovery", () => {
  const core = ok({ kind: "APIGroupDiscoveryList", items: [] });
  const groups = ok({
    kind: "APIGroupDiscoveryList",
    items: [{ metadata: { name: "example.com" }, versions: [widgets("v2"), widgets("v1")] }],
  });

  it("answers in two requests", async () => {
    const { client, sent } = openScripted(core, groups);
    expect(await client.servedKind(widget)).toEqual({
      ...widget,
      version: "v2",
      apiVersion: `${widget.group}/v2`,
      plural: "widgets",
      namespaced: true,
      verbs: ["get", "watch"],
      subresources: ["status"],
    });
    expect(sent.map(({ path }) => path)).toEqual(["/api", "/apis"]);
    expect(sent[0]?.headers["accept"]).toContain("APIGroupDiscoveryList");
  });

  it("finds an older version, and names those that are there", async () => {
    const { client } = openScripted(core, groups, core, groups, core, groups);
    expect((await client.servedKind({ ...widget, version: "v1" })).version).toBe("v1");
    await expect(client.servedKind({ ...widget, version: "v3" })).rejects.toMatchObject({
      code: "KUBE_NOT_SERVED",
      message: "the server does not know Widget of example.com in version v3, but v2, v1",
    });
    await expect(client.servedKind({ group: "", kind: "Gadget" })).rejects.toMatchObject({
      code: "KUBE_NOT_SERVED",
      message: "the server does not know Gadget",
    });
  });
});

describe("the old form", () => {
  const resources = {
    kind: "APIResourceList",
    resources: [
      { name: "widgets", kind: "Widget", namespaced: true, verbs: ["get", "watch"] },
      { name: "widgets/status", kind: "Widget", namespaced: true, verbs: ["patch"] },
    ],
  };
  const core = ok({ kind: "APIVersions", versions: ["v1"] });
  const groups = ok({
    kind: "APIGroupList",
    groups: [
      {
        name: "example.com",
        versions: [{ version: "v1" }, { version: "v2" }],
        preferredVersion: { version: "v2" },
      },
    ],
  });

  it("gives the same, the preferred version first", async () => {
    const { client, sent } = openScripted(core, groups, ok({ resources: [] }), ok(resources), ok(resources));
    expect(await client.servedKind(widget)).toEqual({
      ...widget,
      version: "v2",
      apiVersion: `${widget.group}/v2`,
      plural: "widgets",
      namespaced: true,
      verbs: ["get", "watch"],
      subresources: ["status"],
    });
    expect(sent.map(({ path }) => path).sort()).toEqual([
      "/api",
      "/api/v1",
      "/apis",
      "/apis/example.com/v1",
      "/apis/example.com/v2",
    ]);
  });

  it("leaves out a group that is down", async () => {
    const gone = { status: 404, body: { reason: "NotFound" } };
    const { client } = openScripted(core, groups, ok(resources), gone, gone);
    expect((await client.servedKinds()).map(({ group }) => group)).toEqual([""]);
  });
});

it("fails as the server does", async () => {
  const forbidden = { status: 403, body: { reason: "Forbidden" } };
  const { client } = openScripted(forbidden, forbidden);
  await expect(client.servedKinds()).rejects.toMatchObject({ code: "KUBE_FORBIDDEN" });
});
