import { assert } from "./assert.ts";

/** How the caller should go on: `backoff` and `after` heal by themselves, `terminal` needs a change of input. */
export type Retry = "backoff" | "after" | "terminal";

interface CatalogueEntry {
  /** HTTP status of the problem+json answer. */
  readonly status: number;
  readonly retry: Retry;
  /** Short, stable title; the sentence that says what to do is the error's own `message`. */
  readonly title: string;
  /** What the reader should do; printed on the reference page. */
  readonly action: string;
}

function entry(status: number, retry: Retry, title: string, action: string): CatalogueEntry {
  return { status, retry, title, action };
}

/**
 * Every error code of the product, in one place. `docs/reference/errors.md` is compared with it both ways.
 * A code never changes its meaning; a new meaning is a new code.
 */
export const ERRORS = {
  // --- requests to the ledger API ---
  REQUEST_INVALID: entry(400, "terminal", "The request is not valid", "Correct the field that the detail names."),
  JSON_INVALID: entry(400, "terminal", "The body is not JSON", "Send one JSON document in UTF-8."),
  JSON_MEMBER_REPEATED: entry(
    400,
    "terminal",
    "An object has two members of one name",
    "Send each member once; the detail names it and its place.",
  ),
  NUMBER_INVALID: entry(
    400,
    "terminal",
    "A number is not a whole number within bounds",
    "Send amounts as plain integers of minor units: no fraction, no exponent, at most 9007199254740991.",
  ),
  AMOUNT_NOT_POSITIVE: entry(
    400,
    "terminal",
    "The amount is not positive",
    "Send an amount of at least 1; swap the accounts to reverse a transfer.",
  ),
  REQUEST_TIMEOUT: entry(
    408,
    "backoff",
    "The request did not arrive in time",
    "Send the whole request within 30 s; nothing was done. Split a large one where the line is slow.",
  ),
  BODY_TOO_LARGE: entry(413, "terminal", "The body is too large", "Split the request; the detail names the limit."),
  HEADERS_TOO_LARGE: entry(
    431,
    "terminal",
    "The headers are too large",
    "Send path, query and headers of at most 16 KiB together.",
  ),
  CONTENT_TYPE_UNSUPPORTED: entry(415, "terminal", "The content type is not supported", "Send application/json."),
  ROUTE_NOT_FOUND: entry(404, "terminal", "There is no such path", "See /openapi.json for the paths."),
  API_KEY_MISSING: entry(401, "terminal", "No API key was sent", "Send 'Authorization: Bearer <key>'."),
  API_KEY_INVALID: entry(
    401,
    "terminal",
    "The API key is not known",
    "Use a key that this ledger issued and has not revoked.",
  ),
  API_KEY_NOT_FOUND: entry(404, "terminal", "There is no such API key", "List the keys with GET /v1/api-keys."),
  SCOPE_MISSING: entry(
    403,
    "terminal",
    "The API key lacks the scope",
    "Use a key with the scope that the detail names.",
  ),
  IDEMPOTENCY_KEY_REUSED: entry(
    422,
    "terminal",
    "The idempotency key was used with another payload",
    "Send the original payload, or a new key for a new transfer.",
  ),
  ACCOUNT_NOT_FOUND: entry(404, "terminal", "The account does not exist", "Create the account first."),
  ACCOUNT_CONFLICT: entry(
    409,
    "terminal",
    "The account exists with other properties",
    "Use the existing account or another id.",
  ),
  ASSET_UNKNOWN: entry(
    422,
    "terminal",
    "The ledger does not keep this asset",
    "Use an asset of the CreditLedger's spec.assets.",
  ),
  ASSET_MISMATCH: entry(
    422,
    "terminal",
    "The accounts keep different assets",
    "Transfer between accounts of one asset.",
  ),
  SAME_ACCOUNT: entry(422, "terminal", "Debit and credit account are the same", "Name two different accounts."),
  CROSS_SHARD_TRANSFER: entry(
    422,
    "terminal",
    "The accounts live on different shards",
    "Give both accounts the same placementKey; transfers across shards are not supported yet.",
  ),
  INSUFFICIENT_CREDIT: entry(
    422,
    "terminal",
    "The transfer would break the account's limit",
    "Fund the account or raise its credit limit, and send the transfer under a new key.",
  ),
  BALANCE_OVERFLOW: entry(
    422,
    "terminal",
    "The balance would leave the range of whole numbers",
    "Split the balance over several accounts.",
  ),
  POSITION_NOT_FOUND: entry(
    404,
    "terminal",
    "The position is beyond the end of the log",
    "Ask for a position up to the shard's head.",
  ),
  WRITER_UNAVAILABLE: entry(
    503,
    "after",
    "The shard has no writer right now",
    "Send the same request with the same key again after Retry-After.",
  ),
  OVERLOADED: entry(
    429,
    "after",
    "The ledger takes no more requests right now",
    "Send the same request with the same key again after Retry-After. The detail says what there is too much of.",
  ),
  SHARD_UNAVAILABLE: entry(
    503,
    "after",
    "The shard's database does not answer",
    "Send the same request with the same key again after Retry-After.",
  ),
  SHARD_DISK_FULL: entry(
    503,
    "after",
    "The shard's volume is full",
    "Send the same request with the same key again after Retry-After: nothing was written. Somebody has to raise storage.size or free space; condition DiskPressure of the ShardSet has the numbers.",
  ),
  OUTCOME_UNKNOWN: entry(
    503,
    "after",
    "The outcome is not known yet",
    "Send the same request with the same key again: it is carried out once at most.",
  ),
  SHUTTING_DOWN: entry(503, "after", "The server is stopping", "Send the same request with the same key again."),
  ABORTED: entry(
    503,
    "backoff",
    "The work was stopped before its end",
    "Nothing: it is started again where it is still wanted.",
  ),
  INTERNAL: entry(500, "backoff", "An unexpected error", "Report it with the request id; the logs hold the cause."),

  // --- ledger engine ---
  FENCED: entry(503, "after", "Another writer holds a newer epoch", "Nothing: the writer steps down by itself."),
  LEDGER_CORRUPT: entry(
    500,
    "terminal",
    "The journal and the tables disagree",
    "Run 'shieldx ledger verify' and restore from a good copy.",
  ),
  MIGRATION_FAILED: entry(500, "backoff", "A database migration failed", "Read the migration Job's log."),
  MIGRATION_UNKNOWN: entry(
    500,
    "terminal",
    "The database is newer than this program",
    "Run a program of the database's version or newer.",
  ),

  // --- ledger command line ---
  USAGE: entry(400, "terminal", "The command line is not valid", "See 'shieldx --help'."),
  FILE_NOT_CSV: entry(
    400,
    "terminal",
    "The file is of another kind than CSV",
    "Import a CSV file; nothing was posted.",
  ),
  CSV_ENCODING_INVALID: entry(
    400,
    "terminal",
    "The file is not in the encoding that it is read in",
    "Name its encoding with --encoding; nothing was posted.",
  ),
  CSV_HEADER_INVALID: entry(
    400,
    "terminal",
    "The CSV header is not the expected one",
    "Do as the detail says; nothing was posted. 'shieldx ledger import --help' shows all options.",
  ),
  CSV_ROW_INVALID: entry(
    400,
    "terminal",
    "A CSV row cannot be read",
    "Correct the rows that the detail names and import the file again; --partial leaves such rows out, in the rejects file, and posts the others.",
  ),
  CSV_NEWEST_FIRST: entry(
    400,
    "terminal",
    "The rows are listed newest first",
    "Give --sort date to post the oldest row first, or --keep-order to post the rows as they stand; nothing was posted.",
  ),
  CSV_CURRENCY_UNCLEAR: entry(
    400,
    "terminal",
    "The file has amounts of other currencies",
    "Do as the detail says; nothing was posted.",
  ),
  FILE_UNREADABLE: entry(400, "terminal", "The file cannot be read", "Check the path and the permissions."),
  FILE_EXISTS: entry(
    400,
    "terminal",
    "A file that would be written is there already",
    "Name another file, or give --force to replace it.",
  ),
  LEDGER_NOT_FOUND: entry(
    404,
    "terminal",
    "The CreditLedger does not exist",
    "Check name and namespace with 'kubectl get creditledgers -A'.",
  ),
  ROTATION_UNFINISHED: entry(
    504,
    "after",
    "The CA is not replaced yet",
    "It goes on by itself: the detail says for whom it waits. See condition AuthorityCurrent.",
  ),
  LEDGER_NOT_READY: entry(503, "after", "The ledger is not ready", "See 'kubectl describe creditledger'."),
  VERIFY_FAILED: entry(
    500,
    "terminal",
    "Verification found a violated invariant",
    "Keep the database as it is; the output names the first bad position.",
  ),

  // --- rollout command line ---
  ROLLOUT_RUN_INVALID: entry(
    400,
    "terminal",
    "The run of a rollout, or its policy, cannot be read",
    "Correct the field that the detail names; docs/judging.md has the format.",
  ),
  ROLLOUT_NOT_FOUND: entry(
    404,
    "terminal",
    "The Rollout does not exist",
    "Check name and namespace with 'shieldx rollout list'.",
  ),
  ROLLOUT_REQUEST_REFUSED: entry(
    409,
    "terminal",
    "The request was not carried out",
    "See where the release stands with 'shieldx rollout status NAME'; the detail says why it was refused.",
  ),
  ROLLOUT_UNANSWERED: entry(
    504,
    "after",
    "No controller has answered the request",
    "Look whether the controller runs and serves the namespace, as the detail says; nothing has to be asked again.",
  ),
  ROLLOUT_UNCONVERTIBLE: entry(
    400,
    "terminal",
    "A document cannot be converted into a Rollout",
    "Correct what the detail names, or give the option that it names; nothing was printed.",
  ),

  // --- counts of a release ---
  METRICS_UNREACHABLE: entry(
    503,
    "backoff",
    "Metrics were not told",
    "See the pod's log; docs/judging.md says what is asked of a pod. A NetworkPolicy must let the operator reach the port.",
  ),
  METRICS_INVALID: entry(
    502,
    "terminal",
    "Metrics cannot be read",
    "Tell them in Prometheus' text format; the detail names the line or the metric.",
  ),
  METRIC_MISSING: entry(
    502,
    "terminal",
    "A metric that is to be judged does not exist",
    "Correct the name in spec.analysis.source, or have the program count it; the detail names it.",
  ),

  // --- Kubernetes ---
  KUBE_CONFIG_INVALID: entry(
    500,
    "terminal",
    "The kubeconfig cannot be used",
    "Check KUBECONFIG and its current context.",
  ),
  KUBE_UNREACHABLE: entry(
    503,
    "backoff",
    "The Kubernetes API does not answer",
    "Check the API server and the network.",
  ),
  KUBE_CONFLICT: entry(409, "backoff", "The object changed meanwhile", "Nothing: the object is read again."),
  KUBE_ALREADY_EXISTS: entry(409, "backoff", "The object exists already", "Nothing: the object is observed again."),
  KUBE_FIELD_CONFLICT: entry(
    409,
    "backoff",
    "Another field manager writes a field that we apply, again and again",
    "Stop the other manager from writing the field that the detail names; the operator takes it back by itself.",
  ),
  KUBE_NOT_FOUND: entry(
    404,
    "backoff",
    "The Kubernetes object does not exist",
    "Nothing: the object is observed again.",
  ),
  KUBE_GONE: entry(410, "backoff", "The resource version is too old", "Nothing: the list is read again."),
  KUBE_INVALID: entry(
    422,
    "terminal",
    "The Kubernetes API refuses the object",
    "Correct the field that the detail names.",
  ),
  KUBE_UNAUTHORIZED: entry(
    401,
    "backoff",
    "The Kubernetes API does not know the credentials",
    "Renew the kubeconfig's or the service account's credentials.",
  ),
  KUBE_FORBIDDEN: entry(
    403,
    "backoff",
    "RBAC does not allow the request",
    "Grant the permission that the detail names.",
  ),
  KUBE_NAMESPACE_ENDING: entry(
    403,
    "after",
    "The namespace is being deleted",
    "Nothing: what is in the namespace goes with it, and nothing new can be made there.",
  ),
  KUBE_THROTTLED: entry(
    429,
    "after",
    "The Kubernetes API asks to slow down",
    "Nothing: the request is sent again later.",
  ),
  KUBE_EVICTION_BLOCKED: entry(
    429,
    "after",
    "A PodDisruptionBudget does not allow the eviction",
    "Wait until more of the budget's pods are healthy, or relax the budget.",
  ),
  KUBE_NOT_SERVED: entry(
    404,
    "backoff",
    "The Kubernetes API does not serve the kind",
    "Install the CRD, or use a server of a version that has the kind.",
  ),
  KUBE_FAILED: entry(500, "backoff", "The Kubernetes API failed", "Check the API server's log."),
  LEASE_LOST: entry(
    503,
    "backoff",
    "The Lease is held by another process",
    "Nothing: the process steps down by itself.",
  ),

  // --- operator and shard agent ---
  CONFIG_INVALID: entry(
    400,
    "terminal",
    "The configuration is not valid",
    "Correct the flag or variable that the detail names.",
  ),
  WEBHOOK_REQUEST_INVALID: entry(
    400,
    "terminal",
    "The webhook was sent something that it cannot answer",
    "Compare the webhook configuration (path, kind, versions) with the operator's version; the detail names what is wrong.",
  ),
  WEBHOOK_FAILED: entry(
    500,
    "backoff",
    "A webhook broke",
    "Send the request again; the operator's log has the cause under the uid that the detail names.",
  ),
  WEBHOOK_TIMEOUT: entry(
    504,
    "backoff",
    "A webhook did not answer in time",
    "Send the request again; when it stays so, look at the operator's load and at controller_runtime_webhook_latency_seconds.",
  ),
  RECONCILE_TIMEOUT: entry(
    504,
    "backoff",
    "A reconcile took too long",
    "Nothing: it is tried again; see the logs for the slow step.",
  ),
  NAME_CONFLICT: entry(
    409,
    "after",
    "An object of that name belongs to somebody else",
    "Rename the resource or remove the other object.",
  ),
  SHARD_MAP_INVALID: entry(
    500,
    "terminal",
    "The shard map cannot be read",
    "Restore ConfigMap <shardset>-map from a good copy.",
  ),
  SHARD_MAP_STALE: entry(
    503,
    "after",
    "The shard map changed meanwhile",
    "Nothing: the map is read again and the request sent again.",
  ),
  CERTIFICATE_INVALID: entry(
    500,
    "backoff",
    "A certificate or key cannot be used",
    "See the Secret that the detail names; delete it to have it made again.",
  ),
  AGENT_UNREACHABLE: entry(503, "backoff", "The shard agent does not answer", "See the pod's log and events."),
  POSTGRES_FAILED: entry(500, "backoff", "PostgreSQL could not be started", "Read the pod's log."),
  DATA_LOST: entry(
    500,
    "terminal",
    "Data that was there is gone",
    "Restore it, as the detail says; nothing was made in its place. To give it up, set the annotation that the condition names.",
  ),
  DATA_REFUSED: entry(
    500,
    "terminal",
    "The data on the volume does not fit the shard",
    "Attach the shard's own volume, or restore it; nothing was changed.",
  ),
  DATABASE_REQUEST_INVALID: entry(
    422,
    "terminal",
    "The database request cannot be read",
    "Correct the Secret that the detail names.",
  ),
} as const satisfies Record<string, CatalogueEntry>;

