import { createServer as createHttp, type IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import { type AddressInfo, connect, createServer as createTcp, type Socket, type Server as TcpServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { eventually } from "../../testkit/wait.ts";
import { systemClock } from "../core/clock.ts";
import { type CertificatePair, createCertificateAuthority, issueCertificate } from "../node/certificates.ts";
import {
  createTransport,
  type KubeEndpoint,
  type TlsMaterial,
  type Transport,
  type TransportRequest,
} from "./transport.ts";

// Goal: connections are few, verified, and new when the certificates are; the fence is asked when a request leaves.

const never = new AbortController().signal;
const GET: TransportRequest = { method: "GET", path: "/x", headers: {}, signal: never };
const now = systemClock.now();

let ca: CertificatePair;
let server: Server;
let sockets: Set<Socket>;
let answer: (request: IncomingMessage) => Promise<void>;
let transport: Transport | undefined;
let closers: (() => Promise<void>)[];

async function serve(authority: CertificatePair, port = 0): Promise<Server> {
  const request = {
    commonName: "localhost",
    usage: "server",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  } as const;
  const { certPem, keyPem } = await issueCertificate(authority, request, now);
  const made = createServer(
    { cert: certPem, key: keyPem, ca: authority.certPem, requestCert: true, rejectUnauthorized: false },
    (incoming, response) => {
      void answer(incoming).then(() => {
        const peer = (
          incoming.socket as Socket & { getPeerCertificate(): { subject?: { CN?: string } } }
        ).getPeerCertificate();
        response.end(JSON.stringify({ path: incoming.url, client: peer.subject?.CN ?? "" }));
      });
    },
  );
  made.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((done) => made.listen(port, "127.0.0.1", done));
  return made;
}

const portOf = (of: TcpServer): number => (of.address() as AddressInfo).port;

function open(tls: () => TlsMaterial, more: Partial<KubeEndpoint> = {}): Transport {
  transport = createTransport({
    server: `https://127.0.0.1:${portOf(server)}`,
    namespace: "default",
    credentials: async () => ({ headers: {}, tls: tls() }),
    forget: () => undefined,
    ...more,
  });
  return transport;
}

async function ask(of: Transport, request: Partial<TransportRequest> = {}): Promise<unknown> {
  const { body } = await of.send({ ...GET, ...request });
  return body.json();
}

beforeEach(async () => {
  ca = await createCertificateAuthority("one", now);
  sockets = new Set();
  closers = [];
  answer = async () => undefined;
  server = await serve(ca);
});
afterEach(async () => {
  await transport?.close();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  for (const close of closers) await close();
});

it("keeps sixteen connections for requests, and one for each long read and each urgent request beside them", async () => {
  let go: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  answer = () => held;
  const tls = { ca: ca.certPem };
  const of = open(() => tls);
  const requests = Array.from({ length: 40 }, () => ask(of));
  const streams = Array.from({ length: 20 }, () => ask(of, { stream: true }));
  const urgent = Array.from({ length: 3 }, () => ask(of, { urgent: true }));
  await eventually("connected", () => sockets.size === 39);
  go();
  expect(await Promise.all([...requests, ...streams, ...urgent])).toHaveLength(63);
});

it("uses new connections after one was silent, while what is under way goes on, and once for all that were as old", async () => {
  const gate = Promise.withResolvers<undefined>();
  answer = async ({ url }) => void (url === "/slow" && (await gate.promise));
  const tls = { ca: ca.certPem };
  const of = open(() => tls);
  const silent = [new AbortController().signal, new AbortController().signal];
  const slow = silent.map((signal) => ask(of, { path: "/slow", signal }));
  await eventually("connected", () => sockets.size === 2);
  await ask(of, { urgent: true });
  const [urgent] = [...sockets].slice(2);
  for (const signal of silent) of.distrust(signal);
  await ask(of);
  expect(sockets.size).toBe(4);
  gate.resolve(undefined);
  expect(await Promise.all(slow)).toHaveLength(2);
  await eventually("the old ones are closed", () => sockets.size === 2);
  expect(sockets).toContain(urgent);
});

describe("certificates", () => {
  it("of the server are verified", async () => {
    const other = await createCertificateAuthority("two", now);
    const tls = { ca: other.certPem };
    await expect(ask(open(() => tls))).rejects.toThrow(/certificate/);
  });

  it("that are new make new connections: ours, and the server's authority", async () => {
    const client = async (authority: CertificatePair, commonName: string): Promise<TlsMaterial> => {
      const { certPem, keyPem } = await issueCertificate(authority, { commonName, usage: "client" }, now);
      return { ca: authority.certPem, cert: certPem, key: keyPem };
    };
    let tls = await client(ca, "first");
    const of = open(() => tls);
    expect(await ask(of)).toEqual({ path: "/x", client: "first" });
    tls = await client(ca, "second");
    expect(await ask(of)).toEqual({ path: "/x", client: "second" });
    const port = portOf(server);
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    const next = await createCertificateAuthority("two", now);
    server = await serve(next, port);
    await expect(ask(of)).rejects.toThrow();
    tls = await client(next, "third");
    expect(await ask(of)).toEqual({ path: "/x", client: "third" });
  });
});

describe("a fence", () => {
  it("that falls during the handshake keeps the request back", async () => {
    // Accepts, and lets the handshake wait.
    const slow = createTcp((incoming) => {
      incoming.on("error", () => incoming.destroy());
      setTimeout(() => {
        const outgoing = connect(portOf(server), "127.0.0.1");
        outgoing.on("error", () => incoming.destroy());
        incoming.on("close", () => outgoing.destroy());
        incoming.pipe(outgoing).pipe(incoming);
      }, 100);
    });
    await new Promise<void>((done) => slow.listen(0, "127.0.0.1", done));
    closers.push(() => new Promise((done) => slow.close(() => done())));
    let reached = 0;
    answer = async () => {
      reached += 1;
    };
    const tls = { ca: ca.certPem };
    const of = open(() => tls, { server: `https://127.0.0.1:${portOf(slow)}` });
    let holds = true;
    const fence = (): void => {
      if (!holds) throw new Error("lost");
    };
    const write = expect(ask(of, { method: "PATCH", body: "{}", fence })).rejects.toThrow("lost");
    holds = false;
    await write;
    holds = true;
    await ask(of, { fence });
    expect(reached).toBe(1);
  });
});

describe("a proxy", () => {
  it("is asked for a tunnel, and sees nothing but that", async () => {
    const tunnels: string[] = [];
    const proxy = createHttp((_request, response) => response.writeHead(405).end());
    proxy.on("connect", (request, incoming) => {
      tunnels.push(request.url ?? "");
      const [host = "", port] = (request.url ?? "").split(":");
      const outgoing = connect(Number(port), host, () => incoming.write("HTTP/1.1 200 OK\r\n\r\n"));
      outgoing.on("error", () => incoming.destroy());
      incoming.on("error", () => outgoing.destroy());
      incoming.pipe(outgoing).pipe(incoming);
    });
    await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
    closers.push(async () => {
      proxy.closeAllConnections();
      await new Promise((done) => proxy.close(done));
    });
    const tls = { ca: ca.certPem };
    const of = open(() => tls, { proxy: `http://127.0.0.1:${portOf(proxy)}` });
    expect(await ask(of)).toEqual({ path: "/x", client: "" });
    expect(await ask(of, { stream: true, fence: () => undefined })).toEqual({ path: "/x", client: "" });
    expect(tunnels).toEqual([`127.0.0.1:${portOf(server)}`, `127.0.0.1:${portOf(server)}`]);
    const refusing = open(() => tls, { proxy: "http://127.0.0.1:1" });
    await expect(ask(refusing)).rejects.toThrow();
  });
});

it("sends nothing after it was closed, or for a caller that has left", async () => {
  const tls = { ca: ca.certPem };
  const of = open(() => tls);
  const stop = new AbortController();
  stop.abort(new Error("stopped"));
  await expect(ask(of, { signal: stop.signal })).rejects.toThrow("stopped");
  await of.close();
  await expect(ask(of)).rejects.toThrow("closed");
});

it("waits for credentials no longer than the request may take", async () => {
  const made = open(() => ({}), { credentials: () => new Promise(() => undefined) });
  const deadline = new AbortController();
  const sent = made.send({ ...GET, signal: deadline.signal });
  deadline.abort(new Error("the deadline"));
  await expect(sent).rejects.toThrow("the deadline");
});
