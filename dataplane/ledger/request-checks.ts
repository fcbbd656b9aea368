/** Checks a request against the schemas of its operation; what is wrong becomes one sentence. */
import type { z } from "zod";
import { OperatorError } from "../../lib/core/errors.ts";
import { OPERATIONS, type Operation, type OperationId, type OperationInput } from "./api-operations.ts";
import { InexactNumber } from "./json-numbers.ts";

const SHOWN_MAX = 40;

/** Path and query of a request. @throws OperatorError REQUEST_INVALID */
export function checkParameters<Id extends OperationId>(
  id: Id,
  given: { readonly params: unknown; readonly query: unknown },
): OperationInput<Id> {
  const operation: Operation = OPERATIONS[id];
  return {
    params: operation.params === undefined ? undefined : checkNamed(operation.params, given.params),
    query: checkQuery(operation.query, given.query),
  } as OperationInput<Id>;
}

function checkQuery(shape: z.ZodObject | undefined, query: unknown): unknown {
  if (shape !== undefined) return checkNamed(shape, query);
  const [unknown] = Object.keys(query as object);
  if (unknown !== undefined) throw unknownParameter(unknown);
  return undefined;
}

function unknownParameter(name: string): OperatorError {
  return new OperatorError("REQUEST_INVALID", `unknown parameter ${JSON.stringify(name.slice(0, SHOWN_MAX))}`);
}

function checkNamed(shape: z.ZodObject, given: unknown): unknown {
  const twice = Object.entries(given as object).find(([, value]) => Array.isArray(value));
  if (twice !== undefined) {
    const name = JSON.stringify(twice[0].slice(0, SHOWN_MAX));
    throw new OperatorError("REQUEST_INVALID", `parameter ${name} is given more than once`);
  }
  const parsed = shape.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  if (issue?.code === "unrecognized_keys") throw unknownParameter(issue.keys[0] ?? "");
  throw new OperatorError("REQUEST_INVALID", `${String(issue?.path[0])} ${issue?.message}`);
}

/**
 * A body, by its schema. A number that is no plain integer has a code of its own.
 * @throws OperatorError REQUEST_INVALID, NUMBER_INVALID
 */
export function checkBody<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path ?? [];
  const found = path.reduce<unknown>((at, member) => (at as Record<PropertyKey, unknown> | undefined)?.[member], value);
  const where = path.length === 0 ? "body" : path.join(".");
  if (found instanceof InexactNumber || (typeof found === "number" && !Number.isSafeInteger(found))) {
    throw new OperatorError("NUMBER_INVALID", `${where} is not a plain integer within 9007199254740991`);
  }
  throw new OperatorError("REQUEST_INVALID", `${where}: ${issue?.message ?? "invalid"}`);
}
