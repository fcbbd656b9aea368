import { z } from "zod";
import { OperatorError } from "../../lib/core/errors.ts";
import type { KubeObject } from "../../lib/kube/types.ts";

/** What the API server is about to do with an object. */
export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

/** A raw object; its members are for the handler's schema to judge. */
const rawObject = z.custom<KubeObject>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "must be an object",
);

const groupVersionKind = z.looseObject({ group: z.string().default(""), version: z.string(), kind: z.string() });

const admissionRequest = z.looseObject({
  uid: z.string().min(1),
  kind: groupVersionKind,
  subResource: z.string().default(""),
  name: z.string().default(""),
  namespace: z.string().default(""),
  operation: z.enum(["CREATE", "UPDATE", "DELETE", "CONNECT"]),
  userInfo: z.looseObject({ username: z.string().default(""), groups: z.array(z.string()).default([]) }),
  object: rawObject.nullish(),
  oldObject: rawObject.nullish(),
  dryRun: z.boolean().default(false),
});

/** The request of an `AdmissionReview` (admission.k8s.io/v1); members that we do not name are kept. */
export type AdmissionRequest = z.output<typeof admissionRequest>;

const admissionReview = z.looseObject({
  apiVersion: z.literal("admission.k8s.io/v1"),
  kind: z.literal("AdmissionReview"),
  request: admissionRequest,
});

const conversionReview = z.looseObject({
  apiVersion: z.literal("apiextensions.k8s.io/v1"),
  kind: z.literal("ConversionReview"),
  request: z.looseObject({
    uid: z.string().min(1),
    desiredAPIVersion: z.string().min(1),
    objects: z.array(rawObject.refine(({ metadata }) => typeof metadata === "object", "must have metadata")),
  }),
});

/** The request of a `ConversionReview` (apiextensions.k8s.io/v1). */
export type ConversionRequest = z.output<typeof conversionReview>["request"];

/** Reads an `AdmissionReview`. @throws OperatorError WEBHOOK_REQUEST_INVALID naming the member that is wrong */
export function readAdmissionRequest(review: unknown): AdmissionRequest {
  return read(admissionReview, review).request;
}

/** Reads a `ConversionReview`. @throws OperatorError WEBHOOK_REQUEST_INVALID naming the member that is wrong */
export function readConversionRequest(review: unknown): ConversionRequest {
  return read(conversionReview, review).request;
}

function read<S extends z.ZodType>(schema: S, review: unknown): z.output<S> {
  const parsed = schema.safeParse(review);
  if (parsed.success) return parsed.data;
  throw new OperatorError("WEBHOOK_REQUEST_INVALID", `the review cannot be read: ${problemsOf(parsed.error)}`);
}

/** At most this many problems are named: the reader corrects them one after the other. */
const PROBLEMS_MAX = 5;

/** What a schema found wrong, in one line: `spec.size: expected number`. */
export function problemsOf(error: z.ZodError): string {
  const problems = error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join(".")}: ${message}`,
  );
  const more = problems.length - PROBLEMS_MAX;
  return [...problems.slice(0, PROBLEMS_MAX), ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}

/** A `Status` (meta/v1) that tells of a failure or a refusal. */
export interface FailureStatus {
  readonly apiVersion: "v1";
  readonly kind: "Status";
  readonly status: "Failure";
  readonly code: number;
  readonly reason: string;
  readonly message: string;
}

/** `message` is what the user of kubectl reads after the name of the webhook. */
export function failureStatus(code: number, reason: string, message: string): FailureStatus {
  return { apiVersion: "v1", kind: "Status", status: "Failure", code, reason, message };
}

/** The API server's reasons, by HTTP status; clients such as client-go branch on them. */
const REASONS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  409: "Conflict",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** The reason that belongs to an HTTP status; empty when there is none. */
export function reasonOf(code: number): string {
  return REASONS[code] ?? "";
}

/** A failure of ours as a `Status`: code of the catalogue and sentence. */
export function statusOfError(error: OperatorError): FailureStatus {
  return failureStatus(error.status, reasonOf(error.status), `${error.code}: ${error.message}`);
}
