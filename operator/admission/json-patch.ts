import { isLongNumber } from "./exact-json.ts";

/** An operation of RFC 6902, as far as a difference needs them. */
export type PatchOperation =
  | { readonly op: "add" | "replace"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string };

/**
 * The operations that turn one JSON value into another, in the order in which they apply; none when they are equal.
 * Members whose value is `undefined` count as absent. Lists are compared between what they have in common at both ends,
 * so that an inserted or removed item does not replace its neighbours; moves are not looked for. Small and right, not
 * minimal: the API server carries a patch out and forgets it.
 */
export function diffJson(before: unknown, after: unknown): readonly PatchOperation[] {
  const operations: PatchOperation[] = [];
  compare({ before, after, path: "" }, operations);
  return operations;
}

interface Pair {
  readonly before: unknown;
  readonly after: unknown;
  readonly path: string;
}

function compare({ before, after, path }: Pair, operations: PatchOperation[]): void {
  if (Array.isArray(before) && Array.isArray(after)) return compareLists(before, after, { path, operations });
  if (isMap(before) && isMap(after)) return compareMaps(before, after, { path, operations });
  if (!isEqual(before, after)) operations.push({ op: "replace", path, value: after });
}

interface Place {
  readonly path: string;
  readonly operations: PatchOperation[];
}

function compareMaps(before: JsonMap, after: JsonMap, { path, operations }: Place): void {
  for (const [name, value] of Object.entries(before)) {
    if (value !== undefined && memberOf(after, name) === undefined) {
      operations.push({ op: "remove", path: `${path}/${escapeToken(name)}` });
    }
  }
  for (const [name, value] of Object.entries(after)) {
    if (value === undefined) continue;
    const here = `${path}/${escapeToken(name)}`;
    const old = memberOf(before, name);
    if (old === undefined) operations.push({ op: "add", path: here, value });
    else compare({ before: old, after: value, path: here }, operations);
  }
}

function compareLists(before: readonly unknown[], after: readonly unknown[], { path, operations }: Place): void {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && isEqual(before[head], after[head])) head += 1;
  let tail = 0;
  while (tail < shorter - head && isEqual(before.at(-1 - tail), after.at(-1 - tail))) tail += 1;
  const removed = before.slice(head, before.length - tail);
  const added = after.slice(head, after.length - tail);
  const both = Math.min(removed.length, added.length);
  for (let index = 0; index < both; index += 1) {
    compare({ before: removed[index], after: added[index], path: `${path}/${head + index}` }, operations);
  }
  // From the end, so that the indexes of those that are still to go stay as they are.
  for (let index = removed.length - 1; index >= both; index -= 1) {
    operations.push({ op: "remove", path: `${path}/${head + index}` });
  }
  for (let index = both; index < added.length; index += 1) {
    operations.push({ op: "add", path: `${path}/${head + index}`, value: added[index] });
  }
}

/** Equality of JSON values; the order of members does not matter, `undefined` is absent. */
export function isEqual(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (isLongNumber(left)) return isLongNumber(right) && left.rawJSON === right.rawJSON;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => isEqual(item, right[index]));
  }
  if (!isMap(left) || !isMap(right)) return false;
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].every((name) => isEqual(memberOf(left, name), memberOf(right, name)));
}

type JsonMap = Readonly<Record<string, unknown>>;

function isMap(value: unknown): value is JsonMap {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isLongNumber(value);
}

/** Own members only: a member may be called "constructor". */
function memberOf(map: JsonMap, name: string): unknown {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}

/** RFC 6901, section 3. */
function escapeToken(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}
