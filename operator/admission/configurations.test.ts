import { describe, expect, it } from "@jest/globals";
import { conversionStanza, webhookConfiguration } from "./configurations.ts";
import { GADGET_WEBHOOKS } from "./testing/gadget.ts";

// Goal: what a chart installs. That a real API server takes it is shown by admission.int.test.ts.

const service = { namespace: "ns", name: "s", port: 9443 };

describe("webhookConfiguration", () => {
  it("names path, rules and limits of each webhook of the role", () => {
    const options = { name: "gadgets", address: { service } };
    expect(webhookConfiguration("validating", GADGET_WEBHOOKS, options)).toEqual({
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingWebhookConfiguration",
      metadata: { name: "gadgets" },
      webhooks: [
        {
          name: "validating.v2.gadgets.test.shieldx.dev",
          admissionReviewVersions: ["v1"],
          clientConfig: { service: { ...service, path: "/validate-test-shieldx-dev-v2-gadget" } },
          matchPolicy: "Equivalent",
          rules: [
            {
              apiGroups: ["test.shieldx.dev"],
              apiVersions: ["v2"],
              resources: ["gadgets"],
              operations: ["CREATE", "UPDATE", "DELETE"],
              scope: "Namespaced",
            },
          ],
          failurePolicy: "Fail",
          sideEffects: "None",
          timeoutSeconds: 10,
        },
      ],
    });
  });

  it("has mutating webhooks asked again after others changed the object", () => {
    const configuration = webhookConfiguration("mutating", GADGET_WEBHOOKS, {
      name: "gadgets",
      address: { url: "https://127.0.0.1:1" },
      failurePolicy: "Ignore",
    });
    expect(configuration["webhooks"]).toMatchObject([
      {
        name: "mutating.v2.gadgets.test.shieldx.dev",
        clientConfig: { url: "https://127.0.0.1:1/mutate-test-shieldx-dev-v2-gadget" },
        reinvocationPolicy: "IfNeeded",
        failurePolicy: "Ignore",
      },
    ]);
    expect(configuration.metadata).toEqual({ name: "gadgets" });
  });

  it("gives the answer of each webhook less time than the API server does", () => {
    for (const { role, deadlineMs } of GADGET_WEBHOOKS)
      expect({ role, isLess: deadlineMs <= 10_000 }).toEqual({ role, isLess: true });
  });
});

describe("conversionStanza", () => {
  it("has one path for all versions of the kind", () => {
    const [, , conversion] = GADGET_WEBHOOKS;
    if (conversion === undefined) throw new Error("no conversion");
    expect(conversionStanza(conversion, { service })).toEqual({
      strategy: "Webhook",
      webhook: {
        conversionReviewVersions: ["v1"],
        clientConfig: { service: { ...service, path: "/convert-test-shieldx-dev-gadget" } },
      },
    });
  });
});
