import type { KubeObject } from "../../../lib/kube/types.ts";
import { deployment, NAMESPACE } from "./builders.ts";

// A Deployment that reads a ConfigMap as variables and a Secret as files, and both of them.

export function configuredDeployment(image: string): KubeObject {
  const object = deployment(image) as KubeObject & {
    readonly spec: {
      readonly template: { readonly metadata: object; readonly spec: { readonly containers: object[] } };
    };
  };
  const { template } = object.spec;
  const containers = template.spec.containers.map((container) => ({
    ...container,
    envFrom: [{ configMapRef: { name: "settings" } }],
    volumeMounts: [{ name: "keys", mountPath: "/keys" }],
  }));
  const spec = { ...template.spec, containers, volumes: [{ name: "keys", secret: { secretName: "keys" } }] };
  return { ...object, spec: { ...object.spec, template: { ...template, spec } } };
}

export function configMap(color: string): KubeObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "settings", namespace: NAMESPACE },
    data: { COLOR: color },
  };
}

export function secret(text: string): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "keys", namespace: NAMESPACE },
    type: "Opaque",
    data: { key: Buffer.from(text).toString("base64") },
  };
}
