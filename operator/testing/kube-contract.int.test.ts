import { RESOURCES } from "../../lib/kube/types.ts";
import { startControlPlane } from "./kube-apiserver.ts";
import { describeKubeContract, waitForKind } from "./kube-contract.ts";
import { WIDGET, WIDGET_CRD } from "./widget.ts";

// The yardstick: a real etcd and kube-apiserver.
describeKubeContract(async () => {
  const controlPlane = await startControlPlane();
  const client = controlPlane.client();
  await client.create(RESOURCES.CustomResourceDefinition, WIDGET_CRD);
  await waitForKind(client, WIDGET);
  return { client: () => client, stop: () => controlPlane.stop() };
});
