import { startFakeKube } from "../../testkit/fake-kube.ts";
import { silentConnectionCases } from "./testing/silent-connections.ts";

silentConnectionCases(async () => {
  const fake = await startFakeKube();
  const client = fake.client();
  return { target: fake, client, stop: fake.close };
});
