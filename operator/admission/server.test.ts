import { Agent, request } from "node:https";
import { connect } from "node:net";
import type { TLSSocket } from "node:tls";
import { afterEach, describe, expect, it } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { resourceType } from "../../lib/kube/types.ts";
import { fingerprint } from "../../lib/node/certificates.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createMetrics } from "../../lib/node/metrics.ts";
import { eventually } from "../../testkit/wait.ts";
import { type ServingCertificate, servingCertificate } from "./certificate-source.ts";
import { createWebhookServer, type WebhookServer } from "./server.ts";
import { foreignAuthority, loopbackCertificate } from "./testing/certificates.ts";
import type { Webhook } from "./webhook.ts";

// Goal: whatever a caller sends or a handler does, the server answers, counts it and goes on. One webhook whose answer
// the test holds in its hands; a real TLS connection.

const WEBHOOK: Omit<Webhook, "answer"> = {
  role: "validating",
  path: "/validate",
  type: resourceType("test.shieldx.dev/v1", ["Gadget", "gadgets"]),
  operations: ["CREATE"],
  deadlineMs: 5_000,
  bodyBytesMax: 1_000,
};

const ca = await foreignAuthority();
const newCertificate = async (): Promise<ServingCertificate> =>
  servingCertificate("test", await loopbackCertificate(ca), systemClock.now());

interface Answer {
  readonly status: number;
  readonly connection: string | undefined;
  /** What the server says about idle connections. */
  readonly keepAlive: string | undefined;
  readonly body: Record<string, unknown>;
  /** Fingerprint of the certificate that the connection was shown, and the connection's own port. */
  readonly shown: string;
  readonly localPort: number;
}

interface Sent {
  readonly path?: string;
  readonly method?: string;
  readonly contentType?: string;
  readonly body?: string;
}

interface Running {
  readonly server: WebhookServer;
  readonly clock: ManualClock;
  readonly ended: Promise<void>;
  use(certificate: ServingCertificate): void;
  send(what?: Sent): Promise<Answer>;
  stop(): void;
  metric(line: string): Promise<string | undefined>;
}

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

async function start(
  answer: Webhook["answer"] = async () => ({ ok: true }),
  more: { readonly concurrency?: number; readonly drainMs?: number } = {},
): Promise<Running> {
  const clock = createManualClock(systemClock.now());
  const metrics = createMetrics();
  const abort = new AbortController();
  const taken = Promise.withResolvers<(certificate: ServingCertificate) => void>();
  const server = createWebhookServer({
    webhooks: [{ ...WEBHOOK, answer }],
    certificates: () => ({
      trouble: () => undefined,
      run: async (signal, use) => {
        taken.resolve(use);
        await clock.sleep(1e12, signal);
      },
    }),
    port: 0,
    host: "127.0.0.1",
    clock,
    metrics,
    log: silentLogger,
    drainMs: 0,
    ...more,
  });
  const ended = server.run(abort.signal);
  const agent = new Agent({ keepAlive: true, ca: ca.certPem });
  const use = await taken.promise;
  cleanUps.push(async () => {
    agent.destroy();
    abort.abort();
    await eventually("it ended", async () => {
      await clock.advance(1_000);
      return Promise.race([ended.then(() => true), systemClock.sleep(1).then(() => false)]);
    }).catch(() => undefined);
  });
  return {
    server,
    clock,
    ended,
    use,
    stop: () => abort.abort(),
    send: (what = {}) => post(agent, server.port() ?? 0, what),
    metric: async (line) =>
      (await metrics.text())
        .split("\n")
        .find((one) => one.startsWith(line))
        ?.slice(line.length + 1),
  };
}

function post(agent: Agent, port: number, what: Sent): Promise<Answer> {
  const { path = "/validate", method = "POST", contentType = "application/json", body = "{}" } = what;
  return new Promise((resolve, reject) => {
    const sent = request({
      host: "127.0.0.1",
      port,
      path,
      method,
      agent,
      headers: { "content-type": contentType, "content-length": Buffer.byteLength(body) },
    });
    sent.on("error", reject);
    sent.on("response", (response) => {
      const socket = response.socket as TLSSocket;
      const { fingerprint256: shown } = socket.getPeerCertificate();
      const localPort = socket.localPort ?? 0;
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          connection: response.headers.connection,
          keepAlive: response.headers["keep-alive"]?.toString(),
          body: JSON.parse(Buffer.concat(parts).toString("utf8")) as Record<string, unknown>,
          shown,
          localPort,
        }),
      );
    });
    sent.end(body);
  });
}

