/** A TLS connection on which a test says what no HTTP client would. */
import { connect } from "node:tls";

export interface RawConnection {
  /** What was answered until now. */
  text(): string;
  /** Resolves with all that was answered when the connection has ended, whoever ended it. */
  readonly ended: Promise<string>;
  /** @returns false when the other side takes no more for now */
  send(bytes: string | Buffer): boolean;
  /** Reads nothing from now on. */
  stopReading(): void;
  close(): void;
}

export interface RawTarget {
  readonly url: string;
  readonly caPem: string;
}

/** Resolves after the handshake. */
export function openRaw({ url, caPem }: RawTarget): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const text = (): string => Buffer.concat(chunks).toString("latin1");
    const socket = connect({ host: hostname, port: Number(port), ca: caPem });
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    const ended = new Promise<string>((done) => socket.once("close", () => done(text())));
    // A reset is one way to end a connection.
    socket.on("error", reject);
    socket.once("secureConnect", () =>
      resolve({
        text,
        ended,
        send: (bytes) => socket.writable && socket.write(bytes),
        stopReading: () => socket.pause(),
        close: () => socket.destroy(),
      }),
    );
  });
}

/** The head of a request; `headers` one a line. */
export function requestHead(method: string, path: string, headers: readonly string[]): string {
  return [`${method} ${path} HTTP/1.1`, "host: ledger", ...headers, "", ""].join("\r\n");
}
