import type { KubeClient } from "../lib/kube/client.ts";
import { RESOURCES } from "../lib/kube/types.ts";
import { waitForKind } from "./kube-contract.ts";

const { FeatureFlag } = RESOURCES;

/** What the OpenFeature Operator says of a flag. */
const flag = {
  type: "object",
  required: ["defaultVariant", "state", "variants"],
  properties: {
    state: { type: "string", enum: ["ENABLED", "DISABLED"] },
    defaultVariant: { type: "string" },
    variants: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    targeting: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
  },
};

/**
 * Serves FeatureFlag as the OpenFeature Operator defines it, and waits for it. Its own CRD is in no package that can be had here, so
 * this one has the same group, names and members.
 */
export async function installFeatureFlags(client: KubeClient): Promise<void> {
  const { group, version, kind, plural } = FeatureFlag;
  const flagSpec = {
    type: "object",
    required: ["flags"],
    properties: {
      flags: { type: "object", additionalProperties: flag },
      $evaluators: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    },
  };
  const spec = { type: "object", properties: { flagSpec } };
  const openAPIV3Schema = { type: "object", properties: { spec, status: { type: "object" } } };
  const crd = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List`, shortNames: ["ff"] },
      versions: [
        { name: version, served: true, storage: true, schema: { openAPIV3Schema }, subresources: { status: {} } },
      ],
    },
  };
  await client.apply(RESOURCES.CustomResourceDefinition, crd, { fieldManager: "open-feature", force: true });
  await waitForKind(client, FeatureFlag);
}
