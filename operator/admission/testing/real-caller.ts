import { systemClock } from "../../../lib/core/clock.ts";
import { isOperatorError } from "../../../lib/core/errors.ts";
import type { KubeClient } from "../../../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../../lib/kube/types.ts";
import { createLogger, silentLogger } from "../../../lib/node/logger.ts";
import { createMetrics } from "../../../lib/node/metrics.ts";
import { startControlPlane, type TestControlPlane } from "../../testing/kube-apiserver.ts";
import { waitForKind } from "../../testing/kube-contract.ts";
import { eventually } from "../../testing/wait.ts";
import type { CertificateSource } from "../certificate-source.ts";
import { webhookConfiguration } from "../configurations.ts";
import { createOwnCertificates } from "../own-certificates.ts";
import type { RotationPolicy } from "../rotation.ts";
import { createWebhookServer, type WebhookServer } from "../server.ts";
import type { TrustTarget } from "../trust-targets.ts";
import type { Caller } from "./caller.ts";
import { GADGET_CRD_NAME, GADGET_V1, GADGET_V2, GADGET_WEBHOOKS, gadget, gadgetCrd } from "./gadget.ts";

/** A real API server whose gadgets are judged and converted by a webhook server in this process. */
export interface RealCaller extends Caller {
  readonly controlPlane: TestControlPlane;
  readonly client: KubeClient;
  readonly server: WebhookServer;
  stop(): Promise<void>;
}

/** Name of the webhook configurations. */
export const CONFIGURATION = "gadgets.test.shieldx.dev";
export const SECRET = { namespace: "default", name: "gadget-webhooks" };

/** Everything that must trust the server. */
export const TARGETS: readonly TrustTarget[] = [
  { role: "validating", name: CONFIGURATION },
  { role: "mutating", name: CONFIGURATION },
  { role: "conversion", name: GADGET_CRD_NAME },
];

export const VALIDATING: ResourceType = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingWebhookConfiguration",
  plural: "validatingwebhookconfigurations",
  namespaced: false,
};
export const MUTATING: ResourceType = {
  ...VALIDATING,
  kind: "MutatingWebhookConfiguration",
  plural: "mutatingwebhookconfigurations",
};

/** Which certificates the server shows. */
export interface RealCallerOptions {
  /** For certificates of our own. */
  readonly policy?: RotationPolicy;
  readonly lookMs?: number;
  /** For anything else. The caller's trust is the test's business then. */
  readonly certificates?: (onRead: (ok: boolean) => void) => CertificateSource;
}

/** Starts both, and waits until the API server asks the webhooks. */
export async function startRealCaller(options: RealCallerOptions = {}): Promise<RealCaller> {
  const controlPlane = await startControlPlane();
  const client = controlPlane.client();
  const metrics = createMetrics();
  const log = process.env["SHIELDX_TEST_LOG"] === undefined ? silentLogger : createLogger("debug");
  const server = createWebhookServer({
    webhooks: GADGET_WEBHOOKS,
    certificates:
      options.certificates ??
      ((onRead) =>
        createOwnCertificates({
          client: controlPlane.client(),
          secret: SECRET,
          targets: TARGETS,
          names: { dnsNames: [], ipAddresses: ["127.0.0.1"] },
          clock: systemClock,
          random: () => 0.5,
          log,
          onRead,
          lookMs: options.lookMs ?? 500,
          ...(options.policy === undefined ? {} : { policy: options.policy }),
        })),
    port: 0,
    host: "127.0.0.1",
    clock: systemClock,
    metrics,
    log,
    drainMs: 0,
  });
  const abort = new AbortController();
  const ended = server.run(abort.signal);
  const port = await eventually("the server listens", () => server.port());
  await install(client, `https://127.0.0.1:${port}`);

  return {
    controlPlane,
    client,
    server,
    create: (object) => client.create(typeOf(object), object),
    update: (object) => client.replace(typeOf(object), object),
    get: (version, name) => client.get(version === "v1" ? GADGET_V1 : GADGET_V2, { namespace: "default", name }),
    list: async (version) => (await client.list(version === "v1" ? GADGET_V1 : GADGET_V2)).items,
    remove: async (name) => void (await client.delete(GADGET_V2, { namespace: "default", name })),
    metrics: () => metrics.text(),
    setFailurePolicy: async (failurePolicy) => {
      await client.apply(
        VALIDATING,
        webhookConfiguration("validating", GADGET_WEBHOOKS, {
          name: CONFIGURATION,
          address: { url: `https://127.0.0.1:${port}` },
          failurePolicy,
        }),
        { fieldManager: "installer" },
      );
      await policyIsKnown(client, failurePolicy);
    },
    stop: async () => {
      abort.abort();
      await ended;
      await controlPlane.stop();
    },
  };
}

function typeOf({ apiVersion }: KubeObject): typeof GADGET_V1 {
  return apiVersion.endsWith("/v1") ? GADGET_V1 : GADGET_V2;
}

/** The kind and who judges it, as a chart would install them: without bundles. */
async function install(client: KubeClient, url: string): Promise<void> {
  const how = { fieldManager: "installer" };
  await client.apply(RESOURCES.CustomResourceDefinition, gadgetCrd({ url }), how);
  for (const [type, role] of [
    [VALIDATING, "validating"],
    [MUTATING, "mutating"],
  ] as const) {
    await client.apply(
      type,
      webhookConfiguration(role, GADGET_WEBHOOKS, { name: CONFIGURATION, address: { url } }),
      how,
    );
  }
  await waitForKind(client, GADGET_V2);
  const tooLarge = gadget("probe", { width: 1000, height: 1 });
  await eventually("the API server asks the webhooks", () =>
    client.create(GADGET_V2, tooLarge, { retries: 0 }).then(
      async () => void (await client.delete(GADGET_V2, tooLarge.metadata)),
      (error: unknown) => isOperatorError(error) && error.message.includes("has an area of"),
    ),
  );
}

/** The API server learns of a changed policy by a watch. */
async function policyIsKnown(client: KubeClient, policy: "Fail" | "Ignore"): Promise<void> {
  const failing = gadget("policy-probe", { width: 1, height: 1, color: "failing" });
  await eventually(`the failure policy is ${policy}`, () =>
    client.create(GADGET_V2, failing, { retries: 0 }).then(
      async () => {
        await client.delete(GADGET_V2, failing.metadata);
        return policy === "Ignore";
      },
      () => policy === "Fail",
    ),
  );
}
