// Asks a server on loopback that answers well, badly, or not at all.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { systemClock } from "../core/clock.ts";
import { createCertificateAuthority, issueCertificate } from "./certificates.ts";
import { ANSWER_BYTES_MAX, askHttp, type HttpAnswer, type HttpQuestion } from "./http-question.ts";

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  server = createServer(answer);
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function ask(port: number, given: Partial<HttpQuestion> = {}): Promise<HttpAnswer> {
  const question: HttpQuestion = {
    host: "127.0.0.1",
    port,
    path: "/ok",
    method: "GET",
    headers: {},
    timeoutMs: 5_000,
    signal: new AbortController().signal,
  };
  return askHttp({ ...question, ...given });
}

test("sends method, path, headers and body, and reads the answer", async () => {
  const port = await serve((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const body = Buffer.concat(parts).toString();
      response.writeHead(201).end(`${method} ${url} ${headers.host ?? ""} ${headers["content-length"] ?? ""} ${body}`);
    });
  });
  const asked = { method: "POST", path: "/a?b=1", headers: { Host: "shop.example.com" }, body: "čaj" } as const;
  expect(await ask(port, asked)).toEqual({ status: 201, body: "POST /a?b=1 shop.example.com 4 čaj" });
});

test("a redirect is an answer", async () => {
  const port = await serve((_, response) => response.writeHead(302, { location: "/elsewhere" }).end());
  expect(await ask(port)).toEqual({ status: 302, body: "" });
});

test("HEAD has no body", async () => {
  const port = await serve((_, response) => response.writeHead(204).end());
  expect(await ask(port, { method: "HEAD" })).toEqual({ status: 204, body: "" });
});

test("tells when to ask again", async () => {
  const port = await serve((_, response) => response.writeHead(429, { "retry-after": "7" }).end());
  expect(await ask(port)).toEqual({ status: 429, body: "", retryAfter: "7" });
});

test.each(["127.0.0.1", "::1", "localhost", "0x7f.1"])(
  "asks nobody on this machine by %s when it must not",
  async (host) => {
    let asked = 0;
    const port = await serve((_, response) => {
      asked += 1;
      response.end();
    });
    const refusal = "it is not asked, for its address is of loopback, link-local or a cloud's metadata";
    expect(await ask(port, { host, isLocalRefused: true })).toEqual({
      failure: refusal,
      isUnsent: true,
      isRefused: true,
    });
    expect(asked).toBe(0);
  },
);

test("asks by TLS only who has a certificate of a CA that is trusted", async () => {
  let asked = 0;
  const now = systemClock.now();
  const ca = await createCertificateAuthority("private", now);
  const { keyPem, certPem } = await issueCertificate(
    ca,
    { commonName: "a", usage: "server", ipAddresses: ["127.0.0.1"] },
    now,
  );
  const byTls = createTlsServer({ key: keyPem, cert: certPem }, (_, response) => {
    asked += 1;
    response.end();
  });
  await new Promise<void>((resolve) => byTls.listen(0, "127.0.0.1", resolve));
  const { port } = byTls.address() as AddressInfo;
  expect(await ask(port, { isTls: true })).toMatchObject({ failure: expect.stringMatching(/CERT|SIGNATURE/) });
  expect(asked).toBe(0);
  byTls.close();
});

test("reads no more than the beginning of an answer without an end", async () => {
  const port = await serve((_, response) => {
    const more = (): void => {
      if (!response.destroyed && response.write("x".repeat(16_384))) setImmediate(more);
      else response.once("drain", more);
    };
    more();
  });
  const answer = await ask(port);
  expect("body" in answer && answer.body).toHaveLength(ANSWER_BYTES_MAX);
});

test("a connection that is refused was not sent", async () => {
  const port = await serve(() => undefined);
  await new Promise((resolve) => server?.close(resolve));
  expect(await ask(port)).toEqual({ failure: "ECONNREFUSED", isUnsent: true });
});

test("an answer that does not come is a failure of what was sent", async () => {
  const port = await serve(() => undefined);
  expect(await ask(port, { timeoutMs: 100 })).toEqual({ failure: "no answer within 100 ms", isUnsent: false });
});

test("a connection that breaks is a failure of what was sent", async () => {
  const port = await serve((request) => request.socket.destroy());
  expect(await ask(port)).toEqual({ failure: "ECONNRESET", isUnsent: false });
});

test("an answer that breaks off is a failure", async () => {
  const port = await serve((_, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("part");
    setImmediate(() => response.destroy());
  });
  expect(await ask(port)).toEqual({ failure: "ECONNRESET", isUnsent: false });
});

test("ends with its signal", async () => {
  const port = await serve(() => undefined);
  const stop = new AbortController();
  const answer = ask(port, { signal: stop.signal });
  stop.abort();
  expect(await answer).toMatchObject({ isUnsent: true });
});
