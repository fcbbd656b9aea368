import { startFakeKube } from "./fake-kube.ts";
import { describeKubeContract } from "./kube-contract.ts";

// The fake must behave as the real server does in kube-contract.int.test.ts.
describeKubeContract(async () => {
  const fake = await startFakeKube();
  return { client: () => fake.client(), stop: () => fake.close() };
});
