import { afterEach, describe, expect, it } from "@jest/globals";
import { systemClock } from "../core/clock.ts";
import { createCertificateAuthority, issueCertificate } from "../node/certificates.ts";
import { createKubeClient, type KubeClient } from "./client.ts";
import { type FakeExec, type FakeExecOptions, startFakeExec } from "./testing/fake-exec.ts";
import { openScripted } from "./testing/scripted-client.ts";
import { createTransport } from "./transport.ts";

// Goal: logs come line by line and stop when they should; exec gives output and exit code exactly, over a real socket.

const REF = { namespace: "ns", name: "p" };

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

describe("logs", () => {
  it("come line by line, the last one also without its end", async () => {
    const { client, sent } = openScripted({ stream: ["one\ntw", "o\n", "three"] });
    const lines = client.logs(REF, { container: "c", tailLines: 3, previous: true, timestamps: true, sinceSeconds: 9 });
    expect(await collect(lines)).toEqual(["one", "two", "three"]);
    expect(sent[0]?.path).toBe(
      "/api/v1/namespaces/ns/pods/p/log?container=c&tailLines=3&sinceSeconds=9&previous=true&timestamps=true",
    );
    expect(sent[0]?.stream).toBe(true);
  });

  it("end their connection when the reader has enough", async () => {
    const { client, sent } = openScripted({ stream: ["one\n", "two\n"] });
    for await (const line of client.logs(REF, { follow: true })) {
      expect(line).toBe("one");
      break;
    }
    expect(sent[0]?.path).toContain("follow=true");
    expect(sent[0]?.signal.aborted).toBe(true);
  });

  it.each([
    [
      "a refusal",
      { status: 400, body: { reason: "BadRequest", message: "container c is waiting to start" } },
      "KUBE_INVALID",
    ],
    ["an absent pod", { status: 404, body: { reason: "NotFound" } }, "KUBE_NOT_FOUND"],
    ["a broken connection", { error: new Error("reset") }, "KUBE_UNREACHABLE"],
    ["a line without end", { stream: Array.from({ length: 20 }, () => "x".repeat(100_000)) }, "KUBE_FAILED"],
  ] as const)("fail with %s", async (_name, answer, code) => {
    const { client } = openScripted(answer);
    await expect(collect(client.logs(REF))).rejects.toMatchObject({ code });
  });

  it("stop with their reader and at their deadline", async () => {
    const { client } = openScripted({ hang: true }, { hang: true });
    await expect(collect(client.logs(REF, { timeoutMs: 20 }))).rejects.toMatchObject({ code: "KUBE_UNREACHABLE" });
    const stop = new AbortController();
    const reading = expect(collect(client.logs(REF, { follow: true, signal: stop.signal }))).rejects.toMatchObject({
      code: "ABORTED",
    });
    stop.abort();
    await reading;
  });
});

describe("eviction", () => {
  const blocked = {
    status: 429,
    headers: { "retry-after": "10" },
    body: { reason: "TooManyRequests", details: { causes: [{ reason: "DisruptionBudget", message: "needs 1" }] } },
  };
  const done = { status: 201, body: { kind: "Status", status: "Success" } };

  it("that a budget does not allow is not asked for again, and stops nobody else", async () => {
    const { client, sent, clock } = openScripted(blocked, done);
    await expect(client.evict(REF)).rejects.toMatchObject({ code: "KUBE_EVICTION_BLOCKED", retryAfterSeconds: 10 });
    await client.evict({ ...REF, name: "q" }, { uid: "u", gracePeriodSeconds: 5 });
    expect(clock.monotonic()).toBe(0);
    expect(JSON.parse(sent[1]?.body ?? "")).toEqual({
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name: "q", namespace: "ns" },
      deleteOptions: { gracePeriodSeconds: 5, preconditions: { uid: "u" } },
    });
  });

  it.each([
    ["with a uid", "u", 2],
    ["without one", undefined, 1],
  ])("whose answer was lost is asked for again only %s", async (_name, uid, attempts) => {
    const { client, sent, clock } = openScripted({ error: new Error("reset") }, done);
    const settled = client.evict(REF, { uid }).then(
      () => "done",
      () => "failed",
    );
    await clock.advance(1_000);
    expect(await settled).toBe(uid === undefined ? "failed" : "done");
    expect(sent).toHaveLength(attempts);
  });
});