/** A code of the catalogue. */
export type ErrorCode = keyof typeof ERRORS;

/** Extra facts of a failure, safe to show: no secrets, no payment data. */
export interface ErrorOptions {
  readonly cause?: unknown;
  /** For `retry: "after"`: seconds to wait. */
  readonly retryAfterSeconds?: number;
  /** Machine-readable members that the problem+json answer carries beside the standard ones. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** The one failure type of the product: a code of the catalogue and a sentence that says what happened. */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
  readonly code: ErrorCode;
  readonly status: number;
  readonly retry: Retry;
  readonly retryAfterSeconds: number | undefined;
  readonly details: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const found = ERRORS[code];
    assert(found !== undefined, `error code ${code} is not in the catalogue`);
    this.code = code;
    this.status = found.status;
    this.retry = found.retry;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.details = options.details ?? {};
  }
}

/** True for an `OperatorError`, of the given code when one is named. */
export function isOperatorError(error: unknown, code?: ErrorCode): error is OperatorError {
  return error instanceof OperatorError && (code === undefined || error.code === code);
}

/** Any thrown value as an `OperatorError`; what is foreign becomes INTERNAL with the original as its cause. */
export function toOperatorError(error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  return new OperatorError("INTERNAL", error instanceof Error ? error.message : String(error), { cause: error });
}

/** RFC 9457 problem document. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly action: string;
  readonly [extension: string]: string | number | boolean;
}

/** The error as an RFC 9457 document; `type` is stable for a code. */
export function toProblem(error: OperatorError): Problem {
  const { title, action } = ERRORS[error.code];
  return {
    ...error.details,
    type: `https://shieldx.dev/errors/${error.code}`,
    title,
    status: error.status,
    code: error.code,
    detail: error.message,
    action,
  };
}
