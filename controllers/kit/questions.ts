/**
 * Bounds the questions over HTTP that are under way, over all resources together: what is asked is chosen by whoever may make one, and
 * one of them must not take memory and time from all others. Who has fewest under way comes first, then who has waited longest, so that
 * hosts that hang hold up their own resource.
 */

/** 16 pages of 4 MiB at most are a small part of the operator's memory; hosts answer within milliseconds, so that it is enough for thousands. */
const QUESTIONS_MAX = 16;

/** Asks when it is the resource's turn. @param asker its name, whatever that is */
export type Questions = <T>(asker: string, question: () => Promise<T>) => Promise<T>;

interface Asker {
  underWay: number;
  readonly waiting: (() => void)[];
}

export function createQuestions(): Questions {
  /** In the order of their last turns. */
  const askers = new Map<string, Asker>();
  let underWay = 0;

  const goOn = (): void => {
    while (underWay < QUESTIONS_MAX) {
      const next = nextOf(askers);
      if (next === undefined) return;
      const [name, asker] = next;
      askers.delete(name);
      askers.set(name, asker);
      asker.underWay += 1;
      underWay += 1;
      asker.waiting.shift()?.();
    }
  };
  return async (name, question) => {
    const asker = askers.get(name) ?? { underWay: 0, waiting: [] };
    askers.set(name, asker);
    await new Promise<void>((resolve) => {
      asker.waiting.push(resolve);
      goOn();
    });
    try {
      return await question();
    } finally {
      asker.underWay -= 1;
      underWay -= 1;
      if (asker.underWay === 0 && asker.waiting.length === 0) askers.delete(name);
      goOn();
    }
  };
}

function nextOf(askers: ReadonlyMap<string, Asker>): readonly [name: string, asker: Asker] | undefined {
  let next: readonly [string, Asker] | undefined;
  for (const entry of askers) {
    const [, { underWay, waiting }] = entry;
    if (waiting.length > 0 && (next === undefined || underWay < next[1].underWay)) next = entry;
  }
  return next;
}