describe("what is sent", () => {
  it.each([
    {
      name: "another path",
      sent: { path: "/mutate" },
      status: 404,
      message: "ROUTE_NOT_FOUND: no webhook has this path",
    },
    {
      name: "a path that is no part of any URL",
      sent: { path: "//" },
      status: 404,
      message: "ROUTE_NOT_FOUND: no webhook has this path",
    },
    {
      name: "another method",
      sent: { method: "GET", body: "" },
      status: 404,
      message: "ROUTE_NOT_FOUND: a webhook is called with POST",
    },
    {
      name: "another content type",
      sent: { contentType: "text/plain" },
      status: 415,
      message: 'CONTENT_TYPE_UNSUPPORTED: the body is "text/plain", not application/json',
    },
    {
      name: "no JSON",
      sent: { body: "{" },
      status: 400,
      message: "JSON_INVALID: the body is not one JSON document in UTF-8",
    },
    {
      name: "too much",
      sent: { body: JSON.stringify("x".repeat(1_000)) },
      status: 413,
      message: "BODY_TOO_LARGE: the body has more than 1000 bytes",
    },
  ])("$name is refused with a Status", async ({ sent, status, message }) => {
    const { use, send } = await start();
    use(await newCertificate());
    const answer = await send(sent);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ kind: "Status", status: "Failure", code: status, message });
    expect((await send()).status).toBe(200);
  });

  it("is counted by path and status, beginning at 0", async () => {
    const { use, send, metric } = await start();
    use(await newCertificate());
    const total = (code: number): string =>
      `controller_runtime_webhook_requests_total{webhook="/validate",code="${code}"}`;
    expect([await metric(total(200)), await metric(total(500))]).toEqual(["0", "0"]);
    await send();
    await send({ body: "{" });
    expect([await metric(total(200)), await metric(total(400))]).toEqual(["1", "1"]);
    expect(await metric('controller_runtime_webhook_requests_in_flight{webhook="/validate"}')).toBe("0");
    expect(await metric('controller_runtime_webhook_latency_seconds_count{webhook="/validate"}')).toBe("2");
  });
});

describe("what a handler does", () => {
  it("is answered with a failure when it cannot be said in JSON", async () => {
    const answers: object[] = [{ count: 1n }, { ok: true }];
    const { use, send, metric } = await start(async () => answers.shift() ?? {});
    use(await newCertificate());
    const answer = await send();
    expect(answer).toMatchObject({ status: 500, body: { kind: "Status", status: "Failure" } });
    expect((await send()).status).toBe(200);
    expect(await metric('controller_runtime_webhook_requests_in_flight{webhook="/validate"}')).toBe("0");
    expect(await metric('controller_runtime_webhook_requests_total{webhook="/validate",code="500"}')).toBe("1");
  });

  it("is cut off at the caller's deadline; the handler hears of it, and a late answer is dropped", async () => {
    let aborted = false;
    const late = Promise.withResolvers<object>();
    const { use, send } = await start((_review, { signal }) => {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      return late.promise;
    });
    use(await newCertificate());
    const answer = await send({ path: "/validate?timeout=300ms" });
    expect(answer).toMatchObject({ status: 504, body: { message: "WEBHOOK_TIMEOUT: no answer within 0.2 s" } });
    expect(aborted).toBe(true);
    late.resolve({ ok: true });
  });

  it("is told when the caller goes away", async () => {
    const seen = Promise.withResolvers<AbortSignal>();
    const { server, use } = await start((_review, { signal }) => {
      seen.resolve(signal);
      return new Promise(() => undefined);
    });
    use(await newCertificate());
    const agent = new Agent({ ca: ca.certPem });
    const gone = post(agent, server.port() ?? 0, {}).then(
      () => false,
      () => true,
    );
    const signal = await seen.promise;
    agent.destroy();
    expect(await gone).toBe(true);
    await eventually("the signal aborts", () => signal.aborted);
  });

  it("happens at most that often at once; the others wait, and give up in time", async () => {
    const first = Promise.withResolvers<object>();
    let calls = 0;
    const { use, send } = await start(
      () => {
        calls += 1;
        return calls === 1 ? first.promise : Promise.resolve({ ok: true });
      },
      { concurrency: 1 },
    );
    use(await newCertificate());
    const running = send();
    await eventually("it runs", () => calls === 1);
    const waiting = send();
    expect((await send({ path: "/validate?timeout=200ms" })).status).toBe(504);
    expect(calls).toBe(1);
    first.resolve({ ok: true });
    expect([(await running).status, (await waiting).status]).toEqual([200, 200]);
  });
});

