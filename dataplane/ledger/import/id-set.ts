/** Which ids a file has had, in 12 to 48 bytes an id: a hash of 64 bits and the line, in open addressing. */

/** Remembers ids. */
export interface IdSet {
  /** @returns the line that had the id before; 0 when none had, and then the id is known from now on */
  add(id: string, line: number): number;
}

const FIRST_SLOTS = 1 << 12;

/** Two ids share a hash once in 10 million files of a million rows. */
export function createIdSet(): IdSet {
  let slots = FIRST_SLOTS;
  let count = 0;
  let high = new Uint32Array(slots);
  let low = new Uint32Array(slots);
  let lines = new Uint32Array(slots);

  const slotOf = (a: number, b: number): number => {
    let slot = (a ^ b) & (slots - 1);
    while (lines[slot] !== 0 && (high[slot] !== a || low[slot] !== b)) slot = (slot + 1) & (slots - 1);
    return slot;
  };
  const put = (slot: number, a: number, b: number, line: number): void => {
    high[slot] = a;
    low[slot] = b;
    lines[slot] = line;
  };
  const grow = (): void => {
    const before = { high, low, lines };
    slots *= 2;
    high = new Uint32Array(slots);
    low = new Uint32Array(slots);
    lines = new Uint32Array(slots);
    for (let index = 0; index < before.lines.length; index += 1) {
      const line = before.lines[index] as number;
      if (line === 0) continue;
      const [a, b] = [before.high[index] as number, before.low[index] as number];
      put(slotOf(a, b), a, b, line);
    }
  };
  return {
    add: (id, line) => {
      const [a, b] = hash64(id);
      const slot = slotOf(a, b);
      const known = lines[slot] as number;
      if (known !== 0) return known;
      put(slot, a, b, line);
      count += 1;
      if (count * 4 > slots * 3) grow();
      return 0;
    },
  };
}

/** Two halves that are mixed with different multipliers, and once more at the end. */
function hash64(text: string): [number, number] {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return [a >>> 0, b >>> 0];
}
