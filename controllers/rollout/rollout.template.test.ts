import { describe, expect, test } from "@jest/globals";
import type { RolloutSpec } from "../../crds/rollout.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { type Unusable, type Wanted, wantedOf } from "./rollout.template.ts";
import { deployment, service, spec } from "./testing/builders.ts";

interface Given {
  readonly spec?: Partial<RolloutSpec>;
  readonly deployment?: KubeObject;
  readonly service?: KubeObject;
}

function found(given: Given = {}): Wanted | Unusable {
  return wantedOf(spec(given.spec), {
    deployment: given.deployment ?? deployment("web:1"),
    service: given.service ?? service(),
    claimedBy: undefined,
  });
}

function wanted(given: Given = {}): Wanted {
  const made = found(given);
  if ("reason" in made) throw new Error(made.message);
  return made;
}

/** The user's Service with other ports. */
function reached(...ports: readonly object[]): KubeObject {
  return { ...service(), spec: { selector: { app: "web" }, ports } };
}

describe("ports", () => {
  const { revision, ports } = wanted();

  test("those of the Service, with numbers in place of names", () => {
    expect(ports).toEqual([{ port: 80, targetPort: 8_080 }]);
  });

  test.each<[string, Given]>([
    ["another port of the pods in the Service", { service: reached({ port: 80, targetPort: 9_090 }) }],
    ["another port of the Service", { service: reached({ port: 81, targetPort: 8_080 }) }],
    ["another protocol of the application", { service: reached({ ...ports[0], appProtocol: "kubernetes.io/h2c" }) }],
    ["one more port", { service: reached({ name: "a", ...ports[0] }, { name: "b", port: 81 }) }],
    ["ports in the spec", { spec: { service: { name: "web", ports: [{ port: 80, targetPort: 9_090 }] } } }],
  ])("%s: another revision", (_, given) => {
    expect(wanted(given).revision).not.toBe(revision);
  });

  test.each<[string, Given]>([
    ["the same ones by number", { service: reached({ port: 80, targetPort: 8_080 }) }],
    ["the same ones in the spec", { spec: { service: { name: "web", ports: [{ port: 80, targetPort: 8_080 }] } } }],
    [
      "what the Service says besides",
      {
        service: {
          ...service(),
          metadata: { name: "web", labels: { team: "shop" } },
          spec: { ...specOf(service()), type: "NodePort" },
        },
      },
    ],
  ])("%s: the same revision", (_, given) => {
    expect(wanted(given).revision).toBe(revision);
  });

  test("the same in the spec whether or not the port of the pods is told", () => {
    const bare = wanted({ spec: { service: { name: "web", ports: [{ port: 8_080 }] } } });
    const told = wanted({ spec: { service: { name: "web", ports: [{ port: 8_080, targetPort: 8_080 }] } } });
    expect(bare).toEqual(told);
  });
});

describe("pods of a version that serves", () => {
  test("are those of the Deployment, or of the spec", () => {
    expect(wanted().replicas).toBe(4);
    expect(wanted({ spec: { replicas: 2 } }).replicas).toBe(2);
    expect(wanted({ spec: { replicas: 2 }, deployment: deployment("web:1", 0) }).replicas).toBe(2);
  });

  test("are not known where the Deployment is scaled to 0", () => {
    expect(found({ deployment: deployment("web:1", 0) })).toEqual({
      reason: "ReplicasUnknown",
      message: "Deployment web is scaled to 0, so nothing says how many pods are to serve: set spec.replicas",
    });
  });
});

function specOf(object: KubeObject): object {
  return object["spec"] as object;
}
