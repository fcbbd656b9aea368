import { describe } from "@jest/globals";
import type { ContractServer } from "./contract/server.ts";
import { type FakeKubeOptions, startFakeKube } from "./fake-kube.ts";
import {
  describeFaultContract,
  describeGarbageContract,
  describeGoneContract,
  describeKubeContract,
} from "./kube-contract.ts";

// The fake must behave as the real server does in kube-contract.int.test.ts.
async function start(options: FakeKubeOptions = {}, as: "status" | "frame" = "frame"): Promise<ContractServer> {
  const fake = await startFakeKube(options);
  const client = fake.client();
  return {
    client: () => client,
    faultyClient: () => fake.client(),
    target: fake,
    define: async (type) => fake.define(type),
    undefine: async (type) => fake.undefine(type),
    forgetVersions: async () => fake.compact(as),
    stop: () => fake.close(),
  };
}

describe("the fake", () => describeKubeContract(() => start()));
describe.each(["status", "frame"] as const)("the fake, telling 410 as a %s", (as) => {
  describeGoneContract(() => start({}, as));
});
describe("the fake, misbehaving", () => describeFaultContract(() => start()));
describe("the fake with a garbage collector", () => describeGarbageContract(() => start({ garbageCollector: true })));
