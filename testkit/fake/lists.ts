import type { KubeObject } from "../../lib/kube/types.ts";
import { StatusError } from "../status-error.ts";
import { type Collection, kindOf } from "./requests.ts";
import { selectionOf } from "./selection.ts";
import type { FakeStore } from "./store-types.ts";

/** Answers to list requests: pages of one consistent version. */
export interface FakeLists {
  /** The body of the answer. @throws StatusError */
  answer(collection: Collection, query: URLSearchParams): object;
  /** Further pages of the lists so far are gone. */
  compact(): void;
}

interface Snapshot {
  readonly version: number;
  readonly items: readonly KubeObject[];
}

const TOO_OLD =
  "The provided continue parameter is too old to display a consistent list result. Start a new list without it.";

export function createFakeLists(store: FakeStore): FakeLists {
  /** What the later pages of a list show, by version and selection; others may write meanwhile. */
  const snapshots = new Map<string, Snapshot>();

  const snapshotFor = (collection: Collection, query: URLSearchParams): { id: string; snapshot: Snapshot } => {
    const matches = selectionOf(query);
    const id = `${collection.id} ${collection.namespace} ${query.get("labelSelector")} ${query.get("fieldSelector")}`;
    const token = query.get("continue") ?? "";
    if (token !== "") {
      const { rv } = parseToken(token);
      const snapshot = snapshots.get(`${rv} ${id}`);
      if (snapshot === undefined) throw new StatusError({ status: 410, message: TOO_OLD });
      return { id: `${rv} ${id}`, snapshot };
    }
    const version = store.version();
    const asked = Number(query.get("resourceVersion") ?? "0");
    if (asked > version) {
      throw new StatusError({
        status: 504,
        message: `Timeout: Too large resource version: ${asked}, current: ${version}`,
        details: { retryAfterSeconds: 1 },
        causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
      });
    }
    const items = store.list(collection.id, collection.namespace).filter(matches);
    return { id: `${version} ${id}`, snapshot: { version, items } };
  };

  return {
    answer: (collection, query) => {
      assertListOptions(query);
      // As the real server: what its memory answers, it answers whole.
      const limit = query.get("resourceVersion") === "0" ? 0 : Number(query.get("limit") ?? "0");
      const { id, snapshot } = snapshotFor(collection, query);
      const token = query.get("continue") ?? "";
      const start = token === "" ? 0 : parseToken(token).start;
      const end = limit > 0 ? start + limit : snapshot.items.length;
      const items = snapshot.items.slice(start, end);
      const remaining = snapshot.items.length - start - items.length;
      if (remaining > 0) snapshots.set(id, snapshot);
      const isSelected = (query.get("labelSelector") ?? "") !== "" || (query.get("fieldSelector") ?? "") !== "";
      return {
        kind: `${kindOf(collection, snapshot.items[0]?.kind)}List`,
        apiVersion: collection.apiVersion,
        metadata: {
          resourceVersion: String(snapshot.version),
          ...(remaining > 0 ? { continue: formatToken(snapshot.version, end) } : {}),
          // As the real server: with a selector it does not know how many are left.
          ...(remaining > 0 && !isSelected ? { remainingItemCount: remaining } : {}),
        },
        // As the real server: items of built-in lists come without apiVersion and kind.
        items: items.map(({ apiVersion: _apiVersion, kind: _kind, ...rest }) => rest),
      };
    },
    compact: () => snapshots.clear(),
  };
}

function formatToken(version: number, start: number): string {
  return Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: version, start })).toString("base64url");
}

function parseToken(token: string): { readonly rv: number; readonly start: number } {
  try {
    const { rv, start } = JSON.parse(Buffer.from(token, "base64url").toString("utf8")) as Record<string, unknown>;
    if (typeof rv === "number" && typeof start === "number") return { rv, start };
  } catch {
    // Falls through to the refusal below: whatever it is, it is not ours.
  }
  throw new StatusError({ status: 400, message: "invalid continue token: continue key is not valid" });
}

/** @throws StatusError 422 with the real server's words */
function assertListOptions(query: URLSearchParams): void {
  const forbid = (field: string, why: string): never => {
    throw invalidListOption(field, why);
  };
  if (query.has("sendInitialEvents")) forbid("sendInitialEvents", "sendInitialEvents is forbidden for list");
  if (query.has("resourceVersionMatch")) {
    if ((query.get("resourceVersion") ?? "") === "")
      forbid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (query.has("continue"))
      forbid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
  }
}

/** Options of a list or watch that contradict each other. */
export function invalidListOption(field: string, why: string): StatusError {
  const message = `Forbidden: ${why}`;
  return new StatusError({
    status: 422,
    message: `ListOptions.meta.k8s.io "" is invalid: ${field}: ${message}`,
    details: { group: "meta.k8s.io", kind: "ListOptions" },
    causes: [{ reason: "FieldValueForbidden", message, field }],
  });
}
