import { expect, test } from "@jest/globals";
import { ROLLOUT, type RolloutSpec } from "../../crds/rollout.ts";
import { rolloutShadow } from "../../crds/rollout-shadow.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { conditionOf, expectGolden, toRest } from "../../testkit/story.ts";
import { deployment, NAME, service, verdict } from "./testing/builders.ts";
import { gateway, gatewayClass } from "./testing/gateways.ts";
import { beginStage, later, push, type Stage } from "./testing/stage.ts";

// Releases that begin with copies of requests, and that testers meet before others, at gateways of all sorts.

const ENVOY = "gateway.envoyproxy.io/gatewayclass-controller";
const TRAEFIK = "traefik.io/gateway-controller";
const CONTOUR = "projectcontour.io/gateway-controller";

const TESTERS = { header: { name: "x-canary", value: "always" } };

/** @param controllerName of the Gateway's class */
function begin(controllerName: string, shadow: object | undefined, gatewayAPI: object = {}): Stage {
  const traffic = { gatewayAPI: { kind: "HTTPRoute" as const, parentRefs: [{ name: "public" }], ...gatewayAPI } };
  const given: Partial<RolloutSpec> = {
    traffic,
    ...(shadow === undefined ? {} : { shadow: rolloutShadow.parse({ durationSeconds: 30, ...shadow }) }),
  };
  const objects = [deployment("web:1"), service(), gateway(), gatewayClass("True", { controllerName })];
  return beginStage(given, objects);
}

/** The first version serves, and another one is pushed. */
async function pushed(stage: Stage): Promise<string[]> {
  await toRest(stage);
  push(stage.world, "web:2");
  return toRest(stage);
}

function rulesOf({ world }: Stage): readonly object[] {
  return (world.find("HTTPRoute", NAME)?.["spec"] as { readonly rules: readonly object[] }).rules;
}

function editSpec({ world }: Stage, change: (spec: RolloutSpec) => object): void {
  const edit = (object: KubeObject): KubeObject => ({ ...object, spec: change(object["spec"] as RolloutSpec) });
  world.edit(ROLLOUT.kind, NAME, edit);
}

test("[40, 41] copies come first, then requests; testers meet the new version all the time, and nothing is left at the end", async () => {
  const stage = begin(ENVOY, { percent: 50 }, { testers: TESTERS });
  const lines = await pushed(stage);
  expect(stage.status()).toMatchObject({
    phase: "Shadowing",
    step: "mirror 50 %",
    share: "0 %",
    weight: { desiredBps: 0, mirrorPercent: 50 },
  });
  expect(stage.sampler.task()).toMatchObject({ stage: 0, weightBps: 5_000, policy: { falseRollbackRate: 0.005 } });
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({
    message: "HTTPRoute web gives 0 % of the requests to the new version, and copies of 50 %, and all of testers",
  });
  stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
  lines.push("· the copies pass", ...(await toRest(stage)));
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0, verifiedAt: expect.any(String) });
  // What copies have shown is no evidence of a stage.
  expect(stage.sampler.task()).toMatchObject({ weightBps: 1_000, policy: { falseRollbackRate: 0.005 } });
  expect(stage.status().verdict?.verdict).not.toBe("Pass");
  for (const name of ["stage 1", "stage 2"]) {
    stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
    lines.push(`· ${name} passes`, ...(await toRest(stage)));
  }
  lines.push(...(await later(stage, 60)), ...(await later(stage, 30)));
  expect(stage.status()).toMatchObject({ phase: "Idle", releases: [{ outcome: "Promoted" }, {}] });
  expect(stage.status().isShadowed).toBeUndefined();
  expect(rulesOf(stage)).toHaveLength(1);
  expectGolden(import.meta.dirname, "shadowed-release", lines);
});

test("[41] harm that copies show takes the release back before it has answered anybody", async () => {
  const stage = begin(ENVOY, { percent: 25 }, { testers: TESTERS });
  await pushed(stage);
  stage.sampler.say({ failure: verdict("Fail", "Harm") });
  const lines = await toRest(stage);
  expect(lines.find((line) => line.startsWith("  apply"))).toContain("HTTPRoute web: back: as the test says");
  expect(rulesOf(stage)).toHaveLength(1);
  expect(stage.status()).toMatchObject({ phase: "RollingBack", retreat: { observedAt: expect.any(String) } });
  await later(stage, 30);
  expect(stage.status()).toMatchObject({
    phase: "Idle",
    releases: [{ outcome: "RolledBack", reason: "Harm" }, {}],
  });
  expect(stage.status().failedRevision).toBeDefined();
});

test("harm that is found in the very moment in which the copies have passed still counts", async () => {
  const stage = begin(ENVOY, {});
  await pushed(stage);
  stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
  const { status: before } = stage.world.find(ROLLOUT.kind, NAME) as { status?: object };
  await stage.controller.reconcile(stage.key, stage.world.context);
  expect(stage.status()).toMatchObject({ phase: "Canary" });
  expect(before).toMatchObject({ phase: "Shadowing" });
  stage.sampler.say({ failure: verdict("Fail", "Harm") });
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "RollingBack", retreat: { reason: "Harm" } });
});

