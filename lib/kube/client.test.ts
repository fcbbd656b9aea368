import { describe, expect, it } from "@jest/globals";
import type { KubeClient } from "./client.ts";
import { openScripted } from "./testing/scripted-client.ts";
import { type ConfigMapObject, RESOURCES } from "./types.ts";

// Goal: a request is sent again exactly when that is safe and may help, always within its deadline; whatever the server
// or the network does comes out as a code of the catalogue. The transport is a list of answers.

const { ConfigMap, Secret } = RESOURCES;
const REF = { namespace: "ns", name: "a" };

const status = (code: number, reason: string, more: object = {}) => ({
  status: code,
  body: { kind: "Status", code, reason, message: `${reason} it is`, ...more },
});
const reset = { error: Object.assign(new Error("other side closed"), { code: "UND_ERR_SOCKET" }) };
const refusedConnection = { error: Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }) };
const object = { kind: "ConfigMap", metadata: { name: "a" }, data: { x: "1" }, unknown: { member: [1] } };
const ok = { status: 200, body: object };

describe("a request", () => {
  it("carries who asks, and gives back what it does not know", async () => {
    const { client, sent, records } = openScripted(ok, ok);
    expect(await client.get(ConfigMap, REF)).toEqual(object);
    await client.replace(ConfigMap, object as unknown as ConfigMapObject, { fieldManager: "m" });
    expect(sent[0]).toMatchObject({ method: "GET", path: "/api/v1/namespaces/ns/configmaps/a" });
    expect(sent[0]?.headers["user-agent"]).toBe("shieldx/1.2.3 (test)");
    expect(JSON.parse(sent[1]?.body ?? "")).toEqual(object);
    expect(sent[1]?.path).toContain("fieldManager=m");
    expect(records).toEqual([
      {
        code: "200",
        method: "GET",
        host: "server:6443",
        seconds: 0,
        priority: "normal",
        queuedSeconds: 0,
        requestId: "80000000-1",
      },
      {
        code: "200",
        method: "PUT",
        host: "server:6443",
        seconds: 0,
        priority: "normal",
        queuedSeconds: 0,
        requestId: "80000000-2",
      },
    ]);
  });

  it("builds the paths of groups, cluster-scoped kinds and subresources", async () => {
    const { client, sent } = openScripted(ok, ok, ok);
    await client.get(RESOURCES.Deployment, REF);
    await client.get(RESOURCES.CustomResourceDefinition, { name: "x.y" });
    await client.patch(RESOURCES.Job, REF, { format: "json", patch: [], subresource: "status" });
    expect(sent.map(({ path }) => path)).toEqual([
      "/apis/apps/v1/namespaces/ns/deployments/a",
      "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x.y",
      "/apis/batch/v1/namespaces/ns/jobs/a/status",
    ]);
    expect(sent[2]?.headers["content-type"]).toBe("application/json-patch+json");
  });
});

