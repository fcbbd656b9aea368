import { systemClock } from "../../lib/core/clock.ts";
import { collectionPath } from "../../lib/kube/paths.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";

// Requests as bytes: what the client hides, the fake has to do as well as the real server.

const MEDIA = {
  POST: "application/json",
  PUT: "application/json",
  DELETE: "application/json",
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

/** A method, or the format of a PATCH. */
export type WireMethod = "GET" | keyof typeof MEDIA;

/** Any answer, or any event's object: the cases know what they asked for. */
export interface WireObject extends KubeObject {
  readonly status?: unknown;
  readonly reason?: string;
  readonly message?: string;
  readonly code?: number;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly items?: readonly WireObject[];
}

export interface WireAnswer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: WireObject;
}

export interface WireEvent {
  readonly type: string;
  readonly object: WireObject;
}

/** An open watch. */
export interface WireWatch {
  /** The next line; `undefined` when the server ended the watch. @throws Error when it broke, or after `withinMs` */
  next(withinMs?: number): Promise<WireEvent | undefined>;
  close(): Promise<void>;
}

/** Longest wait for a line that is due. */
const NEXT_MS = 8_000;

/** Sends one request. A string is sent as it is, anything else as JSON. */
export async function sendWire(server: string, request: string, body?: unknown): Promise<WireAnswer> {
  const [method, path] = request.split(" ") as [WireMethod, string];
  const isPatch = method === "merge" || method === "json" || method === "apply";
  const response = await fetch(`${server}${path}`, {
    method: isPatch ? "PATCH" : method,
    ...(body === undefined || method === "GET"
      ? {}
      : { body: typeof body === "string" ? body : JSON.stringify(body), headers: { "content-type": MEDIA[method] } }),
  });
  const text = await response.text();
  return {
    status: response.status,
    retryAfter: response.headers.get("retry-after"),
    body: JSON.parse(text) as WireObject,
  };
}

/** Opens a watch. @throws Error when it is refused; use `sendWire` to look at refusals */
export async function watchWire(server: string, path: string): Promise<WireWatch> {
  const stop = new AbortController();
  const response = await fetch(`${server}${path}`, { signal: stop.signal });
  if (response.status !== 200 || response.body === null) throw new Error(`HTTP ${response.status}`);
  const lines = linesOf(response.body);
  return {
    next: async (withinMs = NEXT_MS) => {
      const timeout = new AbortController();
      const late = systemClock.sleep(withinMs, timeout.signal).then(() => {
        throw new Error(`no line within ${withinMs} ms`);
      });
      try {
        const { value } = await Promise.race([lines.next(), late]);
        return value === undefined ? undefined : (JSON.parse(value) as WireEvent);
      } finally {
        late.catch(() => undefined);
        timeout.abort();
      }
    },
    close: async () => {
      stop.abort();
    },
  };
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  return undefined;
}

/** `/api/v1/namespaces/default/configmaps`, with a name and a query. */
export function pathOf(type: ResourceType, name = "", query: Readonly<Record<string, string>> = {}): string {
  const path = collectionPath(type, "default");
  const text = new URLSearchParams(query).toString();
  return `${path}${name === "" ? "" : `/${name}`}${text === "" ? "" : `?${text}`}`;
}

/** Managers, operations and fields of an object, without times. */
export function ownersOf(object: KubeObject): string[] {
  const entries = (object.metadata["managedFields"] ?? []) as {
    manager: string;
    operation: string;
    subresource?: string;
    fieldsV1: unknown;
  }[];
  return entries.map(
    ({ manager, operation, subresource, fieldsV1 }) =>
      `${manager} ${operation}${subresource === undefined ? "" : ` ${subresource}`} ${sortedJson(fieldsV1)}`,
  );
}

function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    member !== null && typeof member === "object" && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
