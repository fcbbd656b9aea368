/** Makes what the caches keep small and safe to share. */

/** Shorter strings take less than the search for an equal one costs; V8 shares most of them already. */
const LENGTH_MIN = 6;
/** Longer ones are texts and keys of their own. */
const LENGTH_MAX = 64;
/** Strings in the pool. A full pool is emptied: common strings are in it again at once. */
const POOL_MAX = 2_048;

/**
 * A function that freezes a value and everything below it, and keeps equal strings once: the name of an object is in its
 * metadata, its labels and its owner reference, its times and kinds are those of its neighbours. The parser makes a string
 * of its own for each of them, which is a seventh of a typical object.
 */
export function createCompactor(): <T>(value: T) => T {
  const pool = new Map<string, string>();

  const share = (text: string): string => {
    if (text.length < LENGTH_MIN || text.length > LENGTH_MAX) return text;
    const known = pool.get(text);
    if (known !== undefined) return known;
    if (pool.size >= POOL_MAX) pool.clear();
    pool.set(text, text);
    return text;
  };

  const compact = (value: unknown): unknown => {
    if (typeof value === "string") return share(value);
    if (value === null || typeof value !== "object" || Object.isFrozen(value)) return value;
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index += 1) value[index] = compact(value[index]);
    } else {
      const object = value as Record<string, unknown>;
      for (const name of Object.keys(object)) {
        const member = object[name];
        const compacted = compact(member);
        if (compacted !== member || typeof member === "string") object[name] = compacted;
      }
    }
    return Object.freeze(value);
  };

  return <T>(value: T): T => compact(value) as T;
}