describe("retries", () => {
  it.each([
    ["GET after 503", "get", status(503, "ServiceUnavailable")],
    ["GET after a reset", "get", reset],
    ["apply after 500", "apply", status(500, "InternalError")],
    ["DELETE after a reset", "delete", reset],
    ["GET after 401, with new credentials", "get", status(401, "Unauthorized")],
    ["create after 429: the server did nothing", "create", status(429, "TooManyRequests")],
    ["create that did not reach a server", "create", refusedConnection],
  ] as const)("%s", async (_name, method, failure) => {
    const { client, sent, clock, forgotten } = openScripted(failure, ok);
    const answer = call(client, method);
    await clock.advance(1_000);
    await answer;
    expect(sent).toHaveLength(2);
    expect(forgotten()).toBe(_name.includes("401") ? 1 : 0);
  });

  it.each([
    ["create after a reset: it may have been done", "create", reset, "KUBE_UNREACHABLE"],
    ["create after 500", "create", status(500, "InternalError"), "KUBE_FAILED"],
    ["replace after a reset", "replace", reset, "KUBE_UNREACHABLE"],
    ["GET after 404", "get", status(404, "NotFound"), "KUBE_NOT_FOUND"],
    ["GET after 403", "get", status(403, "Forbidden"), "KUBE_FORBIDDEN"],
    ["apply after 409", "apply", status(409, "Conflict"), "KUBE_CONFLICT"],
    ["apply after 422", "apply", status(422, "Invalid"), "KUBE_INVALID"],
  ] as const)("not: %s", async (_name, method, failure, code) => {
    const { client, sent } = openScripted(failure);
    await expect(call(client, method)).rejects.toMatchObject({ code });
    expect(sent).toHaveLength(1);
  });

  it("end after three, with growing waits", async () => {
    const times: number[] = [];
    const failure = status(503, "ServiceUnavailable");
    const { client, sent, records, clock } = openScripted(failure, failure, failure, failure);
    const answer = client.get(ConfigMap, REF);
    const failed = expect(answer).rejects.toMatchObject({ code: "KUBE_FAILED", status: 500 });
    for (let count = 1; count <= 4; count += 1) {
      while (sent.length < count) await clock.advance(sent.length === 0 ? 0 : 10);
      times.push(clock.monotonic());
    }
    await failed;
    expect(times).toEqual([0, 250, 750, 1750]);
    expect(records.map(({ code }) => code)).toEqual(["503", "503", "503", "503"]);
  });

  it("wait as long as the server asks", async () => {
    const { client, sent, clock } = openScripted(
      { ...status(429, "TooManyRequests"), headers: { "retry-after": "7" } },
      ok,
    );
    const answer = client.get(ConfigMap, REF);
    await clock.advance(6_999);
    expect(sent).toHaveLength(1);
    await clock.advance(1);
    await answer;
    expect(sent).toHaveLength(2);
  });

  it("leave it to the caller when the server asks for longer than the deadline", async () => {
    const { client, sent } = openScripted({ ...status(429, "TooManyRequests"), headers: { "retry-after": "60" } });
    await expect(client.get(ConfigMap, REF)).rejects.toMatchObject({ code: "KUBE_THROTTLED", retryAfterSeconds: 60 });
    expect(sent).toHaveLength(1);
  });

  it("do not happen for callers with a schedule of their own", async () => {
    const { client, sent } = openScripted(reset);
    await expect(client.get(ConfigMap, REF, { retries: 0 })).rejects.toMatchObject({ code: "KUBE_UNREACHABLE" });
    expect(sent).toHaveLength(1);
  });
});

describe("limits", () => {
  it("end a request at its deadline", async () => {
    const { client } = openScripted({ hang: true });
    await expect(client.get(ConfigMap, REF, { timeoutMs: 20 })).rejects.toMatchObject({
      code: "KUBE_UNREACHABLE",
      message: "GET /api/v1/namespaces/ns/configmaps/a: no answer within 0.02 s",
    });
  });

  it("end a request with its caller", async () => {
    const { client } = openScripted({ hang: true });
    const stop = new AbortController();
    const answer = client.get(ConfigMap, REF, { signal: stop.signal });
    stop.abort();
    await expect(answer).rejects.toMatchObject({ code: "ABORTED" });
    await expect(client.get(ConfigMap, REF, { signal: stop.signal })).rejects.toMatchObject({ code: "ABORTED" });
  });
});

