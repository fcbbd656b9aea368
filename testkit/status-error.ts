/** One part of what is wrong (meta/v1 StatusCause). */
export interface StatusCause {
  readonly reason: string;
  readonly message?: string;
  readonly field?: string;
}

/** What a `Status` is made from. */
export interface StatusFields {
  readonly status: number;
  /** The one that goes with the code unless told; empty for none. */
  readonly reason?: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly causes?: readonly StatusCause[];
}

/** The reasons of an API server by HTTP status, where the status alone decides. */
const REASONS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  409: "Conflict",
  410: "Expired",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** A refusal of the fake API server; answered as a `Status` object. */
export class StatusError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly causes: readonly StatusCause[];
  readonly details: Readonly<Record<string, unknown>>;

  constructor({ status, reason, message, details, causes }: StatusFields) {
    super(message);
    this.status = status;
    this.reason = reason ?? REASONS[status] ?? "Unknown";
    this.causes = causes ?? [];
    this.details = details ?? {};
  }
}

/** The `Status` object (meta/v1) of a failure, as an answer's body and as the object of an ERROR frame. */
export function statusOf({
  status,
  reason,
  message,
  details,
  causes,
}: StatusFields): Readonly<Record<string, unknown>> {
  const parts = { ...details, ...(causes === undefined || causes.length === 0 ? {} : { causes }) };
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    // Some failures of the real server have none.
    ...(reason === "" ? {} : { reason: reason ?? REASONS[status] ?? "Unknown" }),
    ...(Object.keys(parts).length === 0 ? {} : { details: parts }),
    code: status,
  };
}

/** `statusOf` as JSON. */
export function statusBody(fields: StatusFields): string {
  return JSON.stringify(statusOf(fields));
}
