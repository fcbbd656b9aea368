import { expect, test } from "@jest/globals";
import { referencesIn, withNames } from "./rollout.references.ts";

// One of everything that a pod can read.
const POD = {
  serviceAccountName: "web",
  imagePullSecrets: [{ name: "registry" }],
  initContainers: [{ name: "init", envFrom: [{ prefix: "I_", configMapRef: { name: "init-env" } }] }],
  containers: [
    {
      name: "web",
      image: "web:1",
      env: [
        { name: "PLAIN", value: "1" },
        { name: "FIELD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
        { name: "A", valueFrom: { configMapKeyRef: { name: "env", key: "a" } } },
        { name: "B", valueFrom: { secretKeyRef: { name: "password", key: "b", optional: true } } },
        { name: "C", valueFrom: { secretKeyRef: { name: "password", key: "c" } } },
      ],
      envFrom: [{ secretRef: { name: "maybe", optional: true } }],
    },
  ],
  volumes: [
    { name: "scratch", emptyDir: {} },
    { name: "files", configMap: { name: "files", items: [{ key: "a", path: "a" }] } },
    { name: "tls", secret: { secretName: "tls", defaultMode: 256 } },
    { name: "disk", cephfs: { monitors: ["a"], secretRef: { name: "storage" } } },
    {
      name: "all",
      projected: {
        sources: [
          { configMap: { name: "env" } },
          { secret: { name: "projected" } },
          { serviceAccountToken: { path: "token" } },
        ],
      },
    },
  ],
};

test("every way to read configuration is found, and nothing else", () => {
  const text = referencesIn(POD).map(({ kind, name, isOptional }) => `${kind} ${name}${isOptional ? "?" : ""}`);
  expect(text).toEqual([
    "ConfigMap env",
    "ConfigMap files",
    "ConfigMap init-env",
    "Secret maybe?",
    "Secret password",
    "Secret projected",
    "Secret tls",
  ]);
});

test("only names change", () => {
  const changed = withNames(POD, ({ kind, name }) => `${kind}-${name}`);
  const back = withNames(changed, ({ kind, name }) => name.replace(`${kind}-`, ""));
  expect(back).toEqual(POD);
  expect(JSON.stringify(changed)).toContain('{"secretName":"Secret-tls","defaultMode":256}');
  expect(JSON.stringify(changed).match(/(ConfigMap|Secret)-/g)).toHaveLength(9);
});

test.each([
  ["nothing", {}],
  ["lists that are none", { containers: "web", volumes: { name: "a" } }],
  ["elements that are none", { containers: [null, 1, { env: [null], envFrom: "all" }], volumes: [[]] }],
  ["names that are none", { volumes: [{ configMap: { name: 7 } }, { secret: null }, { secret: { secretName: "" } }] }],
])("a template of %s is left as it is", (_, pod) => {
  expect(referencesIn(pod)).toEqual([]);
  expect(withNames(pod, () => "x")).toEqual(pod);
});