describe("strange answers", () => {
  it("that are not JSON are failures", async () => {
    const { client } = openScripted({ status: 200, body: "<html>hello</html>" });
    await expect(client.get(ConfigMap, REF, { retries: 0 })).rejects.toMatchObject({ code: "KUBE_FAILED" });
  });

  it("of proxies keep their words", async () => {
    const { client } = openScripted({ status: 403, body: "blocked by the gateway" });
    await expect(client.get(ConfigMap, REF)).rejects.toMatchObject({
      code: "KUBE_FORBIDDEN",
      message: expect.stringContaining("blocked by the gateway"),
    });
  });

  it("about Secrets never repeat the Secret", async () => {
    const failure = status(422, "Invalid", {
      message: 'Secret "a" is invalid: data[password]: Invalid value: "hunter2"',
      details: {
        causes: [{ reason: "FieldValueInvalid", field: "data[password]", message: 'Invalid value: "hunter2"' }],
      },
    });
    const { client } = openScripted(failure);
    const error = await client.get(Secret, REF).catch((thrown: unknown) => thrown);
    expect((error as Error).message).toBe("GET /api/v1/namespaces/ns/secrets/a: Invalid data[password]");
  });
});

describe("a watch", () => {
  const event = (type: string, version: string) =>
    `${JSON.stringify({ type, object: { metadata: { resourceVersion: version } } })}\n`;
  const read = async (client: KubeClient): Promise<string[]> => {
    const seen: string[] = [];
    for await (const { type, object } of client.watch(ConfigMap, { namespace: "ns", resourceVersion: "5" })) {
      seen.push(`${type} ${object.metadata.resourceVersion}`);
    }
    return seen;
  };

  it("puts lines together however they are cut", async () => {
    const text = `${event("ADDED", "6")}${event("MODIFIED", "7")}\n${event("BOOKMARK", "8")}`;
    const { client, sent } = openScripted({ stream: text.match(/.{1,7}|\n/gs) ?? [] });
    expect(await read(client)).toEqual(["ADDED 6", "MODIFIED 7", "BOOKMARK 8"]);
    const query = new URLSearchParams(sent[0]?.path.split("?")[1]);
    expect(Object.fromEntries(query)).toEqual({
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: "5",
      timeoutSeconds: "270",
    });
    expect(sent[0]?.stream).toBe(true);
  });

  it.each([
    ["410 as an answer", status(410, "Expired"), "KUBE_GONE", undefined],
    [
      "410 as a frame",
      { stream: ['{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n'] },
      "KUBE_GONE",
      undefined,
    ],
    [
      "another error frame",
      { stream: ['{"type":"ERROR","object":{"kind":"Status","code":500}}\n'] },
      "KUBE_FAILED",
      undefined,
    ],
    ["garbage", { stream: ["<html>\n"] }, "KUBE_FAILED", "garbage"],
    ["a line that is no event", { stream: ['{"kind":"Status"}\n'] }, "KUBE_FAILED", "garbage"],
    ["an end in the middle of a line", { stream: ['{"type":"ADDED",'] }, "KUBE_UNREACHABLE", "cut"],
    ["a refusal", status(403, "Forbidden"), "KUBE_FORBIDDEN", undefined],
  ] as const)("reports %s", async (_name, answer, code, cause) => {
    const { client } = openScripted(answer);
    const error = await read(client).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code });
    expect((error as { details: Record<string, unknown> }).details["cause"]).toBe(cause);
  });

  it("reports silence", async () => {
    const { client } = openScripted({ hang: true });
    const watch = client.watch(ConfigMap, { resourceVersion: "5", inactivityMs: 20 });
    await expect(watch.next()).rejects.toMatchObject({ code: "KUBE_UNREACHABLE", details: { cause: "stalled" } });
  });
});

function call(client: KubeClient, method: "get" | "apply" | "create" | "replace" | "delete"): Promise<unknown> {
  const wanted = { apiVersion: "v1", kind: "ConfigMap", metadata: { ...REF } };
  switch (method) {
    case "get":
      return client.get(ConfigMap, REF);
    case "apply":
      return client.apply(ConfigMap, wanted, { fieldManager: "m" });
    case "create":
      return client.create(ConfigMap, wanted);
    case "replace":
      return client.replace(ConfigMap, wanted);
    case "delete":
      return client.delete(ConfigMap, REF);
  }
}
