import { elementsOf, itemElement } from "./field-set.ts";
import { mergeTypeOf } from "./list-types.ts";

type Fields = Readonly<Record<string, unknown>>;

/**
 * What an applied configuration makes of a live value: named members take the applied value, others stay.
 * @param names field names down to here, joined by dots
 */
export function mergeApplied(
  live: unknown,
  applied: unknown,
  at: { readonly collection: string; readonly names: string },
): unknown {
  const { collection, names } = at;
  const type = mergeTypeOf(collection, names);
  if (applied === undefined) return live;
  if (type?.type === "atomic" || applied === null || typeof applied !== "object") return applied;
  if (Array.isArray(applied)) {
    if (type === undefined || !Array.isArray(live)) return applied;
    const isOneValue = type.type === "set" || mergeTypeOf(collection, `${names}.*`)?.type === "atomic";
    const merge = (before: unknown, after: unknown): unknown =>
      isOneValue || before === undefined ? after : mergeMembers(before as Fields, after as Fields, at);
    return mergeItems(live, applied, { nameOf: (item) => itemElement(item, type), merge });
  }
  if (live === null || typeof live !== "object" || Array.isArray(live)) return applied;
  return mergeMembers(live as Fields, applied as Fields, at);
}

function mergeMembers(
  live: Fields,
  applied: Fields,
  at: { readonly collection: string; readonly names: string },
): Fields {
  const merged: Record<string, unknown> = { ...live };
  for (const [name, value] of Object.entries(applied)) {
    const names = at.names === "" ? name : `${at.names}.${name}`;
    merged[name] = mergeApplied(live[name], value, { collection: at.collection, names });
  }
  return merged;
}

/**
 * The order of structured-merge-diff: items that both have follow the applied order, items of one side alone keep their
 * place beside their neighbours.
 */
function mergeItems(
  live: readonly unknown[],
  applied: readonly unknown[],
  how: { readonly nameOf: (item: unknown) => string; readonly merge: (before: unknown, after: unknown) => unknown },
): unknown[] {
  const left = live.map((item) => ({ item, name: how.nameOf(item) }));
  const right = applied.map((item) => ({ item, name: how.nameOf(item) }));
  const byName = new Map(left.map(({ item, name }) => [name, item]));
  const inApplied = new Set(right.map(({ name }) => name));
  const shared = right.map(({ name }) => name).filter((name) => byName.has(name));
  const out: unknown[] = [];
  const taken = new Set<string>();
  const take = ({ item, name }: { item: unknown; name: string }): void => {
    out.push(how.merge(byName.get(name), item));
    taken.add(name);
    if (shared[0] === name) shared.shift();
  };
  let l = 0;
  let r = 0;
  while (l < left.length || r < right.length) {
    const mine = left[l];
    const theirs = right[r];
    if (mine !== undefined && theirs !== undefined) {
      if (mine.name === theirs.name) {
        take(theirs);
        l += 1;
        r += 1;
        continue;
      }
      // Both have it, but another one is next in the applied order: it comes with its applied place.
      if (inApplied.has(mine.name) && shared[0] !== mine.name) {
        l += 1;
        continue;
      }
    }
    if (mine !== undefined && !inApplied.has(mine.name)) {
      out.push(mine.item);
      l += 1;
    } else if (mine !== undefined && taken.has(mine.name)) {
      l += 1;
    } else if (theirs !== undefined) {
      take(theirs);
      r += 1;
    }
  }
  return out;
}

/** Takes a path out of a value, and what is left empty by that. @returns `undefined` when nothing is left */
export function removeField(value: unknown, path: string, collection: string): unknown {
  const remove = (at: unknown, elements: readonly string[], names: string): unknown => {
    const [element, ...rest] = elements;
    if (element === undefined || at === null || typeof at !== "object") return undefined;
    if (Array.isArray(at)) {
      const type = mergeTypeOf(collection, names);
      if (type === undefined) return at;
      const items = at.flatMap((item: unknown) => {
        if (itemElement(item, type) !== element) return [item];
        const left = rest.length === 0 ? undefined : remove(item, rest, names);
        return left === undefined ? [] : [left];
      });
      return items.length === 0 ? undefined : items;
    }
    const name = element.slice(2);
    const { [name]: member, ...others } = at as Record<string, unknown>;
    if (member === undefined) return at;
    const left = rest.length === 0 ? undefined : remove(member, rest, names === "" ? name : `${names}.${name}`);
    if (left !== undefined) return { ...others, [name]: left };
    return Object.keys(others).length === 0 ? undefined : others;
  };
  return remove(value, elementsOf(path), "");
}
