import { systemClock } from "../../../lib/core/clock.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../../lib/kube/types.ts";
import { createLogger } from "../../../lib/node/logger.ts";
import { createMetrics, type Metrics } from "../../../lib/node/metrics.ts";
import { eventually } from "../../../testkit/wait.ts";
import { webhookConfiguration } from "../configurations.ts";
import { createOwnCertificates } from "../own-certificates.ts";
import { createWebhookServer, type WebhookServer } from "../server.ts";
import { createTrustTargets, type SeenTarget, TARGET_TYPES } from "../trust-targets.ts";
import { type CallerOptions, CONFIGURATION, SECRET, TARGETS } from "./caller.ts";
import { GADGET_WEBHOOKS, gadgetCrd } from "./gadget.ts";
import type { CertificateKube } from "./memory-kube.ts";

/** A webhook server of gadgets on loopback. */
export interface GadgetServer {
  readonly server: WebhookServer;
  readonly metrics: Metrics;
  /** `https://127.0.0.1:port` */
  readonly url: string;
  stop(): Promise<void>;
}

/** "debug" shows what the server does while a test is written. */
const LOG_LEVEL = "silent";
/** Looks in the life of a certificate: what only time does is seen in time, however short lives are. */
const LOOKS_A_LIFE = 50;

/** Starts it with certificates of its own. */
export async function startGadgetServer(kube: CertificateKube, options: CallerOptions): Promise<GadgetServer> {
  const metrics = createMetrics();
  const log = createLogger(LOG_LEVEL);
  const { policy } = options;
  const server = createWebhookServer({
    webhooks: GADGET_WEBHOOKS,
    certificates: (onRead) =>
      createOwnCertificates({
        client: kube,
        secret: SECRET,
        targets: TARGETS,
        names: { dnsNames: [], ipAddresses: ["127.0.0.1"] },
        clock: systemClock,
        random: () => 0.5,
        log,
        onRead,
        ...(policy === undefined ? {} : { policy, lookMs: policy.certificate.validityMs / LOOKS_A_LIFE }),
      }),
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
  return {
    server,
    metrics,
    url: `https://127.0.0.1:${port}`,
    stop: () => {
      abort.abort();
      return ended;
    },
  };
}

/** Whoever installs the kind and its webhooks: a chart, for example. It leaves the bundles to others. */
export async function installGadgets(
  kube: Pick<CertificateKube, "apply">,
  url: string,
  failurePolicy: "Fail" | "Ignore" = "Fail",
): Promise<void> {
  const how = { fieldManager: "installer" };
  const address = { url };
  const apply = (type: ResourceType, object: KubeObject) => kube.apply(type, object, how);
  const options = { name: CONFIGURATION, address, failurePolicy };
  await apply(RESOURCES.CustomResourceDefinition, gadgetCrd(address));
  await apply(TARGET_TYPES.validating, webhookConfiguration("validating", GADGET_WEBHOOKS, options));
  await apply(
    TARGET_TYPES.mutating,
    webhookConfiguration("mutating", GADGET_WEBHOOKS, { ...options, failurePolicy: "Fail" }),
  );
}

/** Tells all targets to trust somebody else. */
export async function injectTrust(kube: Pick<CertificateKube, "find" | "apply">, caPem: string): Promise<void> {
  const { signal } = new AbortController();
  const targets = createTrustTargets(kube, TARGETS);
  for (const seen of await readTargets(kube)) await targets.write(seen, caPem, signal);
}

/** All targets as they are now. */
export function readTargets(kube: Pick<CertificateKube, "find" | "apply">): Promise<readonly SeenTarget[]> {
  return createTrustTargets(kube, TARGETS).read(new AbortController().signal);
}

/** The failure policy that is installed. */
export async function failurePolicyOf(kube: Pick<CertificateKube, "find">): Promise<"Fail" | "Ignore"> {
  const configuration = await kube.find(TARGET_TYPES.validating, { name: CONFIGURATION });
  const [webhook] = (configuration?.["webhooks"] ?? []) as { readonly failurePolicy: "Fail" | "Ignore" }[];
  return webhook?.failurePolicy ?? "Fail";
}
