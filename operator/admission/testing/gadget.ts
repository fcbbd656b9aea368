import { z } from "zod";
import { OperatorError } from "../../../lib/core/errors.ts";
import { type KubeObject, type ResourceType, resourceType } from "../../../lib/kube/types.ts";
import { definitionOf, WIDGET } from "../../../testkit/widget.ts";
import { allow, deny, mutatingWebhook, validatingWebhook } from "../admission.ts";
import { conversionStanza, type WebhookAddress } from "../configurations.ts";
import { type ConversionOptions, conversionWebhook, type ObjectBody } from "../conversion.ts";
import type { Webhook } from "../webhook.ts";

/*
 * The widget of the test kit as a kind with everything that webhooks do. v1 says its size as "3x4"; v2, the hub, as two numbers, and
 * knows a finish that v1 cannot say. Colours "broken", "failing" and "stuck" make the validating handler misbehave.
 */

export const GADGET_V1: ResourceType<Gadget> = version("v1");
export const GADGET_V2: ResourceType<Gadget> = version("v2");

function version(name: string): ResourceType<Gadget> {
  return resourceType(`${WIDGET.group}/${name}`, ["Gadget", "gadgets"]);
}

export interface Gadget extends KubeObject {
  spec: Record<string, unknown>;
}

const specV2 = z.looseObject({
  width: z.int().min(1),
  height: z.int().min(1),
  color: z.string().optional(),
  finish: z.enum(["matt", "glossy"]).optional(),
});

/** Largest area that the validating webhook lets through. */
const AREA_MAX = 100;
/** What the mutating webhook fills in. */
export const DEFAULT_COLOR = "grey";

const KIND = { type: GADGET_V2, spec: specV2 };

const validating = validatingWebhook({
  kind: KIND,
  operations: ["CREATE", "UPDATE", "DELETE"],
  validate: async ({ metadata, spec }, { request, old, signal }) => {
    if (request.operation === "DELETE") {
      return metadata.labels?.["keep"] === "true"
        ? deny("the gadget is labelled keep=true: remove the label first")
        : allow();
    }
    if (spec.color === "broken") return (spec as unknown as { a: { b: string } }).a.b === "" ? allow() : allow();
    if (spec.color === "failing") throw new OperatorError("AGENT_UNREACHABLE", "the paint shop does not answer");
    if (spec.color === "stuck") await new Promise((resolve) => signal.addEventListener("abort", resolve));
    const area = spec.width * spec.height;
    if (area > AREA_MAX) {
      return deny(`a gadget of ${spec.width}x${spec.height} has an area of ${area}: ${AREA_MAX} at most`, 422);
    }
    if (old !== undefined && old.spec.finish !== undefined && old.spec.finish !== spec.finish) {
      return deny(`the finish ${old.spec.finish} cannot be changed`);
    }
    return area === AREA_MAX ? allow("this is as large as a gadget can be") : allow();
  },
});

const mutating = mutatingWebhook({
  kind: KIND,
  mutate: (gadget) => {
    gadget.spec.color ??= DEFAULT_COLOR;
    gadget.metadata.labels = { ...gadget.metadata.labels, "test.shieldx.dev/color": gadget.spec.color };
    return gadget;
  },
});

interface KeptOfV1 {
  readonly finish?: string;
}

/** How gadgets are converted. */
export const GADGET_VERSIONS: ConversionOptions = {
  hub: GADGET_V2,
  spokes: [
    {
      type: GADGET_V1,
      toHub: (body, kept) => {
        const { size, ...rest } = specOf(body);
        const [, width, height] = /^([0-9]+)x([0-9]+)$/.exec(size as string) ?? [];
        if (width === undefined)
          throw new OperatorError("KUBE_INVALID", `spec.size "${size as string}" is not like 3x4`);
        return {
          ...body,
          spec: { ...rest, width: Number(width), height: Number(height), ...(kept as KeptOfV1 | undefined) },
        };
      },
      fromHub: (body) => {
        const { width, height, finish, ...rest } = specOf(body);
        return {
          body: { ...body, spec: { ...rest, size: `${width as number}x${height as number}` } },
          ...(finish === undefined ? {} : { kept: { finish } }),
        };
      },
    },
  ],
};

function specOf(body: ObjectBody): Record<string, unknown> {
  return body["spec"] as Record<string, unknown>;
}

const conversion = conversionWebhook(GADGET_VERSIONS);

/** All webhooks of the kind. */
export const GADGET_WEBHOOKS: readonly Webhook[] = [validating, mutating, conversion];

/** Name of the kind's definition. */
export const GADGET_CRD_NAME = `${GADGET_V2.plural}.${GADGET_V2.group}`;

/** The definition, converted by a server at that address. */
export function gadgetCrd(address: WebhookAddress): KubeObject {
  const schema = (properties: object) => ({
    openAPIV3Schema: {
      type: "object",
      properties: { spec: { type: "object", "x-kubernetes-preserve-unknown-fields": true, properties } },
    },
  });
  const integer = { type: "integer" };
  const text = { type: "string" };
  return definitionOf(GADGET_V2, {
    conversion: conversionStanza(conversion, address),
    versions: [
      { name: "v1", served: true, storage: false, schema: schema({ size: text, color: text }) },
      {
        name: "v2",
        served: true,
        storage: true,
        schema: schema({ width: integer, height: integer, color: text, finish: text }),
      },
    ],
  });
}

/** A gadget as v2 says it. */
export function gadget(name: string, spec: Record<string, unknown> = { width: 3, height: 4 }): Gadget {
  return { apiVersion: GADGET_V2.apiVersion, kind: "Gadget", metadata: { namespace: "default", name }, spec };
}

/** A gadget as v1 says it. */
export function oldGadget(name: string, spec: Record<string, unknown> = { size: "3x4" }): Gadget {
  return { ...gadget(name, spec), apiVersion: GADGET_V1.apiVersion };
}
