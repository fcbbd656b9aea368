/** A bound on what is done at once; those who wait are served in the order in which they came. */
export interface Slots {
  /** Waits for a slot. @returns how to give it back (once), or `undefined` when the signal aborted before there was one */
  take(signal: AbortSignal): Promise<(() => void) | undefined>;
  /** Slots that are taken. */
  taken(): number;
}

/** @param count slots that there are */
export function createSlots(count: number): Slots {
  let free = count;
  const waiting = new Set<() => void>();

  const give = (): (() => void) => {
    let isGivenBack = false;
    return () => {
      if (isGivenBack) return;
      isGivenBack = true;
      const [next] = waiting;
      if (next === undefined) free += 1;
      else next();
    };
  };

  return {
    taken: () => count - free,
    take: async (signal) => {
      if (signal.aborted) return undefined;
      if (free > 0) {
        free -= 1;
        return give();
      }
      return new Promise((resolve) => {
        const onSlot = (): void => {
          waiting.delete(onSlot);
          signal.removeEventListener("abort", onAbort);
          resolve(give());
        };
        const onAbort = (): void => {
          waiting.delete(onSlot);
          resolve(undefined);
        };
        waiting.add(onSlot);
        signal.addEventListener("abort", onAbort, { once: true });
      });
    },
  };
}
