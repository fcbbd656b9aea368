import { OperatorError } from "../core/errors.ts";
import { createDeadline } from "./deadline.ts";
import { errorFromNetwork } from "./kube-errors.ts";
import { LineTooLong, linesOf } from "./lines.ts";
import { type ObjectRef, objectPath, type Query } from "./paths.ts";
import { type ExecOptions, type ExecResult, type PodParts, runExec } from "./pod-exec.ts";
import type { RequestOptions } from "./request-options.ts";
import type { Requests } from "./requests.ts";
import { RESOURCES } from "./types.ts";

export interface EvictOptions extends RequestOptions {
  /** Evict only this very pod. */
  readonly uid?: string | undefined;
  readonly gracePeriodSeconds?: number | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface LogOptions {
  /** Needed when the pod has more than one. */
  readonly container?: string | undefined;
  /** Goes on until the container ends or the signal aborts; without it what is there now. */
  readonly follow?: boolean | undefined;
  /** Only the last lines. */
  readonly tailLines?: number | undefined;
  readonly sinceSeconds?: number | undefined;
  /** Of the container before its last restart. */
  readonly previous?: boolean | undefined;
  /** Each line begins with an RFC 3339 time. */
  readonly timestamps?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For the whole read; 30 s unless told, none with `follow`. */
  readonly timeoutMs?: number | undefined;
}

/** What pods can be asked beside their object. */
export interface PodClient {
  /**
   * Asks for the end of a pod, as far as disruption budgets allow.
   * @throws OperatorError KUBE_EVICTION_BLOCKED by a budget, with the server's Retry-After; KUBE_NOT_FOUND, KUBE_CONFLICT (another uid)
   */
  evict(ref: ObjectRef, options?: EvictOptions): Promise<void>;
  /** Lines of a container's log, without empty ones. @throws OperatorError KUBE_INVALID when there is no log yet, KUBE_… */
  logs(ref: ObjectRef, options?: LogOptions): AsyncGenerator<string>;
  /** Runs a program in a container and waits for its end. An exit code other than 0 is a result, not an error. */
  exec(ref: ObjectRef, options: ExecOptions): Promise<ExecResult>;
}

const LOG_TIMEOUT_MS = 30_000;
/** The kubelet cuts lines at 16 KiB; runtimes that do not are not worth more memory than this. */
const LOG_LINE_BYTES_MAX = 1024 * 1024;

/** Subresources of pods that are not objects. */
export function createPodClient(parts: PodParts): PodClient {
  const { requests } = parts;
  return {
    evict: async ({ namespace, name }, how = {}) => {
      const body = {
        apiVersion: "policy/v1",
        kind: "Eviction",
        metadata: { name, namespace },
        deleteOptions: {
          gracePeriodSeconds: how.gracePeriodSeconds,
          ...(how.uid === undefined ? {} : { preconditions: { uid: how.uid } }),
          ...(how.dryRun === true ? { dryRun: ["All"] } : {}),
        },
      };
      const path = objectPath(RESOURCES.Pod, { namespace, name }, "eviction");
      // Under its uid a pod is evicted once at most, however often it is asked for.
      await requests.request({ method: "POST", path, body, idempotent: how.uid !== undefined }, how);
    },
    logs: (ref, how = {}) => readLogs(requests, ref, how),
    exec: (ref, how) => runExec(parts, ref, how),
  };
}

async function* readLogs(requests: Requests, ref: ObjectRef, how: LogOptions): AsyncGenerator<string> {
  const path = objectPath(RESOURCES.Pod, ref, "log");
  const { container, follow, tailLines, sinceSeconds, previous, timestamps } = how;
  const query: Query = { container, follow, tailLines, sinceSeconds, previous, timestamps };
  const timeoutMs = how.timeoutMs ?? (follow === true ? undefined : LOG_TIMEOUT_MS);
  const deadline = createDeadline(timeoutMs, how.signal);
  const left = new AbortController();
  const signal = AbortSignal.any([deadline.signal, left.signal]);
  const context = { method: "GET", path };
  try {
    // The API server answers in text, and its own errors in JSON.
    const stream = await requests.openStream(
      { method: "GET", path, query, accept: "*/*", idempotent: true },
      { signal },
    );
    yield* linesOf(stream.body, { bytesMax: LOG_LINE_BYTES_MAX, rest: "line" });
  } catch (error) {
    if (deadline.signal.aborted) throw deadline.signal.reason;
    if (error instanceof LineTooLong) throw new OperatorError("KUBE_FAILED", `GET ${path}: ${error.message}`);
    throw errorFromNetwork(context, error);
  } finally {
    deadline.clear();
    // Ends the connection when the reader stopped in the middle.
    left.abort();
  }
}
