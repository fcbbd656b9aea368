// Real sockets: what clients leave open must not keep a server from ending.
import { createServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { type TLSSocket, connect as tlsConnect } from "node:tls";
import { afterEach, describe, expect, it } from "@jest/globals";
import { systemClock } from "../core/clock.ts";
import { createCertificateAuthority, issueCertificate } from "./certificates.ts";
import { trackConnections } from "./connections.ts";

const GRACE_MS = 300;
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function startServer() {
  const ca = await createCertificateAuthority("test", systemClock.now());
  const names = { commonName: "localhost", dnsNames: ["localhost"], usage: "server" } as const;
  const { certPem, keyPem } = await issueCertificate(ca, names, systemClock.now());
  let requests = 0;
  const server = createServer({ cert: certPem, key: keyPem }, (_request, response) => {
    requests += 1;
    response.end(Buffer.alloc(64 * 1024 * 1024));
  });
  const connections = trackConnections(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const tls = (): Promise<TLSSocket> =>
    new Promise((resolve) => {
      const socket = tlsConnect({ port, host: "127.0.0.1", ca: ca.certPem, servername: "localhost" }, () =>
        resolve(socket),
      );
      socket.on("error", () => undefined);
      sockets.push(socket);
    });
  const end = async (): Promise<number> => {
    const startedAt = systemClock.monotonic();
    await connections.end(() => new Promise((resolve) => server.close(resolve)), GRACE_MS);
    return systemClock.monotonic() - startedAt;
  };
  return { port, tls, end, requests: () => requests };
}

describe("a server ends in time", () => {
  it.each<[string, (server: Awaited<ReturnType<typeof startServer>>) => Promise<void>]>([
    [
      "with a connection that never speaks TLS",
      async ({ port }) => {
        const socket = connect(port, "127.0.0.1");
        sockets.push(socket.on("error", () => undefined));
        await new Promise<void>((resolve) => socket.once("connect", resolve));
      },
    ],
    [
      "with half a request",
      async ({ tls }) => {
        (await tls()).write("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhalf");
      },
    ],
    [
      "with an answer that nobody reads",
      async ({ tls, requests }) => {
        const socket = await tls();
        socket.pause();
        socket.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
        const endsAt = systemClock.monotonic() + 10_000;
        while (requests() === 0 && systemClock.monotonic() < endsAt) await systemClock.sleep(5);
        expect(requests()).toBe(1);
      },
    ],
  ])("%s", async (_, open) => {
    const server = await startServer();
    await open(server);
    expect(await server.end()).toBeLessThan(GRACE_MS + 2_000);
  });
});
