import { compareQuantities } from "../../crds/quantity.ts";

/*
 * Where the server writes what was asked for in another form. Only places of the built-in kinds, each with a parent that
 * tells it from a key of the same name in somebody's data: what is not listed here must stand there as it was sent.
 *
 *   quantities   `1000m` is kept as `1`, `1024Mi` as `1Gi`, the number 1 as `"1"`
 *   empty        lists and some maps and texts are not kept when they are empty. Not so `{}` elsewhere: an empty selector
 *                selects everything, an absent one nothing
 */

/** A place in an object: the name of the member that it is in, or one of the places below. Items are where their list is. */
export type Place = string;

/** The top of an object of a custom kind, and everywhere below it but in its metadata: kept as it was sent. */
const CUSTOM = "#custom";
const AS_SENT = "#as-sent";
const QUANTITIES = "#quantities";
const QUANTITY = "#quantity";

/** Maps that are not there when they are empty. */
const MAPS: ReadonlySet<Place> = new Set([
  QUANTITIES,
  "annotations",
  "binaryData",
  "data",
  "labels",
  "matchLabels",
  "nodeSelector",
]);
/** Lists in whose items an empty text is not there. */
const LISTS_OF_TEXTS: ReadonlySet<Place> = new Set(["env", "tolerations"]);

/** The place of a whole object, by its group; of anything else, one of a built-in kind. */
export function topOf(object: unknown): Place {
  const { apiVersion } = (object ?? {}) as { readonly apiVersion?: unknown };
  const [group = "", version] = typeof apiVersion === "string" ? apiVersion.split("/") : [];
  return version !== undefined && group.includes(".") && !group.endsWith(".k8s.io") ? CUSTOM : "";
}

/** The place of a member. */
export function placeOf(member: string, parent: Place): Place {
  if (parent === AS_SENT || (parent === CUSTOM && member !== "metadata")) return AS_SENT;
  if (parent === QUANTITIES) return QUANTITY;
  if (parent === "resources" && (member === "requests" || member === "limits")) return QUANTITIES;
  if (parent === "emptyDir" && member === "sizeLimit") return QUANTITY;
  if (parent === "resourceFieldRef" && member === "divisor") return QUANTITY;
  return member;
}

/** True when a value that is not an object says the same as what is wanted there. */
export function isSameValue(live: unknown, desired: unknown, place: Place): boolean {
  if (Object.is(live, desired)) return true;
  if (place !== QUANTITY || typeof live !== "string") return false;
  // A number is a quantity too, until the server has it.
  const text = typeof desired === "number" ? String(desired) : desired;
  return typeof text === "string" && compareQuantities(live, text) === 0;
}

/** True for a member that the server does not keep: its absence says the same. */
export function isLeftOut(
  desired: unknown,
  { place, parent }: { readonly place: Place; readonly parent: Place },
): boolean {
  if (place === AS_SENT) return false;
  if (desired === "") return LISTS_OF_TEXTS.has(parent);
  if (desired === null || typeof desired !== "object") return false;
  return Object.keys(desired).length === 0 && (Array.isArray(desired) || MAPS.has(place));
}