describe("a certificate", () => {
  it("is needed for readiness; before there is one, no handshake succeeds", async () => {
    const { server, use, send, clock } = await start();
    expect(server.ready()).toEqual({ ok: false, reasons: ["no certificate yet"] });
    await expect(send()).rejects.toThrow();
    use(await newCertificate());
    expect(server.ready()).toEqual({ ok: true, reasons: [] });
    expect((await send()).status).toBe(200);
    clock.jumpWallClock(91 * 86_400_000);
    expect(server.ready()).toEqual({ ok: false, reasons: [expect.stringMatching(/^the certificate expired at /)] });
    clock.jumpWallClock(-200 * 86_400_000);
    expect(server.ready()).toEqual({
      ok: false,
      reasons: [expect.stringMatching(/^the certificate is not valid before /)],
    });
  });

  it("outlives idle connections: the API server ends them after 90 s, and a shorter limit here would meet requests", async () => {
    const { use, send } = await start();
    use(await newCertificate());
    expect((await send()).keepAlive).toBe("timeout=120");
  });

  it("that is new ends each connection that shows an older one, with its next answer and not sooner", async () => {
    const held = Promise.withResolvers<object>();
    let hold = false;
    const { use, send } = await start(() => (hold ? held.promise : Promise.resolve({ ok: true })));
    const [one, two] = [await newCertificate(), await newCertificate()];
    use(one);
    const before = await send();
    expect([before.shown, before.connection]).toEqual([one.fingerprint, "keep-alive"]);
    expect((await send()).localPort).toBe(before.localPort);
    hold = true;
    const running = send();
    use(two);
    hold = false;
    held.resolve({ ok: true });
    const last = await running;
    expect(last).toMatchObject({
      status: 200,
      localPort: before.localPort,
      connection: "close",
      shown: one.fingerprint,
    });
    const after = await send();
    expect(after).toMatchObject({ status: 200, shown: fingerprint(two.certPem), connection: "keep-alive" });
  });
});

describe("a stop", () => {
  it("is not held up by a connection without a handshake", async () => {
    const { server, use, clock, ended, stop } = await start();
    use(await newCertificate());
    const silent = connect({ host: "127.0.0.1", port: server.port() ?? 0 });
    const isCut = new Promise<void>((resolve) => void silent.on("error", () => undefined).once("close", resolve));
    await new Promise<void>((resolve) => void silent.once("connect", resolve));
    // So that the server has seen it too.
    const seen = connect({ host: "127.0.0.1", port: server.port() ?? 0 });
    await new Promise<void>((resolve) => void seen.once("connect", resolve));
    seen.destroy();
    let isOver = false;
    void ended.then(() => {
      isOver = true;
    });
    stop();
    await eventually("it ended", async () => {
      await clock.advance(1_000);
      return isOver;
    });
    await isCut;
  });

  it("goes on answering for a while, ending each connection, then finishes what runs", async () => {
    const held = Promise.withResolvers<object>();
    let calls = 0;
    const { server, use, send, stop, clock, ended } = await start(
      () => {
        calls += 1;
        return calls === 2 ? held.promise : Promise.resolve({ ok: true });
      },
      { drainMs: 3_000 },
    );
    use(await newCertificate());
    stop();
    expect(await send()).toMatchObject({ status: 200, connection: "close" });
    expect(server.ready()).toEqual({ ok: false, reasons: ["stopping"] });
    const running = send();
    await eventually("it runs", () => calls === 2);
    await clock.advance(3_000);
    await eventually("the port is closed", () => isRefused(server.port() ?? 0));
    held.resolve({ ok: true });
    expect((await running).status).toBe(200);
    await ended;
  });

  it("cuts off what does not end, with an answer, and says so", async () => {
    let calls = 0;
    const { use, send, stop, clock, ended } = await start(() => {
      calls += 1;
      return new Promise(() => undefined);
    });
    use(await newCertificate());
    const running = send();
    await eventually("it runs", () => calls === 1);
    const outcome = ended.catch((error: unknown) => error);
    stop();
    await clock.advance(1);
    await clock.advance(12_000);
    expect((await running).body).toMatchObject({ code: 503, message: "SHUTTING_DOWN: the operator is stopping" });
    expect(await outcome).toMatchObject({ code: "WEBHOOK_TIMEOUT" });
  });
});

describe("a port", () => {
  it("that is taken is a configuration error", async () => {
    const { server } = await start();
    const second = createWebhookServer({
      webhooks: [],
      certificates: () => ({ trouble: () => undefined, run: async () => undefined }),
      port: await eventually("it listens", () => server.port()),
      host: "127.0.0.1",
      clock: systemClock,
      metrics: createMetrics(),
      log: silentLogger,
    });
    await expect(second.run(new AbortController().signal)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});

function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", () => resolve(true));
  });
}
