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

/** Members that hold quantities. Elsewhere "1" and "1000m" are two texts: a label, an argument. */
const QUANTITIES: readonly string[] = ["requests", "limits", "sizeLimit"];

/** Names of items in the singular; the item's own name follows. */
const SINGULAR: Readonly<Record<string, string>> = {
  containers: "container",
  volumes: "volume",
  volumeMounts: "mount",
  ports: "port",
};

/**
 * Where a spec that the server keeps differs from the one that we would write: members and items that only the server's
 * defaults or other programs added are no difference, and neither is another notation of a quantity, nor an empty member,
 * which the server drops. Items of lists are told by their names.
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
  if (isSame(place, live, desired)) return [];
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
    const what = wholeOf(place, name, item);
    if (!present.has(item)) return [{ what, live: undefined, desired: contentOf(name, wanted) }];
    const found = compare({ fields: [], of: ` of ${what}` }, present.get(item), wanted);
    if (name !== "env" || found.length === 0) return found;
    // A variable has one value: its name says it all.
    return [{ what, live: contentOf(name, present.get(item)), desired: contentOf(name, wanted) }];
  });
  const removed = OURS_ALONE.includes(name) ? [...present.keys()].filter((item) => !items.has(item)) : [];
  return [
    ...changed,
    ...removed.map((item) => ({
      what: wholeOf(place, name, item),
      live: contentOf(name, present.get(item)),
      desired: undefined,
    })),
  ];
}

function wholeOf({ of }: Place, list: string, item: string): string {
  return list === "env" ? `${item}${of}` : `${SINGULAR[list] ?? list} ${item}${of}`;
}

/** The value of a variable that has one; any other item as it is. */
function contentOf(list: string, item: unknown): unknown {
  return list === "env" && isRecord(item) && typeof item["value"] === "string" ? item["value"] : item;
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

function isSame({ fields }: Place, live: unknown, desired: unknown): boolean {
  if (live === undefined && isEmpty(desired)) return true;
  if (typeof live === "string" && typeof desired === "string") {
    return (
      live === desired || (fields.some((name) => QUANTITIES.includes(name)) && compareQuantities(live, desired) === 0)
    );
  }
  if (Array.isArray(live) && Array.isArray(desired) && desired.length > 0 && desired.every(isRecord)) {
    return desired.every((wanted) => live.some((item) => differencesOf(item, wanted).length === 0));
  }
  return canonicalJson(live) === canonicalJson(desired);
}

/** Holds nothing, however deep. */
function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return isRecord(value) && Object.values(value).every((member) => member === undefined || isEmpty(member));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
