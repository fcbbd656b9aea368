/**
 * Webhooks that refuse or complete objects before they are stored.
 *
 * A handler has three ways out, and the API server treats them differently:
 *   allow()          the object goes on, with warnings for the user if there are any
 *   deny(sentence)   the object is refused with this sentence, whatever the failure policy says
 *   a throw          there is no answer: the failure policy decides (Fail refuses with our code and sentence, Ignore
 *                    lets the object through), which is what it is for; see docs/adr/0012-webhooks.md
 */
import type { z } from "zod";
import type { KubeObject } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { copyJson } from "./exact-json.ts";
import { diffJson } from "./json-patch.ts";
import {
  type AdmissionRequest,
  type FailureStatus,
  failureStatus,
  type Operation,
  problemsOf,
  readAdmissionRequest,
  reasonOf,
} from "./reviews.ts";
import {
  type AnswerContext,
  guardHandler,
  type TypedObject,
  type Webhook,
  type WebhookKind,
  webhookPath,
} from "./webhook.ts";

/** What becomes of the object. */
export type Verdict =
  | { readonly allowed: true; readonly warnings: readonly string[] }
  | {
      readonly allowed: false;
      readonly message: string;
      /** HTTP status that the user's client gets; 403 unless told. */
      readonly code: number;
      readonly warnings: readonly string[];
    };

/** Lets the object through. kubectl prints each warning on a line of its own: at most 120 characters, one thing each. */
export function allow(...warnings: readonly string[]): Verdict {
  return { allowed: true, warnings };
}

/** Refuses the object. @param message what is wrong, with the numbers, and what to do @param code 403 unless told */
export function deny(message: string, code = 403): Verdict {
  return { allowed: false, message, code, warnings: [] };
}

/** What a handler may use beside the object. */
export interface AdmissionContext<Spec extends z.ZodType> {
  readonly request: AdmissionRequest;
  /** The stored object, on UPDATE. */
  readonly old: TypedObject<Spec> | undefined;
  /** Aborted at the deadline. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

export interface ValidatingOptions<Spec extends z.ZodType> {
  readonly kind: WebhookKind<Spec>;
  /** CREATE and UPDATE unless told. On DELETE the object is the one that is to go. */
  readonly operations?: readonly Operation[];
  /** May be asked twice about the same object, and about one that is never stored: no side effects. */
  readonly validate: (object: TypedObject<Spec>, context: AdmissionContext<Spec>) => Verdict | Promise<Verdict>;
}

export interface MutatingOptions<Spec extends z.ZodType> {
  readonly kind: WebhookKind<Spec>;
  /** CREATE and UPDATE unless told. */
  readonly operations?: readonly Operation[];
  /**
   * Returns the object as it should be stored. It is the handler's own copy: it may be changed in place. Applied to its
   * own result it must change nothing, for the API server asks again after other webhooks.
   */
  readonly mutate: (
    object: TypedObject<Spec>,
    context: AdmissionContext<Spec>,
  ) => TypedObject<Spec> | Promise<TypedObject<Spec>>;
}

/** The API server waits 10 s unless the webhook's configuration says otherwise; ours says nothing else. */
const DEADLINE_MS = 9_000;
/** An object is 3 MiB of JSON at most; a review holds the new and the old one, and who asks. */
const BODY_BYTES_MAX = 7 * 1024 * 1024;
const OPERATIONS: readonly Operation[] = ["CREATE", "UPDATE"];

/**
 * A webhook that judges objects of a kind. An object that does not fit the kind's schema is refused before the handler
 * sees it: the schema of the CRD in the cluster may be older than this program.
 */
export function validatingWebhook<Spec extends z.ZodType>(options: ValidatingOptions<Spec>): Webhook {
  const { kind, validate } = options;
  const judge = async (request: AdmissionRequest, context: AnswerContext): Promise<Verdict> => {
    const raw = (request.operation === "DELETE" ? request.oldObject : request.object) ?? undefined;
    if (raw === undefined) return deny(`the review of ${request.operation} has no object`, 400);
    const problems = problemsWith(kind, raw);
    // An object that cannot be understood must still be deletable.
    if (problems !== undefined && request.operation !== "DELETE") return deny(problems, 422);
    return validate(raw as TypedObject<Spec>, contextOf(request, context));
  };
  return admissionWebhook("validating", options, async (request, context) => {
    const verdict = await judge(request, context);
    return { ...responseOf(verdict), ...warningsOf(verdict) };
  });
}

/**
 * A webhook that completes objects of a kind. Only what the handler changed is sent back, so fields that it does not
 * know stay as they are. An object that does not fit the schema goes on unchanged: the API server validates it next and
 * says it better.
 */
export function mutatingWebhook<Spec extends z.ZodType>(options: MutatingOptions<Spec>): Webhook {
  const { kind, mutate } = options;
  return admissionWebhook("mutating", options, async (request, context) => {
    const raw = request.object ?? undefined;
    if (raw === undefined || problemsWith(kind, raw) !== undefined) return { allowed: true };
    const changed = await mutate(copyJson(raw) as TypedObject<Spec>, contextOf(request, context));
    const patch = diffJson(raw, changed);
    if (patch.length === 0) return { allowed: true };
    return {
      allowed: true,
      patchType: "JSONPatch",
      patch: Buffer.from(JSON.stringify(patch), "utf8").toString("base64"),
    };
  });
}

interface AdmissionResponse {
  readonly allowed: boolean;
  readonly status?: FailureStatus;
  readonly warnings?: readonly string[];
  readonly patchType?: "JSONPatch";
  /** Base64. */
  readonly patch?: string;
}

function admissionWebhook(
  role: "validating" | "mutating",
  { kind, operations = OPERATIONS }: { readonly kind: WebhookKind; readonly operations?: readonly Operation[] },
  respond: (request: AdmissionRequest, context: AnswerContext) => Promise<AdmissionResponse>,
): Webhook {
  return {
    role,
    path: webhookPath(role === "validating" ? "validate" : "mutate", kind.type),
    type: kind.type,
    operations,
    deadlineMs: DEADLINE_MS,
    bodyBytesMax: BODY_BYTES_MAX,
    answer: async (review, context) => {
      const request = readAdmissionRequest(review);
      const what = `the ${role} webhook of ${kind.type.kind}`;
      const response = await guardHandler({ what, uid: request.uid, context }, () => respond(request, context));
      return {
        apiVersion: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        response: { uid: request.uid, ...response },
      };
    },
  };
}

/** What the kind's schema has against the object; `undefined` when nothing. */
function problemsWith(kind: WebhookKind, raw: KubeObject): string | undefined {
  const parsed = kind.spec.safeParse(raw["spec"]);
  return parsed.success ? undefined : `spec: ${problemsOf(parsed.error)}`;
}

function contextOf<Spec extends z.ZodType>(
  request: AdmissionRequest,
  { signal, log }: AnswerContext,
): AdmissionContext<Spec> {
  const old = request.operation === "UPDATE" ? (request.oldObject ?? undefined) : undefined;
  return { request, old: old as TypedObject<Spec> | undefined, signal, log };
}

function responseOf(verdict: Verdict): AdmissionResponse {
  if (verdict.allowed) return { allowed: true };
  const { code, message } = verdict;
  return { allowed: false, status: failureStatus(code, reasonOf(code), message) };
}

function warningsOf({ warnings }: Verdict): Pick<AdmissionResponse, "warnings"> {
  return warnings.length === 0 ? {} : { warnings };
}
