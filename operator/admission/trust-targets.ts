import { taking } from "../../crds/forced-fields.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType, resourceType } from "../../lib/kube/types.ts";

/** An object that tells API servers whom to trust when they call a webhook. */
export interface TrustTarget {
  readonly role: "validating" | "mutating" | "conversion";
  /** Name of the webhook configuration, or of the CustomResourceDefinition. */
  readonly name: string;
}

/** Sees and changes the bundles of a set of targets. */
export interface TrustTargets {
  /** Reads all targets from the API server. */
  read(signal: AbortSignal): Promise<readonly SeenTarget[]>;
  /**
   * Writes the bundle into a target, only if the target is still as it was seen.
   * @throws OperatorError KUBE_CONFLICT when it is not, KUBE_…
   */
  write(target: SeenTarget, bundle: string, signal: AbortSignal): Promise<void>;
}

/** A target as it was read. */
export interface SeenTarget {
  readonly target: TrustTarget;
  /** `undefined` when it does not exist. */
  readonly object: KubeObject | undefined;
  /** The bundles in it, one for each webhook; PEM. */
  readonly bundles: readonly string[];
}

/** Kind of object that a target is. */
export const TARGET_TYPES: Readonly<Record<TrustTarget["role"], ResourceType>> = {
  validating: configurationType("ValidatingWebhookConfiguration"),
  mutating: configurationType("MutatingWebhookConfiguration"),
  conversion: RESOURCES.CustomResourceDefinition,
};

/**
 * A field manager of its own: an apply names everything that its manager owns, and whoever installs the configuration
 * must be able to apply the rest of it.
 */
const FIELD_MANAGER = "shieldx-webhook-certificates";

/** Type of a kind of webhook configuration. */
function configurationType(kind: "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration"): ResourceType {
  return resourceType("admissionregistration.k8s.io/v1", [kind, `${kind.toLowerCase()}s`], false);
}

/** The targets of a server, on the API server. */
export function createTrustTargets(
  client: Pick<KubeClient, "find" | "apply">,
  targets: readonly TrustTarget[],
): TrustTargets {
  return {
    read: (signal) =>
      Promise.all(
        targets.map(async (target) => {
          const object = await client.find(TARGET_TYPES[target.role], { name: target.name }, { signal });
          return { target, object, bundles: object === undefined ? [] : configsOf(object).map(bundleOf) };
        }),
      ),
    write: async ({ target, object }, bundle, signal) => {
      if (object === undefined) return;
      const { apiVersion, kind, metadata } = object;
      const caBundle = Buffer.from(bundle, "utf8").toString("base64");
      const { name, uid, resourceVersion } = metadata;
      try {
        await client.apply(
          TARGET_TYPES[target.role],
          {
            apiVersion,
            kind,
            // Nothing is written over a bundle that was not looked at, and no deleted object is made again.
            metadata: {
              name,
              ...(uid === undefined ? {} : { uid }),
              ...(resourceVersion === undefined ? {} : { resourceVersion }),
            },
            ...bodyWith(object, caBundle),
          },
          { fieldManager: FIELD_MANAGER, ...taking("trust"), signal },
        );
      } catch (error) {
        // It was deleted meanwhile: there is nothing left to trust us.
        if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
      }
    },
  };
}

interface ClientConfig {
  readonly caBundle?: string;
}

/** The `clientConfig`s of a webhook configuration or of a CustomResourceDefinition. */
function configsOf(object: KubeObject): readonly ClientConfig[] {
  if (object.kind === "CustomResourceDefinition") {
    const { conversion } = object["spec"] as { conversion?: { webhook?: { clientConfig?: ClientConfig } } };
    return conversion?.webhook?.clientConfig === undefined ? [] : [conversion.webhook.clientConfig];
  }
  return webhooksOf(object).map(({ clientConfig }) => clientConfig);
}

function webhooksOf(object: KubeObject): readonly { readonly name: string; readonly clientConfig: ClientConfig }[] {
  return (object["webhooks"] ?? []) as readonly { name: string; clientConfig: ClientConfig }[];
}

function bundleOf({ caBundle = "" }: ClientConfig): string {
  return Buffer.from(caBundle, "base64").toString("utf8");
}

/** Only the bundles: everything else belongs to whoever installed the object. */
function bodyWith(object: KubeObject, caBundle: string): Record<string, unknown> {
  const clientConfig = { caBundle };
  return object.kind === "CustomResourceDefinition"
    ? { spec: { conversion: { webhook: { clientConfig } } } }
    : { webhooks: webhooksOf(object).map(({ name }) => ({ name, clientConfig })) };
}
