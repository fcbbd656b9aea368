import { isOperatorError, OperatorError } from "../core/errors.ts";

/** Which request failed; goes into the message. */
export interface RequestContext {
  readonly method: string;
  /** Path without the query. */
  readonly path: string;
  /**
   * The server's `Audit-ID` of this attempt. It goes into the details, never into the message: messages become
   * conditions, and one that differs each time would be written each time.
   */
  readonly requestId?: string;
}

/** The parts of a `Status` object (meta/v1) that decide what an answer means. */
interface KubeStatus {
  readonly reason?: string;
  readonly message?: string;
  readonly details?: {
    readonly retryAfterSeconds?: number;
    readonly causes?: readonly { readonly reason?: string; readonly field?: string; readonly message?: string }[];
  };
}

/** Longest part of a server's message that is kept: a 422 can repeat whole objects. */
const MESSAGE_LENGTH_MAX = 600;

/** The end of a namespace takes as long as that of its slowest pod. */
const NAMESPACE_RETRY_SECONDS = 30;

/** Failures of the way to the server: no byte of the request has left. */
const NEVER_SENT: readonly string[] = [
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
];

/** An answer outside 2xx as an `OperatorError` with a KUBE_ code. @param retryAfter value of the header, if sent */
export function errorFromAnswer(
  context: RequestContext,
  answer: { readonly status: number; readonly body: string; readonly retryAfter?: string | undefined },
): OperatorError {
  const status = parseStatus(answer.body);
  return errorFromStatus(context, { ...status, code: answer.status, retryAfter: answer.retryAfter });
}

/** A `Status` object, for example of an ERROR frame in a watch, as an `OperatorError`. */
export function errorFromStatus(
  context: RequestContext,
  status: KubeStatus & { readonly code?: number; readonly retryAfter?: string | undefined },
): OperatorError {
  const httpStatus = status.code ?? 500;
  const reason = status.reason ?? "";
  const code = codeOf(httpStatus, status);
  const retryAfterSeconds =
    parseRetryAfter(status.retryAfter) ??
    status.details?.retryAfterSeconds ??
    (code === "KUBE_NAMESPACE_ENDING" ? NAMESPACE_RETRY_SECONDS : undefined);
  const message = `${context.method} ${context.path}: ${describe(context, status) || `HTTP ${httpStatus}`}`;
  return new OperatorError(code, message, {
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    details: { httpStatus, ...(reason === "" ? {} : { kubeReason: reason }), ...idOf(context) },
  });
}

/** A failure below HTTP (refused, reset, TLS, deadline) as KUBE_UNREACHABLE. */
export function errorFromNetwork(context: RequestContext, error: unknown): OperatorError {
  if (isOperatorError(error)) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = (cause as { code?: unknown }).code;
  const text = typeof code === "string" && !cause.message.includes(code) ? `${cause.message} (${code})` : cause.message;
  return new OperatorError("KUBE_UNREACHABLE", `${context.method} ${context.path}: ${text}`, {
    cause,
    details: { ...idOf(context), ...(NEVER_SENT.includes(String(code)) ? { sent: false } : {}) },
  });
}

function idOf({ requestId }: RequestContext): { readonly requestId?: string } {
  return requestId === undefined ? {} : { requestId };
}

/** True when the server cannot have done anything, or when doing it twice gives the same result. */
export function isRetryable(error: OperatorError, idempotent: boolean): boolean {
  if (error.code === "KUBE_THROTTLED" || error.details["sent"] === false) return true;
  return idempotent && (error.code === "KUBE_UNREACHABLE" || error.code === "KUBE_FAILED");
}

function codeOf(httpStatus: number, status: KubeStatus) {
  if (httpStatus === 409 && status.reason === "AlreadyExists") return "KUBE_ALREADY_EXISTS";
  if (httpStatus === 409 && status.details?.causes?.some((cause) => cause.reason === "FieldManagerConflict")) {
    return "KUBE_FIELD_CONFLICT";
  }
  // The server is not busy: a disruption budget has nothing to spare, and only time or other pods help.
  if (httpStatus === 429 && status.details?.causes?.some((cause) => cause.reason === "DisruptionBudget")) {
    return "KUBE_EVICTION_BLOCKED";
  }
  // No right is missing: nothing new can be made there, by nobody.
  if (httpStatus === 403 && status.details?.causes?.some((cause) => cause.reason === "NamespaceTerminating")) {
    return "KUBE_NAMESPACE_ENDING";
  }
  // A patch that names a uid, and another object has the name now.
  if (httpStatus === 422 && status.details?.causes?.some((cause) => cause.field === "metadata.uid")) {
    return "KUBE_CONFLICT";
  }
  switch (httpStatus) {
    case 401:
      return "KUBE_UNAUTHORIZED";
    case 403:
      return "KUBE_FORBIDDEN";
    case 404:
      return "KUBE_NOT_FOUND";
    case 409:
      return "KUBE_CONFLICT";
    case 410:
      return "KUBE_GONE";
    case 429:
      return "KUBE_THROTTLED";
    default:
      return httpStatus >= 400 && httpStatus < 500 ? "KUBE_INVALID" : "KUBE_FAILED";
  }
}

/** The server's words, except for Secrets: their validation messages may repeat the secret itself. */
function describe(context: RequestContext, status: KubeStatus): string {
  if (/\/secrets(\/|$)/.test(context.path)) {
    const fields = (status.details?.causes ?? []).map((cause) => cause.field ?? "").filter((field) => field !== "");
    return [status.reason ?? "", ...fields].join(" ").trim();
  }
  return (status.message ?? status.reason ?? "").trim().slice(0, MESSAGE_LENGTH_MAX);
}

function parseStatus(body: string): KubeStatus {
  try {
    const parsed: unknown = JSON.parse(body);
    return parsed !== null && typeof parsed === "object" ? parsed : { message: body };
  } catch {
    // Proxies and load balancers answer in plain text or HTML: it is still the best description there is.
    return { message: body };
  }
}

function parseRetryAfter(header: string | undefined): number | undefined {
  // The API server sends seconds; the date form of RFC 9110 is left to the ordinary backoff.
  const seconds = Number(header);
  return header !== undefined && header !== "" && Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
}
