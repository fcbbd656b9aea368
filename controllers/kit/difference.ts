import { compareQuantities } from "../../crds/quantity.ts";
import { canonicalJson } from "../../lib/core/canonical.ts";

/** A place where an object is not as desired. */
export interface Difference {
  /** In words: "image of container postgres". */
  readonly what: string;
  readonly live: unknown;
  /** `undefined` where nothing is desired any more. */
  readonly desired: unknown;
}

/** Lists to which nobody else adds, so an item that the desired list lacks was taken out. Admission adds to all others. */
const OURS_ALONE: readonly string[] = ["env", "ports"];

/** Names of items in the singular; the item's own name follows. */
const SINGULAR: Readonly<Record<string, string>> = {
  containers: "container",
  volumes: "volume",
  volumeMounts: "mount",
  ports: "port",
};

/**
 * Where a spec that the server keeps differs from the one that we would write: members that only the server's defaults or
 * other programs added are no difference, and neither is another notation of a quantity. Items of lists are told by
 * their names.
 */
export function differencesOf(live: unknown, desired: unknown): Difference[] {
  return compare({ fields: [], of: "" }, live, desired);
}

/** The first differences in one phrase, and how many more there are. */
export function inWords(differences: readonly string[], shown = 3): string {
  const more = differences.length - shown;
  return [...differences.slice(0, shown), ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

interface Place {
  readonly fields: readonly string[];
  /** "" or " of container postgres". */
  readonly of: string;
}

function compare(place: Place, live: unknown, desired: unknown): Difference[] {
  if (isRecord(desired) && isRecord(live)) {
    return Object.entries(desired).flatMap(([name, member]) =>
      member === undefined ? [] : compareMember(place, name, { live: live[name], desired: member }),
    );
  }
  if (isEqual(live, desired)) return [];
  return [{ what: `${place.fields.join(".")}${place.of}`, live, desired }];
}

interface Pair {
  readonly live: unknown;
  readonly desired: unknown;
}

function compareMember(place: Place, name: string, { live, desired }: Pair): Difference[] {
  const items = itemsByName(desired);
  if (items === undefined) return compare({ ...place, fields: [...place.fields, name] }, live, desired);
  const present = itemsByName(live) ?? new Map<string, unknown>();
  const changed = [...items].flatMap(([item, wanted]) => {
    const inItem = placeOf(place, name, item);
    if (!present.has(item)) return [{ what: wholeOf(place, name, item), live: undefined, desired: wanted }];
    const found = compare(inItem, present.get(item), wanted);
    // A variable has one value: its name says it all.
    return name === "env"
      ? found.map(({ live: was, desired: is }) => ({ what: wholeOf(place, name, item), live: was, desired: is }))
      : found;
  });
  const removed = OURS_ALONE.includes(name) ? [...present.keys()].filter((item) => !items.has(item)) : [];
  return [
    ...changed,
    ...removed.map((item) => ({ what: wholeOf(place, name, item), live: present.get(item), desired: undefined })),
  ];
}

function placeOf(place: Place, list: string, item: string): Place {
  return { fields: [], of: ` of ${wholeOf(place, list, item)}` };
}

function wholeOf({ of }: Place, list: string, item: string): string {
  return list === "env" ? `${item}${of}` : `${SINGULAR[list] ?? list} ${item}${of}`;
}

/** Items of a list in which each has a name of its own; `undefined` for anything else. */
function itemsByName(list: unknown): Map<string, unknown> | undefined {
  if (!Array.isArray(list) || list.length === 0) return undefined;
  const named = new Map<string, unknown>();
  for (const item of list as readonly unknown[]) {
    const name = isRecord(item) ? item["name"] : undefined;
    if (typeof name !== "string" || named.has(name)) return undefined;
    named.set(name, item);
  }
  return named;
}

function isEqual(live: unknown, desired: unknown): boolean {
  if (typeof live === "string" && typeof desired === "string") {
    return live === desired || compareQuantities(live, desired) === 0;
  }
  return canonicalJson(live) === canonicalJson(desired);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
