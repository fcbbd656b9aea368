/** How much may be in work at once. */
export interface Capacity {
  readonly count: number;
  readonly bytes: number;
}

/** A bound on what is done at once; those who wait are served in the order in which they came. */
export interface Slots {
  /**
   * Waits for a slot and for room for so many bytes; more than there is room for at all counts as all of it.
   * @returns how to give both back (once), or `undefined` when the signal aborted before there was room
   */
  take(bytes: number, signal: AbortSignal): Promise<(() => void) | undefined>;
  /** What is in use. */
  taken(): Capacity;
}

interface Waiter {
  readonly bytes: number;
  readonly start: () => void;
}

/** @param capacity what there is */
export function createSlots(capacity: Capacity): Slots {
  let count = 0;
  let bytes = 0;
  // Whoever needs much is not overtaken for ever by those who need little.
  const waiting = new Set<Waiter>();

  const hasRoom = (wanted: number): boolean => count < capacity.count && bytes + wanted <= capacity.bytes;
  const use = (wanted: number): (() => void) => {
    count += 1;
    bytes += wanted;
    let isGivenBack = false;
    return () => {
      if (isGivenBack) return;
      isGivenBack = true;
      count -= 1;
      bytes -= wanted;
      serve();
    };
  };
  const serve = (): void => {
    for (const waiter of waiting) {
      if (!hasRoom(waiter.bytes)) return;
      waiting.delete(waiter);
      waiter.start();
    }
  };

  return {
    taken: () => ({ count, bytes }),
    take: async (asked, signal) => {
      const wanted = Math.min(asked, capacity.bytes);
      if (signal.aborted) return undefined;
      if (waiting.size === 0 && hasRoom(wanted)) return use(wanted);
      return new Promise((resolve) => {
        const onAbort = (): void => {
          waiting.delete(waiter);
          resolve(undefined);
          // It may have stood in the way of smaller ones.
          serve();
        };
        const waiter: Waiter = {
          bytes: wanted,
          start: () => {
            signal.removeEventListener("abort", onAbort);
            resolve(use(wanted));
          },
        };
        waiting.add(waiter);
        signal.addEventListener("abort", onAbort, { once: true });
      });
    },
  };
}
