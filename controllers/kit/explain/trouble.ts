/** Why something does not come up. */
export interface Trouble {
  /** What is wrong and, where somebody must act, what to do; without the object's own name. */
  readonly text: string;
  /** Nothing goes on until a person acts; otherwise the cluster gets there by itself, or may. */
  readonly needsPerson: boolean;
}

/** Characters of somebody else's words in a message of ours. */
const WORDS_MAX = 400;

/** The beginning of what somebody said, on one line: what follows are repetitions. */
export function firstWords(text = ""): string {
  return flat(text).slice(0, WORDS_MAX);
}

/** The end of what a container said, on one line: what comes before is its log. */
export function lastWords(text = ""): string {
  return flat(text).slice(-WORDS_MAX);
}

function flat(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ");
}

/** `Reason: words`, or one of them. */
export function sentence(reason: string, message = ""): string {
  return [reason, firstWords(message)].filter((part) => part !== "").join(": ");
}

/** The troubles of several objects as one; the words of the first of each text. */
export function together(troubles: readonly (Trouble | undefined)[]): Trouble | undefined {
  const found = troubles.filter((trouble) => trouble !== undefined);
  if (found.length === 0) return undefined;
  return {
    text: [...new Set(found.map(({ text }) => text))].join("; "),
    needsPerson: found.some(({ needsPerson }) => needsPerson),
  };
}
