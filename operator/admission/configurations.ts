import type { KubeObject } from "../../lib/kube/types.ts";
import type { Webhook } from "./webhook.ts";

/** Where the API server finds the webhook server. The caller's bundle is written later, by whoever owns the certificate. */
export type WebhookAddress =
  | { readonly url: string }
  | { readonly service: { readonly namespace: string; readonly name: string; readonly port: number } };

export interface ConfigurationOptions {
  readonly name: string;
  readonly address: WebhookAddress;
  /** What happens when there is no answer: `Fail` unless told. */
  readonly failurePolicy?: "Fail" | "Ignore";
}

/** A second more than our own limit, so that the user reads our sentence and not the API server's. */
const TIMEOUT_SECONDS = 10;

/**
 * The configuration that makes the API server call the webhooks of one role; those of other roles are left out.
 * An apply of it by another field manager than the certificates' leaves the bundles alone.
 */
export function webhookConfiguration(
  role: "validating" | "mutating",
  webhooks: readonly Webhook[],
  options: ConfigurationOptions,
): KubeObject {
  const { name, address, failurePolicy = "Fail" } = options;
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: role === "validating" ? "ValidatingWebhookConfiguration" : "MutatingWebhookConfiguration",
    metadata: { name },
    webhooks: webhooks
      .filter((webhook) => webhook.role === role)
      .map(({ path, type, operations }) => ({
        name: `${role}.${type.version}.${type.plural}.${type.group}`,
        admissionReviewVersions: ["v1"],
        clientConfig: clientConfig(address, path),
        // Requests at another version are converted to ours before we see them.
        matchPolicy: "Equivalent",
        rules: [
          {
            apiGroups: [type.group],
            apiVersions: [type.version],
            resources: [type.plural],
            operations: [...operations],
            scope: type.namespaced ? "Namespaced" : "Cluster",
          },
        ],
        failurePolicy,
        sideEffects: "None",
        timeoutSeconds: TIMEOUT_SECONDS,
        // What another webhook changes later may need completion again.
        ...(role === "mutating" ? { reinvocationPolicy: "IfNeeded" } : {}),
      })),
  };
}

/** `spec.conversion` of a CustomResourceDefinition whose kind a webhook converts. */
export function conversionStanza(webhook: Webhook, address: WebhookAddress): Readonly<Record<string, unknown>> {
  return {
    strategy: "Webhook",
    webhook: { conversionReviewVersions: ["v1"], clientConfig: clientConfig(address, webhook.path) },
  };
}

function clientConfig(address: WebhookAddress, path: string): Readonly<Record<string, unknown>> {
  return "url" in address ? { url: `${address.url}${path}` } : { service: { ...address.service, path } };
}
