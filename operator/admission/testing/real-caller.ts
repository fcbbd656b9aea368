import { isOperatorError } from "../../../lib/core/errors.ts";
import type { KubeClient } from "../../../lib/kube/client.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import { startControlPlane } from "../../../testkit/kube-apiserver.ts";
import { waitForKind } from "../../../testkit/kube-contract.ts";
import { eventually } from "../../../testkit/wait.ts";
import type { CallerOptions, RunningCaller } from "./caller.ts";
import { GADGET_V1, GADGET_V2, gadget } from "./gadget.ts";
import { installGadgets, startGadgetServer } from "./gadget-server.ts";

/** Starts a real API server whose gadgets are judged and converted by a webhook server in this process. */
export async function startRealCaller(options: CallerOptions = {}): Promise<RunningCaller> {
  const controlPlane = await startControlPlane();
  const client = controlPlane.client();
  const { server, metrics, url, stop: stopServer } = await startGadgetServer(client, options);
  const stop = async (): Promise<void> => {
    await stopServer();
    await controlPlane.stop();
  };
  try {
    await installGadgets(client, url);
    await areAsked(client);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    kube: client,
    server,
    create: (object) => client.create(typeOf(object), object),
    update: (object) => client.replace(typeOf(object), object),
    get: (version, name) => client.get(version === "v1" ? GADGET_V1 : GADGET_V2, { namespace: "default", name }),
    list: async (version) => (await client.list(version === "v1" ? GADGET_V1 : GADGET_V2)).items,
    remove: async (name) => void (await client.delete(GADGET_V2, { namespace: "default", name })),
    metrics: () => metrics.text(),
    setFailurePolicy: async (policy) => {
      await installGadgets(client, url, policy);
      await isKnown(client, policy);
    },
    stop,
  };
}

function typeOf({ apiVersion }: KubeObject): typeof GADGET_V1 {
  return apiVersion.endsWith("/v1") ? GADGET_V1 : GADGET_V2;
}

/** The API server learns of kinds, configurations and bundles by watches, one after the other. */
async function areAsked(client: KubeClient): Promise<void> {
  await waitForKind(client, GADGET_V2);
  const tooLarge = gadget("probe", { width: 1000, height: 1 });
  await eventually("the API server asks the admission webhooks", () =>
    client.create(GADGET_V2, tooLarge, { retries: 0 }).then(
      async () => {
        await client.delete(GADGET_V2, tooLarge.metadata);
        return false;
      },
      (error: unknown) => isOperatorError(error) && error.message.includes("has an area of"),
    ),
  );
  const probe = await client.create(GADGET_V2, gadget("probe"));
  await eventually("the API server asks the conversion webhook", () =>
    client.get(GADGET_V1, probe.metadata, { retries: 0 }).then(
      () => true,
      () => false,
    ),
  );
  await client.delete(GADGET_V2, probe.metadata);
}

async function isKnown(client: KubeClient, policy: "Fail" | "Ignore"): Promise<void> {
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
