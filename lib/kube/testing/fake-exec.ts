import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { KubeEndpoint } from "../transport.ts";

/** A server that takes WebSockets as the exec of an API server does, and shows what it received. */
export interface FakeExec {
  endpoint(): KubeEndpoint;
  /** Path and query of the sockets. */
  readonly paths: string[];
  /** Messages of the client, one after the other, of all sockets. */
  readonly received: Buffer[];
  /** Headers of the last socket. */
  headers(): IncomingMessage["headers"];
  close(): Promise<void>;
}

export interface FakeExecOptions {
  /** Called when a socket is open; `send` sends one message of a channel. */
  readonly onOpen?: (send: (channel: number, data: string) => void, end: () => void) => void;
  /** Called with each message of the client. */
  readonly onMessage?: (message: Buffer, send: (channel: number, data: string) => void) => void;
  /** Answers all requests with this status instead of opening a socket. */
  readonly refuse?: number;
  /** Serves TLS with this certificate, which the client trusts through `ca`; all PEM. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
}

/** RFC 6455 section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Starts it on a free port of loopback. */
export async function startFakeExec(options: FakeExecOptions): Promise<FakeExec> {
  const paths: string[] = [];
  const received: Buffer[] = [];
  const sockets = new Set<Socket>();
  let headers: IncomingMessage["headers"] = {};
  const answer = (_request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(options.refuse ?? 400, { "content-type": "application/json" });
    response.end(
      JSON.stringify({ kind: "Status", code: options.refuse ?? 400, reason: "BadRequest", message: "upgrade" }),
    );
  };
  const http = options.tls === undefined ? createServer(answer) : createTlsServer(options.tls, answer);
  http.on("upgrade", (request, stream) => {
    const socket = stream as Socket;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    if (options.refuse !== undefined) {
      return void socket.end(`HTTP/1.1 ${options.refuse} Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
    }
    paths.push(request.url ?? "");
    headers = request.headers;
    const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}${GUID}`).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n` +
        `sec-websocket-protocol: ${request.headers["sec-websocket-protocol"]}\r\n\r\n`,
    );
    const send = (channel: number, data: string): void =>
      void socket.write(frame(Buffer.concat([Buffer.from([channel]), Buffer.from(data)])));
    let held = Buffer.alloc(0);
    socket.on("data", (data: Buffer) => {
      held = Buffer.concat([held, data]);
      for (let next = unframe(held); next !== undefined; next = unframe(held)) {
        held = held.subarray(next.size);
        if (next.opcode === 8) return void socket.end();
        received.push(next.data);
        options.onMessage?.(next.data, send);
      }
    });
    options.onOpen?.(send, () => socket.destroy());
  });
  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));
  const { port } = http.address() as AddressInfo;
  const tls = options.tls === undefined ? {} : { ca: options.tls.ca };
  const scheme = options.tls === undefined ? "http" : "https";
  return {
    endpoint: () => ({
      server: `${scheme}://127.0.0.1:${port}/prefix`,
      namespace: "default",
      credentials: async () => ({ headers: { authorization: "Bearer t" }, tls }),
      forget: () => undefined,
    }),
    paths,
    received,
    headers: () => headers,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      http.closeAllConnections();
      await new Promise((done) => http.close(done));
    },
  };
}

/** A whole, unmasked binary frame. */
function frame(data: Buffer): Buffer {
  if (data.length < 126) return Buffer.concat([Buffer.from([0x82, data.length]), data]);
  const head = Buffer.alloc(10);
  head[0] = 0x82;
  head[1] = 127;
  head.writeBigUInt64BE(BigInt(data.length), 2);
  return Buffer.concat([head, data]);
}

/** The first masked frame of what was received, when it is whole; ours are short. */
function unframe(held: Buffer): { readonly opcode: number; readonly data: Buffer; readonly size: number } | undefined {
  if (held.length < 6) return undefined;
  const length = (held[1] ?? 0) & 0x7f;
  const size = 6 + length;
  if (held.length < size) return undefined;
  const mask = held.subarray(2, 6);
  const data = Buffer.from(held.subarray(6, size).map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
  return { opcode: (held[0] ?? 0) & 0x0f, data, size };
}
