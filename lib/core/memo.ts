/** Remembers what was computed for a key: the value that is remembered, or what `compute` gives now. */
export type Memo<Value> = (key: string, compute: () => Value) => Value;

/**
 * A memory of values that depend on nothing but their key. Of more than `entriesMax` the one that was asked for the
 * longest ago is forgotten. What `compute` throws is not remembered.
 */
export function createMemo<Value>(entriesMax: number): Memo<Value> {
  const values = new Map<string, { readonly value: Value }>();
  return (key, compute) => {
    const known = values.get(key);
    const entry = known ?? { value: compute() };
    if (known !== undefined) {
      // To the end of the map's order, which is that of the last questions.
      values.delete(key);
    } else if (values.size >= entriesMax) {
      // Not at each question: a new iterator walks over all holes that deleted entries left.
      const [oldest] = values.keys();
      if (oldest !== undefined) values.delete(oldest);
    }
    values.set(key, entry);
    return entry.value;
  };
}
