// Goal: a failure tells its code, what happened and what to do, and never anything that was not meant to be told.
import { describe, expect, test } from "@jest/globals";
import { ERRORS, isOperatorError, OperatorError, toOperatorError, toProblem } from "./errors.ts";

describe("the catalogue", () => {
  test.each(Object.entries(ERRORS))("%s says what to do", (code, { status, title, action }) => {
    expect(code).toMatch(/^[A-Z][A-Z0-9_]*$/);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
    expect(title).not.toMatch(/\.$/);
    expect(action).toMatch(/\.$/);
  });
});

test("a problem document has the standard members, and its details cannot replace them", () => {
  const error = new OperatorError("AMOUNT_NOT_POSITIVE", "amount is 0", { details: { index: 3, code: "OTHER" } });
  expect(toProblem(error)).toEqual({
    type: "https://shieldx.dev/errors/AMOUNT_NOT_POSITIVE",
    title: ERRORS.AMOUNT_NOT_POSITIVE.title,
    status: 400,
    code: "AMOUNT_NOT_POSITIVE",
    detail: "amount is 0",
    action: ERRORS.AMOUNT_NOT_POSITIVE.action,
    index: 3,
  });
});

test("a foreign failure becomes INTERNAL and keeps its cause; ours stays what it is", () => {
  const cause = new Error("disk on fire");
  expect(toOperatorError(cause)).toMatchObject({ code: "INTERNAL", message: "disk on fire", cause });
  const ours = new OperatorError("FENCED", "epoch 3");
  expect(toOperatorError(ours)).toBe(ours);
  expect(isOperatorError(ours, "FENCED")).toBe(true);
  expect(isOperatorError(ours, "INTERNAL")).toBe(false);
  expect(isOperatorError(cause)).toBe(false);
});
