import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "@jest/globals";
import { isOperatorError } from "../core/errors.ts";
import { addressesOf } from "./addresses.ts";
import { getText } from "./http-text.ts";

// Goal: a page is read whole or not at all, in bounded time and space, and the message says what was in the way.

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

const get = (port: number, more: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
  getText({ host: "127.0.0.1", port, path: "/metrics?x=secret", timeoutMs: 2_000, ...more });

async function messageOf(page: Promise<unknown>): Promise<string> {
  try {
    await page;
  } catch (error) {
    if (isOperatorError(error, "METRICS_UNREACHABLE")) return error.message;
    throw error;
  }
  return "read";
}

describe("getText", () => {
  it("reads a page in UTF-8, and asks for the text format", async () => {
    const port = await serve(({ url, headers }, response) => {
      response.write(Buffer.from("ž").subarray(0, 1));
      response.write(Buffer.from("ž").subarray(1));
      response.end(`${url} ${headers.accept} ${headers["accept-encoding"]}`);
    });
    expect(await get(port)).toBe("ž/metrics?x=secret text/plain;version=0.0.4 undefined");
  });

  it.each([204, 301, 404, 500])("takes no answer %d", async (status) => {
    const port = await serve((_, response) => void response.writeHead(status, { location: "/other" }).end("m 1"));
    expect(await messageOf(get(port))).toBe(`127.0.0.1:${port}: status ${status}`);
  });

  it("takes no page without an end", async () => {
    const port = await serve((_, response) => {
      const more = () => {
        while (response.write("m 1\n".repeat(16_384)));
        response.once("drain", more);
      };
      more();
    });
    expect(await messageOf(get(port))).toBe(`127.0.0.1:${port}: the answer has more than 4194304 bytes`);
  });

  it("takes no page that breaks off", async () => {
    const port = await serve((_, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("m 1\n", () => response.destroy());
    });
    expect(await messageOf(get(port))).toBe(`127.0.0.1:${port}: ECONNRESET`);
  });

  it.each<[string, RequestListener]>([
    ["says nothing", () => undefined],
    ["stops in the middle", (_, response) => void response.writeHead(200).write("m 1\n")],
  ])("gives up on a server that %s", async (_, listener) => {
    const port = await serve(listener);
    expect(await messageOf(get(port, { timeoutMs: 50 }))).toBe(`127.0.0.1:${port}: no answer within 50 ms`);
  });

  it("gives up when it is told to", async () => {
    const stop = new AbortController();
    const port = await serve(() => stop.abort());
    expect(await messageOf(get(port, { signal: stop.signal }))).toBe(`127.0.0.1:${port}: ABORT_ERR`);
  });

  it("says that nobody listens", async () => {
    const port = await serve(() => undefined);
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
    expect(await messageOf(get(port))).toBe(`127.0.0.1:${port}: ECONNREFUSED`);
  });
});

describe("addressesOf", () => {
  it("finds what a name stands for", async () => {
    expect(await addressesOf("localhost", 2_000)).toContain("127.0.0.1");
  });

  it("says that there is none", async () => {
    expect(await messageOf(addressesOf("no-such-name.invalid", 5_000))).toMatch(/^no-such-name\.invalid: /);
  });
});