describe("exec", () => {
  let fake: FakeExec | undefined;
  let client: KubeClient | undefined;
  afterEach(async () => {
    await client?.close();
    await fake?.close();
  });
  const open = async (options: FakeExecOptions): Promise<KubeClient> => {
    fake = await startFakeExec(options);
    const transport = createTransport(fake.endpoint());
    const random = (): number => 0.5;
    client = createKubeClient({ transport, namespace: "ns", userAgent: "shieldx/test", clock: systemClock, random });
    return client;
  };
  const success = JSON.stringify({ status: "Success" });

  it("gives both outputs and says who asks", async () => {
    const big = "x".repeat(100_000);
    const pods = await open({
      onOpen: (send) => {
        send(1, "out ");
        send(2, "err");
        send(1, big);
        send(3, success);
      },
    });
    const result = await pods.exec(REF, { command: ["echo", "a b&c"], container: "c" });
    expect(result).toEqual({ exitCode: 0, stdout: `out ${big}`, stderr: "err" });
    expect(fake?.paths).toEqual([
      "/prefix/api/v1/namespaces/ns/pods/p/exec?container=c&command=echo&command=a+b%26c&stdin=false&stdout=true&stderr=true",
    ]);
    expect(fake?.headers()).toMatchObject({
      authorization: "Bearer t",
      "user-agent": "shieldx/test",
      "sec-websocket-protocol": "v5.channel.k8s.io",
    });
  });

  it("works over TLS, with the endpoint's own authority", async () => {
    const now = systemClock.now();
    const ca = await createCertificateAuthority("ca", now);
    const request = { commonName: "localhost", usage: "server", ipAddresses: ["127.0.0.1"] } as const;
    const { certPem, keyPem } = await issueCertificate(ca, request, now);
    const pods = await open({
      tls: { ca: ca.certPem, cert: certPem, key: keyPem },
      onOpen: (send) => send(3, success),
    });
    expect(await pods.exec(REF, { command: ["true"] })).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  });

  it("gives the program its input and the end of it", async () => {
    const pods = await open({
      onMessage: (message, send) => {
        if (message[0] === 255) send(3, success);
        else send(1, message.subarray(1).toString("utf8").toUpperCase());
      },
    });
    expect(await pods.exec(REF, { command: ["cat"], stdin: "hello" })).toMatchObject({ stdout: "HELLO" });
    expect(fake?.received.map((message) => [...message.subarray(0, 2)])).toEqual([
      [0, 104],
      [255, 0],
    ]);
  });

  it("gives the exit code of a program that failed", async () => {
    const details = { causes: [{ reason: "ExitCode", message: "3" }] };
    const pods = await open({
      onOpen: (send) => send(3, JSON.stringify({ status: "Failure", reason: "NonZeroExitCode", details })),
    });
    expect((await pods.exec(REF, { command: ["false"] })).exitCode).toBe(3);
  });

  it.each([
    [
      "a program that cannot be started",
      3,
      JSON.stringify({ status: "Failure", message: "no such file" }),
      "no such file",
    ],
    ["plain text in place of a status", 3, "container is gone", "container is gone"],
    ["more output than is kept", 1, "x".repeat(5 * 1024 * 1024), "bytes of output"],
  ])("fails with %s", async (_name, channel, data, words) => {
    const pods = await open({ onOpen: (send) => send(channel, data) });
    await expect(pods.exec(REF, { command: ["x"] })).rejects.toMatchObject({
      code: "KUBE_FAILED",
      message: expect.stringContaining(words),
    });
  });

  it("fails when the connection ends before the program", async () => {
    const pods = await open({ onOpen: (_send, end) => end() });
    await expect(pods.exec(REF, { command: ["x"] })).rejects.toMatchObject({ code: "KUBE_UNREACHABLE" });
  });

  it("says why it was refused", async () => {
    const pods = await open({ refuse: 403 });
    await expect(pods.exec(REF, { command: ["x"] })).rejects.toMatchObject({ code: "KUBE_FORBIDDEN" });
  });

  it("ends at its deadline, with its caller, and before its fence", async () => {
    const pods = await open({});
    await expect(pods.exec(REF, { command: ["x"], timeoutMs: 50 })).rejects.toMatchObject({ code: "KUBE_UNREACHABLE" });
    const stop = new AbortController();
    const running = expect(pods.exec(REF, { command: ["x"], signal: stop.signal })).rejects.toMatchObject({
      code: "ABORTED",
    });
    stop.abort();
    await running;
    const fence = (): void => {
      throw new Error("lost");
    };
    const before = fake?.paths.length;
    await expect(pods.exec(REF, { command: ["x"], fence })).rejects.toThrow("lost");
    expect(fake?.paths).toHaveLength(before ?? -1);
  });
});
