/** Secrets are readable by the group, which is how a pod that is not root reads them (fsGroup). */
const SECRET_MODE = 0o440;

/** `securityContext` of a pod that the restricted level admits. @param userId uid and gid of the image's user */
export function podSecurity(userId: number): Record<string, unknown> {
  return {
    runAsNonRoot: true,
    runAsUser: userId,
    runAsGroup: userId,
    fsGroup: userId,
    seccompProfile: { type: "RuntimeDefault" },
  };
}

/** `securityContext` of a container that the restricted level admits. */
export const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
} as const;

/** A volume of a Secret: all its keys, or those named. */
export function secretVolume(name: string, secretName: string, keys?: readonly string[]): Record<string, unknown> {
  const items = keys === undefined ? {} : { items: keys.map((key) => ({ key, path: key })) };
  return { name, secret: { secretName, defaultMode: SECRET_MODE, ...items } };
}

/** The mount of a volume that is only read. */
export function readOnlyMount(name: string, mountPath: string): Record<string, unknown> {
  return { name, mountPath, readOnly: true };
}

/** What our programs ask of the downward API. */
export const POD_IDENTITY: readonly Record<string, unknown>[] = [
  fieldVariable("SHIELDX_NAMESPACE", "metadata.namespace"),
  fieldVariable("SHIELDX_POD_NAME", "metadata.name"),
  fieldVariable("SHIELDX_POD_UID", "metadata.uid"),
  fieldVariable("SHIELDX_POD_IP", "status.podIP"),
];

function fieldVariable(name: string, fieldPath: string): Record<string, unknown> {
  return { name, valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } } };
}

/**
 * A pod's spec without the one member of ours that the server would fill in: `apiVersion: v1` of the fields that variables
 * take from the pod. With and without it the server keeps the same pod, and earlier versions wrote it without.
 */
export function withoutFieldVersions(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutFieldVersions);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      if (name !== "fieldRef") return [name, withoutFieldVersions(member)];
      const { apiVersion, ...rest } = member as { readonly apiVersion?: string };
      return [name, apiVersion === "v1" ? rest : member];
    }),
  );
}

/** A request of a kubelet to the probe port of our programs. */
export function httpProbe(path: string): Record<string, unknown> {
  return { httpGet: { path, port: "probes" } };
}
