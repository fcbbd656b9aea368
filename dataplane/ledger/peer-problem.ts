/** Another pod's refusal as an error of ours, also when that pod is of another version. */
import { ERRORS, type ErrorCode, OperatorError } from "../../lib/core/errors.ts";
import type { PeerAnswer } from "./peer-client.ts";

/** @param answer one that refuses */
export function peerProblem(answer: PeerAnswer): OperatorError {
  const retryAfter = Number(answer.headers["retry-after"]);
  const options = retryAfter > 0 ? { retryAfterSeconds: retryAfter } : {};
  const said = problemOf(answer);
  // Pods ask each other for nothing that is not there in their own version: nothing was done, and one of the two is about to go.
  if (said?.code === "ROUTE_NOT_FOUND") {
    return new OperatorError(
      "WRITER_UNAVAILABLE",
      "the pod that writes the shard is of another version, and does not know the request",
      {
        retryAfterSeconds: 1,
      },
    );
  }
  if (said === undefined)
    return new OperatorError("OUTCOME_UNKNOWN", `the writer answered with status ${answer.status}`, options);
  return new OperatorError(said.code, said.detail, options);
}

/** `undefined` for what is no problem, or has a code of a later version. */
function problemOf({ body }: PeerAnswer): { readonly code: ErrorCode; readonly detail: string } | undefined {
  let said: unknown;
  try {
    said = JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
  const { code, detail } = (said ?? {}) as { readonly code?: unknown; readonly detail?: unknown };
  if (typeof code !== "string" || !Object.hasOwn(ERRORS, code)) return undefined;
  return { code: code as ErrorCode, detail: typeof detail === "string" ? detail : code };
}
