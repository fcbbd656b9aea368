/** Idempotency keys of imported rows: the same row has the same key in every run. */
import { OperatorError } from "../../../lib/core/errors.ts";

/** Most characters of a key. */
const KEY_MAX = 128;
const SOURCE = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,23}$/;
/** Attempts of a row whose refusals are final. */
export const ATTEMPTS_MAX = 99;

/** The keys of one import. */
export interface RowKeys {
  /** Most characters of an id. */
  readonly idMax: number;
  /** @param attempt 1, and one more for each refusal that stays */
  keyOf(id: string, attempt: number): string;
}

/**
 * Keys are `import:<id>`; with a source `imp/<source>:<id>`, and at a later attempt `imp~<n>:<id>` or
 * `imp/<source>~<n>:<id>`. Neither a source nor a number holds a colon, so that no two rows share a key.
 * @throws OperatorError USAGE for a source that no key can hold
 */
export function createRowKeys(source?: string): RowKeys {
  if (source !== undefined && !SOURCE.test(source)) {
    throw new OperatorError("USAGE", `--source ${JSON.stringify(source)}: 1 to 24 letters, digits and _ . -`);
  }
  const origin = source === undefined ? "" : `/${source}`;
  const keyOf = (id: string, attempt: number): string => {
    if (attempt > 1) return `imp${origin}~${attempt}:${id}`;
    return source === undefined ? `import:${id}` : `imp${origin}:${id}`;
  };
  return { idMax: Math.min(120, KEY_MAX - keyOf("", ATTEMPTS_MAX).length), keyOf };
}
