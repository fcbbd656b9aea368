import { describe, expect, it } from "@jest/globals";
import { OperatorError } from "../core/errors.ts";
import { openScripted, openScriptedWith } from "./testing/scripted-client.ts";
import { RESOURCES } from "./types.ts";

// Goal: what surrounds an attempt - the fence, the queue, the id, the server's wish to slow down - holds for each one.

const { ConfigMap } = RESOURCES;
const REF = { namespace: "ns", name: "a" };
const wanted = { apiVersion: "v1", kind: "ConfigMap", metadata: { ...REF } };
const ok = { status: 200, body: wanted };
const busy = (seconds: number) => ({ status: 429, headers: { "retry-after": String(seconds) } });
const reset = { error: Object.assign(new Error("other side closed"), { code: "UND_ERR_SOCKET" }) };

describe("a fence", () => {
  it("is asked before each attempt, after each wait; what it throws ends the call", async () => {
    const { client, sent, clock } = openScripted(reset, ok);
    let holds = true;
    const lost = new OperatorError("LEASE_LOST", "not leading");
    const answer = client.apply(ConfigMap, wanted, {
      fieldManager: "m",
      fence: () => {
        if (!holds) throw lost;
      },
    });
    const failed = expect(answer).rejects.toBe(lost);
    await clock.advance(0);
    holds = false;
    await clock.advance(1_000);
    await failed;
    expect(sent).toHaveLength(1);
  });

  it("may throw anything, and is never taken for the network", async () => {
    const { client, sent, records } = openScripted();
    const odd = new Error("odd");
    const fence = (): void => {
      throw odd;
    };
    await expect(client.get(ConfigMap, REF, { fence })).rejects.toBe(odd);
    expect(sent).toEqual([]);
    expect(records).toEqual([]);
  });

  it("bounds the time that the server may take", async () => {
    const { client, sent } = openScripted(ok);
    await client.patch(ConfigMap, REF, { format: "merge", patch: {}, fence: () => undefined });
    expect(sent[0]?.path).toContain("timeout=5000ms");
    expect(sent[0]?.fence).toBeDefined();
  });
});

describe("the queue", () => {
  it("lets ordinary requests wait while the server asks for it, urgent ones not", async () => {
    const { client, sent, records, clock } = openScripted(busy(3), ok, ok, ok);
    const first = client.get(ConfigMap, { namespace: "ns", name: "first" });
    await clock.advance(0);
    const second = client.create(ConfigMap, wanted, { priority: "background" });
    await client.get(ConfigMap, { namespace: "ns", name: "urgent" }, { priority: "urgent" });
    await clock.advance(2_999);
    expect(sent.map(({ path }) => path.split("/").at(-1))).toEqual(["first", "urgent"]);
    await clock.advance(1);
    await Promise.all([first, second]);
    expect(sent).toHaveLength(4);
    expect(records.map(({ queuedSeconds }) => queuedSeconds)).toEqual([0, 0, expect.any(Number), expect.any(Number)]);
    expect(Math.max(...records.map(({ queuedSeconds }) => queuedSeconds))).toBe(3);
  });

  it("tells the transport which requests are urgent, and of a connection that was silent for the whole time", async () => {
    const { client, sent, records, distrusted } = openScripted({ hang: true }, { hang: true }, ok);
    const stop = new AbortController();
    const left = client.get(ConfigMap, REF, { signal: stop.signal });
    await Promise.resolve();
    stop.abort();
    await expect(left).rejects.toMatchObject({ code: "ABORTED" });
    expect(distrusted()).toBe(0);
    const silent = client.get(ConfigMap, REF, { priority: "urgent", timeoutMs: 20 });
    await expect(silent).rejects.toMatchObject({ code: "KUBE_UNREACHABLE" });
    expect(distrusted()).toBe(1);
    await client.get(ConfigMap, REF);
    expect(sent.map(({ urgent = false }) => urgent)).toEqual([false, true, false]);
    expect(records.map(({ priority }) => priority)).toEqual(["normal", "urgent", "normal"]);
    expect(sent[1]?.signal).not.toBe(sent[2]?.signal);
  });

  it("is left at the deadline", async () => {
    const { client, clock } = openScripted(busy(3));
    const first = expect(client.get(ConfigMap, REF, { retries: 0 })).rejects.toMatchObject({ code: "KUBE_THROTTLED" });
    await clock.advance(0);
    await first;
    await expect(client.get(ConfigMap, REF, { timeoutMs: 20 })).rejects.toMatchObject({ code: "KUBE_UNREACHABLE" });
  });

  it("keeps a rate when told", async () => {
    const { client, sent, clock } = openScriptedWith({ rateLimit: { qps: 1 } }, ok, ok);
    const all = [client.get(ConfigMap, REF), client.get(ConfigMap, REF)];
    await clock.advance(999);
    expect(sent).toHaveLength(1);
    await clock.advance(1);
    await Promise.all(all);
  });
});

describe("an id", () => {
  it("is another one for each attempt; the error names the last one in its details, not in its words", async () => {
    const { client, sent, clock } = openScripted(reset, { status: 403, body: { reason: "Forbidden" } });
    const failed = expect(client.get(ConfigMap, REF)).rejects.toMatchObject({
      message: "GET /api/v1/namespaces/ns/configmaps/a: Forbidden",
      details: { requestId: "80000000-2", httpStatus: 403 },
    });
    await clock.advance(1_000);
    await failed;
    expect(sent.map(({ headers }) => headers["audit-id"])).toEqual(["80000000-1", "80000000-2"]);
  });

  it.each([
    ["the network", reset],
    ["nonsense", { status: 200, body: "<html>" }],
  ])("is in the details of a failure of %s too", async (_name, answer) => {
    const { client } = openScripted(answer);
    const details = { requestId: "80000000-1" };
    await expect(client.get(ConfigMap, REF, { retries: 0 })).rejects.toMatchObject({ details });
  });

  it("of a watch is in the details of its end", async () => {
    const { client } = openScripted({ stream: ["<html>\n"] });
    await expect(client.watch(ConfigMap, { resourceVersion: "1" }).next()).rejects.toMatchObject({
      details: { cause: "garbage", requestId: "80000000-1" },
    });
  });
});

describe("options of writes", () => {
  it("reach the server", async () => {
    const { client, sent } = openScripted(ok, ok, ok);
    const how = { dryRun: true, fieldValidation: "Strict", fieldManager: "m", subresource: "scale" } as const;
    await client.create(ConfigMap, wanted, how);
    await client.get(ConfigMap, REF, { subresource: "scale" });
    await client.delete(ConfigMap, REF, { dryRun: true });
    expect(sent[0]?.path).toBe(
      "/api/v1/namespaces/ns/configmaps/a/scale?fieldManager=m&fieldValidation=Strict&dryRun=All",
    );
    expect(sent[1]?.path).toBe("/api/v1/namespaces/ns/configmaps/a/scale");
    expect(JSON.parse(sent[2]?.body ?? "")).toMatchObject({ kind: "DeleteOptions", dryRun: ["All"] });
  });
});
