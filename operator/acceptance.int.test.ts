import { access } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { RESOURCES } from "../lib/kube/types.ts";
import { describeManagerItems } from "../testkit/acceptance/all.ts";
import { type AcceptanceSuite, ITEMS } from "../testkit/acceptance/items.ts";
import { describeProgramItems } from "../testkit/acceptance/program.ts";
import { startRealAcceptance } from "../testkit/acceptance/server.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";
import { waitForKind } from "../testkit/kube-contract.ts";
import { WIDGET, WIDGET_CRD } from "../testkit/widget.ts";

// Goal: the acceptance list on a real etcd and kube-apiserver, with a proxy in between that makes the faults. One control
// plane serves all items, each in a namespace of its own.

/** Items that run on a real API server in a file of their own, with the reason. */
const ELSEWHERE = {
  // The server has to call back, over certificates that change for the best part of a minute.
  13: "admission/server.rotation.int.test.ts",
} as const;

let plane: TestControlPlane;
let namespaces = 0;
beforeAll(async () => {
  plane = await startControlPlane();
  const client = plane.client();
  await client.create(RESOURCES.CustomResourceDefinition, WIDGET_CRD);
  await waitForKind(client, WIDGET);
});
afterAll(() => plane.stop());

const suite: AcceptanceSuite = {
  start: () => startRealAcceptance(plane, `acceptance-${(namespaces += 1)}`),
  covered: new Set(),
};
describeManagerItems(suite);
describeProgramItems(suite);

describe("the list", () => {
  it("is complete here and in the files named", async () => {
    const items = [...suite.covered, ...Object.keys(ELSEWHERE).map(Number)];
    expect(items.sort((a, b) => a - b)).toEqual(Object.keys(ITEMS).map(Number));
    for (const file of Object.values(ELSEWHERE)) await access(join(import.meta.dirname, file));
  });
});
