import { expect, test } from "@jest/globals";
import {
  CONTAINER_SECURITY,
  httpProbe,
  POD_IDENTITY,
  podSecurity,
  readOnlyMount,
  secretVolume,
  withoutFieldVersions,
} from "./pods.ts";

// The parts of pods as the API server gets them. What the restricted level of pod security asks for is all here.

test("a pod and its containers are restricted", () => {
  expect(podSecurity(10_001)).toEqual({
    runAsNonRoot: true,
    runAsUser: 10_001,
    runAsGroup: 10_001,
    fsGroup: 10_001,
    seccompProfile: { type: "RuntimeDefault" },
  });
  expect(CONTAINER_SECURITY).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
});

test("a Secret is mounted whole or by key, readable by the group alone", () => {
  const secret = { secretName: "bank-tls", defaultMode: 0o440 };
  expect(secretVolume("tls", "bank-tls")).toEqual({ name: "tls", secret });
  expect(secretVolume("tls", "bank-tls", ["tls.crt"])).toEqual({
    name: "tls",
    secret: { ...secret, items: [{ key: "tls.crt", path: "tls.crt" }] },
  });
  expect(readOnlyMount("tls", "/etc/tls")).toEqual({ name: "tls", mountPath: "/etc/tls", readOnly: true });
});

test("a program learns who it is from the downward API", () => {
  const fieldOf = (item: Readonly<Record<string, unknown>>): unknown => item["valueFrom"];
  expect(Object.fromEntries(POD_IDENTITY.map((item) => [item["name"], fieldOf(item)]))).toEqual({
    SHIELDX_NAMESPACE: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } },
    SHIELDX_POD_NAME: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } },
    SHIELDX_POD_UID: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.uid" } },
    SHIELDX_POD_IP: { fieldRef: { apiVersion: "v1", fieldPath: "status.podIP" } },
  });
});

test("a probe asks the port of probes", () => {
  expect(httpProbe("/healthz")).toEqual({ httpGet: { path: "/healthz", port: "probes" } });
});

test("a spec can be had in the form in which the server fills in the version of a field", () => {
  const variable = (fieldRef: unknown) => ({ containers: [{ env: [{ name: "POD_IP", valueFrom: { fieldRef } }] }] });
  expect(withoutFieldVersions(variable({ apiVersion: "v1", fieldPath: "status.podIP" }))).toEqual(
    variable({ fieldPath: "status.podIP" }),
  );
  const other = variable({ apiVersion: "v2", fieldPath: "status.podIP" });
  expect(withoutFieldVersions(other)).toEqual(other);
  expect(withoutFieldVersions({ apiVersion: "v1", port: null })).toEqual({ apiVersion: "v1", port: null });
});
