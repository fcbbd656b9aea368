/** What the answer of a receiver says of a delivery. */

/** One notification, on its way. */
export interface PostQuestion {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly method: "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isTls: boolean;
  readonly isLocalRefused: true;
  /** For connection and answer together. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What came of it; never an error. `lib/node/http-question.ts` asks. */
export type PostAnswer =
  | { readonly status: number; readonly retryAfter?: string }
  | { readonly failure: string; readonly isRefused?: true };

export type Post = (question: PostQuestion) => Promise<PostAnswer>;

/** What became of one try. @property afterMs the receiver wants no other try before that */
export type Verdict =
  | { readonly type: "delivered"; readonly message: string }
  | { readonly type: "again"; readonly message: string; readonly afterMs: number }
  | { readonly type: "final"; readonly message: string };

/** Refusals of the moment: no answer in time, and too many requests. */
const OF_THE_MOMENT: readonly number[] = [408, 429];

/** Only the status is told: a body may say anything. @param now milliseconds since the epoch */
export function verdictOf(answer: PostAnswer, now: number): Verdict {
  if ("failure" in answer) {
    return answer.isRefused === true
      ? { type: "final", message: answer.failure }
      : { type: "again", message: answer.failure, afterMs: 0 };
  }
  const { status, retryAfter } = answer;
  const message = `status ${String(status)}`;
  if (status >= 200 && status < 300) return { type: "delivered", message };
  if (status >= 500 || OF_THE_MOMENT.includes(status)) {
    return { type: "again", message, afterMs: afterMsOf(retryAfter, now) };
  }
  return {
    type: "final",
    message: status >= 300 && status < 400 ? `${message}, and no redirect is followed` : message,
  };
}

/** Seconds, or a date; what is neither asks for nothing. */
function afterMsOf(retryAfter: string | undefined, now: number): number {
  if (retryAfter === undefined) return 0;
  const ms = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1_000 : Date.parse(retryAfter) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}
