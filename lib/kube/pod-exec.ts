import type { WebSocket } from "undici";
import { OperatorError } from "../core/errors.ts";
import { createDeadline, type Deadline } from "./deadline.ts";
import { type ObjectRef, objectPath, queryText } from "./paths.ts";
import type { Requests } from "./requests.ts";
import type { Transport } from "./transport.ts";
import { RESOURCES } from "./types.ts";

export interface ExecOptions {
  /** Program and arguments; no shell in between. */
  readonly command: readonly string[];
  /** Needed when the pod has more than one. */
  readonly container?: string | undefined;
  /** Given to the program, then its input ends. */
  readonly stdin?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** From the request to the program's end; 30 s unless told. */
  readonly timeoutMs?: number | undefined;
  /** See `RequestOptions`. */
  readonly fence?: (() => void) | undefined;
}

/** What questions to pods go through. */
export interface PodParts {
  readonly requests: Requests;
  readonly transport: Pick<Transport, "openSocket">;
  readonly userAgent: string;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/*
 * KEP-4006, v5.channel.k8s.io: each message is one byte that names the channel, then data. The program's end arrives as
 * a Status on the error channel. Version 5 is the first that can end the input: message 255 names the channel to close.
 */
const PROTOCOL = "v5.channel.k8s.io";
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, close: 255 } as const;

const EXEC_TIMEOUT_MS = 30_000;
/** Answers of small programs; a copy of a database is no answer. */
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;

/** The Status (meta/v1) that ends an exec. */
interface ExecStatus {
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

/** See `PodClient.exec`. @throws OperatorError KUBE_UNREACHABLE (cut, deadline), KUBE_FAILED (not started, too much output), KUBE_…, ABORTED */
export async function runExec(parts: PodParts, ref: ObjectRef, options: ExecOptions): Promise<ExecResult> {
  const { container, command, stdin } = options;
  const path = objectPath(RESOURCES.Pod, ref, "exec");
  const query = queryText({ container, command, stdin: stdin !== undefined, stdout: true, stderr: true });
  const deadline = createDeadline(options.timeoutMs ?? EXEC_TIMEOUT_MS, options.signal);
  let socket: WebSocket | undefined;
  try {
    options.fence?.();
    socket = await parts.transport.openSocket({
      path: `${path}${query}`,
      protocol: PROTOCOL,
      headers: { "user-agent": parts.userAgent },
      signal: deadline.signal,
    });
    const opened = await untilOpen(socket, deadline);
    // A refused upgrade does not say why; the same question without an upgrade does, and starts nothing.
    if (!opened) {
      await parts.requests.request({ method: "GET", path: `${path}${query}`, idempotent: false }, { retries: 0 });
      throw new OperatorError("KUBE_UNREACHABLE", `EXEC ${path}: the connection could not be opened`);
    }
    return await talk(socket, { path, stdin, deadline });
  } finally {
    deadline.clear();
    socket?.close();
  }
}

function untilOpen(socket: WebSocket, deadline: Deadline): Promise<boolean> {
  return new Promise((resolve, reject) => {
    deadline.signal.addEventListener("abort", () => reject(deadline.signal.reason as Error), { once: true });
    socket.addEventListener("open", () => resolve(true), { once: true });
    socket.addEventListener("error", () => resolve(false), { once: true });
  });
}

function talk(
  socket: WebSocket,
  how: { readonly path: string; readonly stdin: string | undefined; readonly deadline: Deadline },
): Promise<ExecResult> {
  const output: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  let bytes = 0;
  const { signal } = how.deadline;
  return new Promise((resolve, reject) => {
    const fail = (code: "KUBE_FAILED" | "KUBE_UNREACHABLE", message: string): void =>
      reject(new OperatorError(code, `EXEC ${how.path}: ${message}`));
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    socket.addEventListener("close", () => fail("KUBE_UNREACHABLE", "the connection ended before the program"));
    socket.addEventListener("message", ({ data }) => {
      const message = Buffer.from(data as ArrayBuffer);
      const [channel] = message;
      const rest = message.subarray(1);
      if (channel === CHANNEL.stdout || channel === CHANNEL.stderr) {
        bytes += rest.length;
        if (bytes > OUTPUT_BYTES_MAX) return fail("KUBE_FAILED", `more than ${OUTPUT_BYTES_MAX} bytes of output`);
        output[channel === CHANNEL.stdout ? "stdout" : "stderr"].push(rest);
      } else if (channel === CHANNEL.error) {
        const end = exitOf(rest.toString("utf8"));
        if (typeof end === "string") return fail("KUBE_FAILED", end);
        const text = (pieces: readonly Buffer[]): string => Buffer.concat(pieces).toString("utf8");
        resolve({ exitCode: end, stdout: text(output.stdout), stderr: text(output.stderr) });
      }
    });
    if (how.stdin !== undefined) {
      socket.send(Buffer.concat([Buffer.from([CHANNEL.stdin]), Buffer.from(how.stdin)]));
      socket.send(Buffer.from([CHANNEL.close, CHANNEL.stdin]));
    }
  });
}

/** The exit code, or why there is none. */
function exitOf(text: string): number | string {
  let status: ExecStatus;
  try {
    status = JSON.parse(text) as ExecStatus;
  } catch {
    // Container runtimes have been seen to put plain text here.
    return text;
  }
  if (status.status === "Success") return 0;
  const code = status.details?.causes?.find((cause) => cause.reason === "ExitCode")?.message;
  return status.reason === "NonZeroExitCode" && code !== undefined ? Number(code) : (status.message ?? "failed");
}
