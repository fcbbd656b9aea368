/**
 * Says for sure that an idempotency key was never seen, or that it may have been (a Bloom filter): most new keys need no
 * look-up in the database. Keys are SHA-256 output already, so their own bits serve as hash values.
 */
export interface KeyFilter {
  /** Memory that it takes. */
  bytes(): number;
  /** `key` has at least 8 bytes from `offset` on. */
  add(key: Uint8Array, offset: number): void;
  mayHave(key: Uint8Array, offset: number): boolean;
}

/** Twelve to twenty-four bits and six probes a key: at most 4 false alarms in 1,000, each costs one look-up. */
const BITS_PER_KEY = 12;
const PROBES = 6;
const FIRST_CAPACITY = 1 << 18;
/** Room for 45 million keys at that rate. Beyond them alarms get more, and look-ups with them; memory does not. */
const BYTES_MAX = 64 * 1024 * 1024;

interface Segment {
  readonly words: Uint32Array;
  readonly mask: number;
  readonly capacity: number;
  count: number;
}

function segmentFor(capacity: number): Segment {
  // A power of two, so that a probe is a mask instead of a division.
  const bits = 2 ** Math.ceil(Math.log2(capacity * BITS_PER_KEY));
  return { words: new Uint32Array(bits / 32), mask: bits - 1, capacity, count: 0 };
}

/**
 * Grows by segments of doubled size, so that it never has to be built again, until the next one would pass the bound.
 * @param bytesMax bound of its memory
 */
export function createKeyFilter(firstCapacity = FIRST_CAPACITY, bytesMax = BYTES_MAX): KeyFilter {
  const segments: Segment[] = [segmentFor(firstCapacity)];
  let bytes = (segments[0] as Segment).words.byteLength;

  const grow = (last: Segment): Segment => {
    if (bytes + 2 * last.words.byteLength > bytesMax) return last;
    const next = segmentFor(last.capacity * 2);
    bytes += next.words.byteLength;
    segments.push(next);
    return next;
  };

  const word = (key: Uint8Array, at: number): number =>
    (((key[at] as number) << 24) |
      ((key[at + 1] as number) << 16) |
      ((key[at + 2] as number) << 8) |
      (key[at + 3] as number)) >>>
    0;

  return {
    bytes: () => bytes,
    add: (key, offset) => {
      let segment = segments.at(-1) as Segment;
      if (segment.count >= segment.capacity) segment = grow(segment);
      segment.count += 1;
      const step = word(key, offset + 4) | 1;
      let hash = word(key, offset);
      for (let probe = 0; probe < PROBES; probe += 1) {
        const bit = (hash & segment.mask) >>> 0;
        segment.words[bit >>> 5] = (segment.words[bit >>> 5] as number) | (1 << (bit & 31));
        hash = (hash + step) | 0;
      }
    },
    mayHave: (key, offset) => {
      const step = word(key, offset + 4) | 1;
      const start = word(key, offset);
      return segments.some((segment) => {
        let hash = start;
        for (let probe = 0; probe < PROBES; probe += 1) {
          const bit = (hash & segment.mask) >>> 0;
          if (((segment.words[bit >>> 5] as number) & (1 << (bit & 31))) === 0) return false;
          hash = (hash + step) | 0;
        }
        return true;
      });
    },
  };
}
