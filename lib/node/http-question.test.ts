// Asks a server on loopback that answers well, badly, or not at all.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
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
