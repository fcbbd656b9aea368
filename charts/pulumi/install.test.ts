// The Pulumi component under Pulumi's mocks: it makes one Helm release of our chart with the values asked for.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { runtime } from "@pulumi/pulumi";
import { chartValues, ShieldxOperator, type ShieldxOperatorArgs } from "./install.ts";

const IMAGES = { image: "example/shieldx:1", postgresImage: "example/shieldx-postgres:1" };

const EVERYTHING: ShieldxOperatorArgs = {
  ...IMAGES,
  imagePullPolicy: "Always",
  imagePullSecrets: ["registry", { name: "mirror" }],
  namespace: "platform",
  replicas: 3,
  watchNamespaces: ["bank"],
  clusterDomain: "example.internal",
  logLevel: "debug",
  crds: { enabled: true, keep: false },
  resources: { requests: { cpu: "100m" }, limits: { memory: "1Gi" } },
  priorityClassName: "high",
  nodeSelector: { pool: "system" },
  tolerations: [{ key: "dedicated", operator: "Exists" }],
  serviceMonitor: { interval: "10s", labels: { team: "platform" } },
  networkPolicy: false,
};

const made: runtime.MockResourceArgs[] = [];

beforeAll(async () => {
  await runtime.setMocks({
    newResource: (args) => {
      made.push(args);
      return { id: `${args.name}-id`, state: args.inputs as Record<string, unknown> };
    },
    call: () => ({}),
  });
});

function release(name: string): Record<string, unknown> {
  const found = made.filter((args) => args.type === "kubernetes:helm.sh/v3:Release" && args.name === name);
  expect(found).toHaveLength(1);
  return found[0]?.inputs as Record<string, unknown>;
}

async function resolved<T>(output: { apply(step: (value: T) => void): unknown }): Promise<T> {
  return new Promise((resolve) => void output.apply(resolve));
}

describe("ShieldxOperator", () => {
  test("two images are enough: the chart of this repository in shieldx-system", async () => {
    const operator = new ShieldxOperator("shieldx", IMAGES);
    expect(await resolved(operator.namespace)).toBe("shieldx-system");
    expect(await resolved(operator.releaseName)).toBe("shieldx");
    expect(release("shieldx")).toMatchObject({
      chart: join(import.meta.dirname, "..", "operator"),
      namespace: "shieldx-system",
      createNamespace: true,
      atomic: true,
      values: { image: { reference: IMAGES.image }, postgresImage: { reference: IMAGES.postgresImage } },
    });
  });

  test("everything that can be chosen reaches the chart", async () => {
    const operator = new ShieldxOperator("chosen", EVERYTHING);
    expect(await resolved(operator.namespace)).toBe("platform");
    expect(release("chosen")["values"]).toEqual({
      image: { reference: IMAGES.image, pullPolicy: "Always" },
      postgresImage: { reference: IMAGES.postgresImage },
      imagePullSecrets: ["registry", { name: "mirror" }],
      replicas: 3,
      watchNamespaces: ["bank"],
      clusterDomain: "example.internal",
      log: { level: "debug" },
      crds: { enabled: true, keep: false },
      resources: { requests: { cpu: "100m" }, limits: { memory: "1Gi" } },
      priorityClassName: "high",
      nodeSelector: { pool: "system" },
      tolerations: [{ key: "dedicated", operator: "Exists" }],
      metrics: { serviceMonitor: { enabled: true, interval: "10s", labels: { team: "platform" } } },
      networkPolicy: { enabled: false },
    });
  });
});

describe("chartValues", () => {
  test("what is left out keeps the chart's default: no member is undefined or null", () => {
    expect(Object.keys(chartValues(IMAGES))).toEqual(["image", "postgresImage"]);
  });

  test("every value has a place in the chart's schema, which refuses other names", () => {
    const file = join(import.meta.dirname, "../operator/values.schema.json");
    const schema = JSON.parse(readFileSync(file, "utf8")) as { properties: Record<string, unknown> };
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(Object.keys(chartValues(EVERYTHING))));
  });
});
