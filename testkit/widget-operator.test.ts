// What a widget costs. The operator benchmark compares it with a Go program of the same work, so a request more is a fault.
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { type Replica, startReplica } from "./acceptance/replica.ts";
import { type FakeKube, startFakeKube } from "./fake-kube.ts";
import { isWatchRequest } from "./fault-server.ts";
import { eventually } from "./wait.ts";
import { WIDGET, widget } from "./widget.ts";
import { createWidgetOperator, type WidgetOperatorOptions } from "./widget-operator.ts";

let server: FakeKube;
let replica: Replica;

beforeEach(async () => {
  server = await startFakeKube();
});
afterEach(async () => {
  await replica.stop();
  await server.close();
});

/** Requests for one new widget, from the first to rest. */
async function requestsFor(options: WidgetOperatorOptions): Promise<readonly string[]> {
  const controller = createWidgetOperator(options);
  replica = startReplica({ link: server, namespace: "default", identity: "a", controller });
  await replica.leads();
  const user = server.client();
  server.forgetRequests();
  await user.create(WIDGET, widget("w", { text: "hello" }));
  const isTold = async () => (await user.find(WIDGET, { namespace: "default", name: "w" }))?.status !== undefined;
  await eventually("it has a status", isTold);
  await replica.rests();
  return server
    .requests()
    .filter((request) => request.userAgent.includes("(a)") && !isWatchRequest(request) && !/lease/.test(request.path))
    .map(({ method, path }) => `${method} ${path.split("/namespaces/default/")[1] ?? path}`);
}

const BARE = { cleansUp: false, isTerse: true } as const;

test.each<[string, WidgetOperatorOptions, readonly string[]]>([
  ["as in the benchmark", BARE, ["PATCH configmaps/w", "PATCH widgets/w/status"]],
  [
    "as in the benchmark, with three children",
    { ...BARE, children: 3 },
    ["PATCH configmaps/w", "PATCH secrets/w", "PATCH deployments/w", "PATCH widgets/w/status"],
  ],
  ["as in the chaos run", { isTerse: true }, ["PATCH widgets/w", "PATCH configmaps/w", "PATCH widgets/w/status"]],
  ["with all of it", {}, ["PATCH widgets/w", "PATCH configmaps/w", "PATCH widgets/w/status", "POST events"]],
])("%s", async (_name, options, wanted) => {
  expect(await requestsFor(options)).toEqual(wanted);
});
