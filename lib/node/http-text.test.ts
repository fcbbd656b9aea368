import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "@jest/globals";
import { isOperatorError } from "../core/errors.ts";
import { addressesOf, isLocalAddress } from "./addresses.ts";
import { getText, type TextRequest } from "./http-text.ts";

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

const get = (port: number, more: Partial<TextRequest> = {}) =>
  getText({ host: "127.0.0.1", port, path: "/metrics?x=secret", timeoutMs: 2_000, bytesMax: 1_000_000, ...more });

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
    expect(await messageOf(get(port))).toBe(`127.0.0.1:${port}: the answer has more than 1000000 bytes`);
  });

  it.each(["127.0.0.1", "localhost"])("asks nobody on this machine by %s when it must not", async (host) => {
    let asked = 0;
    const port = await serve((_, response) => {
      asked += 1;
      response.end("m 1");
    });
    const refusal = "it is not asked, for its address is of loopback, link-local or a cloud's metadata";
    expect(await messageOf(get(port, { host, isLocalRefused: true }))).toBe(`${host}:${port}: ${refusal}`);
    expect(asked).toBe(0);
    expect(await get(port, { host: "127.0.0.1" })).toBe("m 1");
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

describe("isLocalAddress", () => {
  it.each([
    ...["127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "168.63.129.16", "100.100.100.200"],
    ...["::1", "::", "fe80::1", "febf::1", "fe80::1%eth0", "fd00:ec2::254"],
    ...["::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:a9fe:a9fe", "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe"],
    ...["", "localhost", "1.2.3"],
  ])("holds of '%s'", (address) => {
    expect(isLocalAddress(address)).toBe(true);
  });

  it.each(["10.0.0.1", "192.168.1.1", "126.255.255.255", "128.0.0.1", "169.253.1.1", "8.8.8.8", "fd00::1", "fec0::1"])(
    "does not hold of %s",
    (address) => {
      expect(isLocalAddress(address)).toBe(false);
      if (!address.includes(":")) expect(isLocalAddress(`::ffff:${address}`)).toBe(false);
    },
  );
});