test.each([
  [
    "Traefik, which copies nothing",
    TRAEFIK,
    {},
    "Gateway shop/public (traefik.io/gateway-controller) copies no requests",
  ],
  ["Contour, which copies everything", CONTOUR, { percent: 10 }, "set spec.shadow.percent to 100"],
  ["a gateway that nobody knows", "test.example/gateway", {}, "nobody knows whether Gateway shop/public"],
])("[41] no release begins at %s", async (_, controllerName, shadow, message) => {
  const stage = begin(controllerName, shadow);
  await pushed(stage);
  expect(stage.status()).toMatchObject({ phase: "Idle", releases: [{ outcome: "Promoted" }] });
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({
    status: "False",
    reason: "MirrorUnsupported",
    message: expect.stringContaining(message),
  });
  expect(conditionOf(stage, "Stalled")).toMatchObject({ status: "True", reason: "MirrorUnsupported" });
  expect(JSON.stringify(rulesOf(stage))).not.toContain("RequestMirror");
});

test("the release begins once the spec says that the gateway can do it, or goes without", async () => {
  const stage = begin(TRAEFIK, {});
  await pushed(stage);
  editSpec(stage, (spec) => ({ ...spec, shadow: { ...spec.shadow, onUnsupported: "Skip" } }));
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0 });
  expect(stage.sampler.task()).toMatchObject({ policy: { falseRollbackRate: 0.01 } });
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({
    status: "True",
    message: expect.stringContaining("releases go without spec.shadow: Gateway shop/public"),
  });

  const other = begin(TRAEFIK, {}, { capabilities: ["HTTPRouteRequestMirror"] });
  await pushed(other);
  expect(other.status()).toMatchObject({ phase: "Shadowing", verifiedAt: expect.any(String) });
});

test("a return to a version of a moment ago waits for no copies, whatever the gateway can do", async () => {
  const stage = begin(ENVOY, undefined);
  await pushed(stage);
  for (let step = 0; step < 2; step += 1) {
    stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
    await toRest(stage);
  }
  await later(stage, 60);
  await later(stage, 30);
  editSpec(stage, (spec) => ({ ...spec, shadow: rolloutShadow.parse({}) }));
  stage.world.put(gatewayClass("True", { controllerName: TRAEFIK }));
  push(stage.world, "web:1");
  await toRest(stage);
  expect(stage.status().releases?.[0]).toMatchObject({ outcome: "FastPromoted" });
});

test("a gateway that turns out to be another one copies nothing from then on, and the release goes back in time", async () => {
  const stage = begin(ENVOY, {});
  await pushed(stage);
  expect(JSON.stringify(rulesOf(stage))).toContain("RequestMirror");
  stage.world.put(gatewayClass("True", { controllerName: TRAEFIK }));
  await toRest(stage);
  expect(JSON.stringify(rulesOf(stage))).not.toContain("RequestMirror");
  expect(conditionOf(stage, "Ready")).toMatchObject({ reason: "MirrorUnsupported" });
  await later(stage, 600);
  expect(stage.status().retreat ?? stage.status().releases?.[0]).toMatchObject({
    reason: "ProgressDeadlineExceeded",
    message: expect.stringContaining("not ready for copies of requests"),
  });
});

test("copies that nobody wants any more, or that a person skips, end with the first stage", async () => {
  const stage = begin(ENVOY, {});
  await pushed(stage);
  editSpec(stage, ({ shadow: _, ...spec }) => spec);
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0 });

  const other = begin(ENVOY, {});
  await pushed(other);
  editSpec(other, (spec) => ({ ...spec, request: { id: "s", action: "Skip" } }));
  await toRest(other);
  expect(other.status()).toMatchObject({
    phase: "Canary",
    stage: 0,
    lastRequest: { result: "Done", message: "skipped phase Shadowing" },
  });
});

test("a release that is held keeps its copies, and gets none that were on their way", async () => {
  const stage = begin(ENVOY, { percent: 50 });
  await pushed(stage);
  editSpec(stage, (spec) => ({ ...spec, paused: true }));
  stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Shadowing", weight: { mirrorPercent: 50 } });
  editSpec(stage, (spec) => ({ ...spec, paused: false }));
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Canary" });
});

test("copies that show nothing in time make the release wait for a person, who may go on", async () => {
  const stage = begin(ENVOY, { maxDurationSeconds: 60 });
  await pushed(stage);
  stage.sampler.say({ verdict: verdict("Inconclusive", "TooFewSamples") });
  await later(stage, 60);
  expect(stage.status()).toMatchObject({ phase: "Shadowing", pause: { reason: "MaxHold" } });
  editSpec(stage, (spec) => ({ ...spec, request: { id: "p", action: "Promote" } }));
  await toRest(stage);
  expect(stage.status()).toMatchObject({ phase: "Canary", stage: 0, lastRequest: { result: "Done" } });
});

test("[40] a cookie takes a gateway with regular expressions; elsewhere no release begins", async () => {
  const testers = { cookie: { name: "canary", value: "yes" } };
  const stage = begin(ENVOY, undefined, { testers });
  await pushed(stage);
  expect(rulesOf(stage)).toHaveLength(2);

  const other = begin(CONTOUR, undefined, { testers });
  await pushed(other);
  expect(other.status()).toMatchObject({ phase: "Idle" });
  expect(conditionOf(other, "RouteAccepted")).toMatchObject({ status: "False", reason: "TestersUnsupported" });
});

test("[40] testers get what serves when no pod of the new version is ready", async () => {
  const stage = begin(ENVOY, undefined, { testers: TESTERS });
  await pushed(stage);
  expect(rulesOf(stage)).toHaveLength(2);
  for (const { metadata } of stage.world.all("Pod")) {
    const isCanary = metadata.name.startsWith("web-green");
    if (isCanary) stage.world.edit("Pod", metadata.name, (pod) => ({ ...pod, status: { phase: "Running" } }));
  }
  await toRest(stage);
  expect(rulesOf(stage)).toHaveLength(1);
});
