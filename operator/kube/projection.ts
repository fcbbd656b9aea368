import { canonicalJson } from "../../lib/core/canonical.ts";
import { isLeftOut, isSameValue, type Place, placeOf, topOf } from "./notation.ts";

/**
 * The part of `live` that `desired` speaks about: the members it names, at every depth. Lists of equal length are
 * compared element by element, others are kept whole. What other managers and the server's defaults add falls away, and
 * what the server says in another form stands there as `desired` says it (`notation.ts`).
 */
export function project(live: unknown, desired: unknown, place: Place = topOf(desired)): unknown {
  if (desired === null || typeof desired !== "object") return isSameValue(live, desired, place) ? desired : live;
  if (Array.isArray(desired)) {
    if (!Array.isArray(live) || live.length !== desired.length) return live;
    return desired.map((element, index) => project(live[index], element, place));
  }
  if (live === null || typeof live !== "object" || Array.isArray(live)) return live;
  const source = live as Record<string, unknown>;
  const members: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(desired)) {
    if (member === undefined) continue;
    const at = placeOf(name, place);
    if (Object.hasOwn(source, name)) members[name] = project(source[name], member, at);
    else if (isLeftOut(member, { place: at, parent: place })) members[name] = member;
  }
  return members;
}

/**
 * True when `live` has all that `desired` speaks about, as it says: the projection of the one is the other. Walks both
 * without a copy: every look at an object asks this.
 */
export function covers(live: unknown, desired: unknown, place: Place = topOf(desired)): boolean {
  if (desired === null || typeof desired !== "object") return isSameValue(live, desired, place);
  if (live === null || typeof live !== "object" || Array.isArray(live) !== Array.isArray(desired)) return false;
  if (Array.isArray(desired)) {
    const elements = live as readonly unknown[];
    return (
      elements.length === desired.length && desired.every((element, index) => covers(elements[index], element, place))
    );
  }
  const source = live as Record<string, unknown>;
  for (const [name, member] of Object.entries(desired)) {
    if (member === undefined) continue;
    const at = placeOf(name, place);
    if (!Object.hasOwn(source, name)) {
      if (!isLeftOut(member, { place: at, parent: place })) return false;
    } else if (!covers(source[name], member, at)) return false;
  }
  return true;
}

/** What a JSON merge patch (RFC 7386) makes of a value. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return patch;
  const base = target !== null && typeof target === "object" && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [name, member] of Object.entries(patch)) {
    if (member === null) delete result[name];
    else if (member !== undefined) result[name] = mergePatch(result[name], member);
  }
  return result;
}

/** True when a merge patch would change nothing. */
export function isSatisfied(target: unknown, patch: unknown): boolean {
  return canonicalJson(mergePatch(target, patch)) === canonicalJson(target);
}
