/**
 * Bounds the questions that are under way, over all releases together: what is asked is chosen by whoever may make a Rollout, and one
 * of them must not take memory and time from all others. Who has fewest under way comes first, then who has waited longest, so that
 * pods that hang hold up their own release.
 */

/** 16 pages of 4 MiB at most are a small part of the operator's memory; pods answer within milliseconds, so that it is enough for thousands. */
const QUESTIONS_MAX = 16;

/** Asks when it is the release's turn. @param release its name, whatever that is */
export type Questions = <T>(release: string, question: () => Promise<T>) => Promise<T>;

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
      const [release, asker] = next;
      askers.delete(release);
      askers.set(release, asker);
      asker.underWay += 1;
      underWay += 1;
      asker.waiting.shift()?.();
    }
  };
  return async (release, question) => {
    const asker = askers.get(release) ?? { underWay: 0, waiting: [] };
    askers.set(release, asker);
    await new Promise<void>((resolve) => {
      asker.waiting.push(resolve);
      goOn();
    });
    try {
      return await question();
    } finally {
      asker.underWay -= 1;
      underWay -= 1;
      if (asker.underWay === 0 && asker.waiting.length === 0) askers.delete(release);
      goOn();
    }
  };
}

function nextOf(askers: ReadonlyMap<string, Asker>): readonly [release: string, asker: Asker] | undefined {
  let next: readonly [string, Asker] | undefined;
  for (const entry of askers) {
    const [, { underWay, waiting }] = entry;
    if (waiting.length > 0 && (next === undefined || underWay < next[1].underWay)) next = entry;
  }
  return next;
}
