import { isDeepStrictEqual } from "node:util";
import { StatusError } from "../status-error.ts";

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

/** As the real server: it does not say which operation did not fit. */
function refused(): StatusError {
  return new StatusError({ status: 422, message: "the server rejected our request due to an error in our request" });
}

/**
 * Applies a JSON patch (RFC 6902).
 * @throws StatusError 400 for what is no patch, 422 for an operation that does not fit or a test that fails
 */
export function jsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) {
    throw new StatusError({ status: 400, message: "error decoding patch: json: cannot unmarshal object into a patch" });
  }
  return (patch as Operation[]).reduce(applyOne, clone(target));
}

function applyOne(target: unknown, operation: Operation): unknown {
  const path = parsePointer(operation.path);
  switch (operation.op) {
    case "add":
      return put(target, path, { value: operation.value, isNew: true });
    case "replace":
      // As the real server: a member that is not there is added.
      return put(target, path, { value: operation.value, isNew: false });
    case "remove":
      return remove(target, path);
    case "test":
      if (!isDeepStrictEqual(read(target, path), operation.value)) throw refused();
      return target;
    case "copy":
      return put(target, path, { value: clone(read(target, parsePointer(operation.from))), isNew: true });
    case "move": {
      const from = parsePointer(operation.from);
      const value = read(target, from);
      return put(remove(target, from), path, { value, isNew: true });
    }
    default:
      throw refused();
  }
}

/** Plain JSON stays plain: structuredClone would take the prototypes of another realm under Jest, and compare unequal. */
function clone(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function parsePointer(pointer: string | undefined): string[] {
  if (pointer === "") return [];
  if (pointer === undefined || !pointer.startsWith("/")) throw refused();
  return pointer
    .slice(1)
    .split("/")
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function read(target: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, token) => {
    if (at === null || typeof at !== "object" || !Object.hasOwn(at, token)) throw refused();
    return (at as Record<string, unknown>)[token];
  }, target);
}

function put(
  target: unknown,
  path: readonly string[],
  what: { readonly value: unknown; readonly isNew: boolean },
): unknown {
  const token = path.at(-1);
  if (token === undefined) return what.value;
  const parent = read(target, path.slice(0, -1));
  if (Array.isArray(parent)) {
    const index = token === "-" && what.isNew ? parent.length : Number(token);
    const last = what.isNew ? parent.length : parent.length - 1;
    if (!Number.isInteger(index) || index < 0 || index > last) throw refused();
    parent.splice(index, what.isNew ? 0 : 1, what.value);
    return target;
  }
  if (parent === null || typeof parent !== "object") throw refused();
  (parent as Record<string, unknown>)[token] = what.value;
  return target;
}

function remove(target: unknown, path: readonly string[]): unknown {
  const token = path.at(-1);
  if (token === undefined) throw refused();
  read(target, path);
  const parent = read(target, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(Number(token), 1);
  else delete (parent as Record<string, unknown>)[token];
  return target;
}
