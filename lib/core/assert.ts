/** Thrown when the program itself is wrong; it fails the unit of work at hand, never silently. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Checks an invariant of the program. Not for input: bad input is an `OperatorError`. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Closes a switch over a discriminated union: a new member that nobody handles does not compile. */
export function assertNever(value: never): never {
  throw new AssertionError(`unexpected value: ${JSON.stringify(value)}`);
}
