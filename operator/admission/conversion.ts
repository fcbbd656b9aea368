/**
 * A kind in several versions. One of them, the hub, can say everything and should be the stored one; each other version
 * is a spoke that knows the way to the hub and back, so that n versions need n - 1 pairs of functions.
 *
 *   v1 ──toHub──► v2 (hub) ◄──toHub── v3
 *      ◄─fromHub─           ─fromHub─►
 *
 * What a spoke cannot say is kept in an annotation while the object is seen in that version, and given back to `toHub`:
 * a client that reads and writes the old version takes nothing away from the new one.
 */
import { ANNOTATIONS } from "../../crds/group.ts";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import { parseExactJson } from "./exact-json.ts";
import { readConversionRequest, statusOfError } from "./reviews.ts";
import { type AnswerContext, guardHandler, type Webhook, webhookPath } from "./webhook.ts";

/** Everything of an object but its identity: what a conversion may change. */
export type ObjectBody = Readonly<Record<string, unknown>>;

/** The way between one version and the hub. Both functions take over every member that they do not know. */
export interface Spoke {
  readonly type: ResourceType;
  /** @param kept what `fromHub` kept for this object, as JSON gave it back; `undefined` for an object made in this version */
  readonly toHub: (body: ObjectBody, kept: unknown) => ObjectBody;
  /** `kept` is what this version cannot say; leave it out when there is nothing. It must be JSON. */
  readonly fromHub: (body: ObjectBody) => { readonly body: ObjectBody; readonly kept?: unknown };
}

export interface ConversionOptions {
  readonly hub: ResourceType;
  readonly spokes: readonly Spoke[];
}

/**
 * The API server itself puts no limit on a conversion: without ours a handler that hangs would hold its requests for
 * ever.
 */
const DEADLINE_MS = 10_000;
/** A list arrives as one review; the API server's own pages hold 500 objects. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;

/** A webhook that converts objects of a kind between its versions. */
export function conversionWebhook(options: ConversionOptions): Webhook {
  const { hub } = options;
  return {
    role: "conversion",
    path: webhookPath("convert", hub, false),
    type: hub,
    operations: [],
    deadlineMs: DEADLINE_MS,
    bodyBytesMax: BODY_BYTES_MAX,
    answer: async (review, context) => {
      const request = readConversionRequest(review);
      const response = await answerAll(options, { ...request, context });
      return {
        apiVersion: "apiextensions.k8s.io/v1",
        kind: "ConversionReview",
        response: { uid: request.uid, ...response },
      };
    },
  };
}

interface ConversionTask {
  readonly uid: string;
  readonly desiredAPIVersion: string;
  readonly objects: readonly KubeObject[];
  readonly context: AnswerContext;
}

/** All or nothing: the API server has no use for a part of a list. */
async function answerAll(options: ConversionOptions, task: ConversionTask): Promise<object> {
  const { uid, desiredAPIVersion, objects, context } = task;
  const what = `the conversion of ${options.hub.kind} to ${desiredAPIVersion}`;
  try {
    const convertedObjects = await guardHandler({ what, uid, context }, () =>
      objects.map((object) => convertObject(options, object, desiredAPIVersion)),
    );
    return { result: { status: "Success" }, convertedObjects };
  } catch (error) {
    return { convertedObjects: [], result: statusOfError(toOperatorError(error)) };
  }
}

/**
 * One object in another version. Only body, labels and annotations may differ: the API server refuses any other change
 * of metadata, so none is possible here.
 * @throws OperatorError WEBHOOK_REQUEST_INVALID for a version or kind that is not ours, and what a spoke throws
 */
export function convertObject(options: ConversionOptions, object: KubeObject, desired: string): KubeObject {
  const { kind, metadata } = object;
  if (kind !== options.hub.kind) {
    throw new OperatorError("WEBHOOK_REQUEST_INVALID", `${kind} is not ${options.hub.kind}, which this path converts`);
  }
  const from = spokeOf(options, object.apiVersion);
  const to = spokeOf(options, desired);
  const annotations = { ...metadata.annotations };
  const kept = annotations[ANNOTATIONS.conversionKept];
  delete annotations[ANNOTATIONS.conversionKept];

  const hubBody = from === undefined ? bodyOf(object) : from.toHub(bodyOf(object), parseKept(kept));
  const result = to === undefined ? { body: hubBody } : to.fromHub(hubBody);
  if (result.kept !== undefined) annotations[ANNOTATIONS.conversionKept] = JSON.stringify(result.kept);
  return { ...result.body, apiVersion: desired, kind, metadata: withAnnotations(metadata, annotations) };
}

/** `undefined` for the hub. */
function spokeOf({ hub, spokes }: ConversionOptions, apiVersion: string): Spoke | undefined {
  if (apiVersion === hub.apiVersion) return undefined;
  const spoke = spokes.find(({ type }) => type.apiVersion === apiVersion);
  if (spoke !== undefined) return spoke;
  const known = [hub.apiVersion, ...spokes.map(({ type }) => type.apiVersion)].join(", ");
  throw new OperatorError("WEBHOOK_REQUEST_INVALID", `${apiVersion} is not a version of ${hub.kind} (${known})`);
}

function bodyOf({ apiVersion: _apiVersion, kind: _kind, metadata: _metadata, ...body }: KubeObject): ObjectBody {
  return body;
}

/** Somebody may have edited the annotation: what is unreadable is as good as absent, the object itself is not at fault. */
function parseKept(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return parseExactJson(text);
  } catch {
    return undefined;
  }
}

function withAnnotations(
  metadata: KubeObject["metadata"],
  annotations: Readonly<Record<string, string>>,
): KubeObject["metadata"] {
  const { annotations: _old, ...rest } = metadata;
  return Object.keys(annotations).length === 0 ? rest : { ...rest, annotations: { ...annotations } };
}
