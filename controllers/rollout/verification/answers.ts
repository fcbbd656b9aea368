/** What an answer over HTTP says of a check. */
import type { HttpCheckSpec } from "../../../crds/rollout-verify.ts";

/** One request by plain HTTP. */
export interface HttpQuestion {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly method: HttpCheckSpec["method"];
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For connection and answer together. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What came of it; never an error. `lib/node/http-question.ts` asks. */
export type HttpAnswer =
  | { readonly status: number; readonly body: string }
  /** @member isUnsent no connection was made, so that nobody has seen the request */
  | { readonly failure: string; readonly isUnsent: boolean };

export type AskHttp = (question: HttpQuestion) => Promise<HttpAnswer>;

/** What is wrong with an answer; nothing when it is as expected. The answer itself is never quoted: it may hold secrets. */
export function complaintOf(
  answer: HttpAnswer,
  { expectStatus, expectBody }: Pick<HttpCheckSpec, "expectStatus" | "expectBody">,
): string | undefined {
  if ("failure" in answer) return answer.failure;
  const { status, body } = answer;
  if (!expectStatus.some((range) => isIn(status, range))) {
    return `status ${String(status)}, expected ${expectStatus.join(" or ")}`;
  }
  if (expectBody !== undefined && !body.includes(expectBody))
    return `status ${String(status)} without the expected text`;
  return undefined;
}

function isIn(status: number, range: number | string): boolean {
  const [from = 0, to = from] = String(range).split("-").map(Number);
  return status >= Math.min(from, to) && status <= Math.max(from, to);
}
