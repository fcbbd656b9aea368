import { expect, test } from "@jest/globals";
import { ANNOTATIONS, annotationOf } from "../../crds/group.ts";
import { ROLLOUT, type RolloutSpec } from "../../crds/rollout.ts";
import type { AdoptedRoute } from "../../crds/rollout-traffic.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { conditionOf, expectGolden, toRest } from "../../testkit/story.ts";
import { deployment, NAME, rollout, service, verdict } from "./testing/builders.ts";
import { backend, backendsText, endpoints, shopRoute, writeRules } from "./testing/routes.ts";
import { weightsIn } from "./testing/small-world.ts";
import { beginStage, later, push, type Stage } from "./testing/stage.ts";
import { type RouteRule, rulesOf } from "./traffic/adopted-rule.ts";

// A Rollout that moves weights in a route of the user's: it takes the place of a Service there, gives it back, and shares the route
// with others who write it.

function begin(
  rules?: readonly RouteRule[],
  route: Partial<AdoptedRoute> = {},
  more: readonly KubeObject[] = [],
): Stage {
  const traffic: RolloutSpec["traffic"] = { gatewayAPI: { kind: "HTTPRoute", route: { name: "shop", ...route } } };
  return beginStage({ traffic }, [deployment("web:1"), service(), shopRoute(rules), ...more]);
}

const annotations = (stage: Stage): Readonly<Record<string, string>> =>
  stage.world.find("HTTPRoute", "shop")?.metadata.annotations ?? {};

const TWO_RULES: readonly RouteRule[] = [
  { name: "images", matches: [{ path: { type: "PathPrefix", value: "/images" } }], backendRefs: [backend("images")] },
  {
    name: "all",
    matches: [{ path: { type: "PathPrefix", value: "/" } }],
    filters: [
      { type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name: "x-entry", value: "public" }] } },
    ],
    backendRefs: [backend("old", 1), backend("web", 3, { filters: [{ type: "ExtensionRef" }] })],
    timeouts: { request: "10s" },
  },
];

test("a release moves the weights of one rule, and everything else stays as it was", async () => {
  const stage = begin(TWO_RULES);
  const story = [...(await toRest(stage))];
  push(stage.world, "web:2");
  story.push("# web:2 is pushed", ...(await toRest(stage)));
  const say = async (): Promise<void> => {
    stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
    story.push(...(await later(stage, 61)));
  };
  for (let round = 0; round < 4; round += 1) await say();
  expect(stage.status()).toMatchObject({ phase: "Idle", stable: { colour: "Green" } });
  expect(backendsText(stage.world, 1)).toBe("old 10000, web-blue 0, web-green 30000");
  const rules = rulesOf(stage.world.find("HTTPRoute", "shop") as KubeObject);
  expect(rules[0]).toEqual(TWO_RULES[0]);
  expect({ ...rules[1], backendRefs: [] }).toEqual({ ...TWO_RULES[1], backendRefs: [] });
  expect(rules[1]?.backendRefs?.[2]).toMatchObject({ filters: [{ type: "ExtensionRef" }], port: 80 });
  expect(annotations(stage)).toMatchObject({ team: "shop", "web.shieldx.dev/stable": "green" });
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "True" });
  expect(stage.world.find(ROLLOUT.kind, NAME)?.metadata.finalizers).toEqual(["shieldx.dev/finalizer"]);
  expectGolden(import.meta.dirname, "adopted-route", story);
});

test("until a gateway has taken the route the Service keeps its place", async () => {
  const stage = begin();
  const steps = stage.steps.slice(0, 1);
  await toRest({ ...stage, steps });
  expect(backendsText(stage.world)).toBe("web 1");
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({
    reason: "RoutePending",
    message: expect.stringContaining("no gateway has taken HTTPRoute shop of this generation yet"),
  });
  await toRest(stage);
  expect(backendsText(stage.world)).toBe("web-blue 10000, web-green 0");
});

test("until the first version is ready the Service keeps its place", async () => {
  const stage = begin();
  const { world } = stage;
  const steps = stage.steps.slice(1);
  await toRest({ ...stage, steps });
  expect(backendsText(world)).toBe("web 1");
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({
    status: "False",
    message: "rule 0 of HTTPRoute shop leads to Service web until the pods of the version that is to serve are ready",
  });
  await toRest(stage);
  expect(backendsText(world)).toBe("web-blue 10000, web-green 0");
});

test.each<[string, readonly RouteRule[] | undefined, Partial<AdoptedRoute>, string, string]>([
  ["no such route", [], { name: "none" }, "RouteNotFound", "there is no HTTPRoute none in namespace shop"],
  ["no such rule", undefined, { rule: "a" }, "RouteMismatch", "HTTPRoute shop has no rule a; it has: 0"],
  ["no such index", undefined, { rule: 3 }, "RouteMismatch", "HTTPRoute shop has no rule 3; it has: 0"],
  [
    "another backend",
    [{ backendRefs: [backend("other")] }],
    {},
    "RouteMismatch",
    "no rule of HTTPRoute shop leads to Service web",
  ],
  [
    "another backend in the rule that is named",
    TWO_RULES,
    { rule: "images" },
    "RouteMismatch",
    "rule 0 (images) of HTTPRoute shop does not lead to Service web; it leads to images",
  ],
  [
    "two rules",
    [{ backendRefs: [backend("web")] }, { name: "b", backendRefs: [backend("web")] }],
    {},
    "RouteMismatch",
    "several rules of HTTPRoute shop lead to Service web: 0, 1 (b); say which in traffic.gatewayAPI.route.rule",
  ],
  [
    "a mirror to the Service itself",
    [
      {
        backendRefs: [backend("web")],
        filters: [{ type: "RequestMirror", requestMirror: { backendRef: { name: "web" } } }],
      },
    ],
    {},
    "RouteMismatch",
    "mirrors requests to Service web itself",
  ],
  [
    "clients that are held",
    [{ backendRefs: [backend("web")], sessionPersistence: {} }],
    {},
    "RouteMismatch",
    "has sessionPersistence",
  ],
  [
    "the Service twice",
    [{ backendRefs: [backend("web"), backend("web", 1, { port: 81 })] }],
    {},
    "RouteMismatch",
    "leads to Service web 2 times",
  ],
  ["no share", [{ backendRefs: [backend("web", 0), backend("old")] }], {}, "RouteMismatch", "weight 0"],
  [
    "weights that cannot be divided",
    [{ backendRefs: [backend("web", 999_983), backend("old", 999_979)] }],
    {},
    "RouteMismatch",
    "has weights (999983, 999979) of which no weights up to 1,000,000 give 10 % of one exactly",
  ],
  [
    "sixteen backends",
    [{ backendRefs: [backend("web"), ...Array.from({ length: 15 }, (_, index) => backend(`b${String(index)}`))] }],
    {},
    "RouteMismatch",
    "has 16 backends",
  ],
])("refused, and left alone: %s", async (_, rules, route, reason, message) => {
  const stage = begin(rules, route);
  const before = stage.world.find("HTTPRoute", "shop")?.["spec"];
  await toRest(stage);
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({ reason, message: expect.stringContaining(message) });
  expect(conditionOf(stage, "Stalled")).toMatchObject({ status: "True", reason });
  expect(stage.world.find("HTTPRoute", "shop")?.["spec"]).toEqual(before);
});

test("a rule that an older Rollout moves, and a route that the controller made, are left alone", async () => {
  const older: KubeObject = rollout({
    traffic: { gatewayAPI: { kind: "HTTPRoute", route: { name: "shop" } } },
  });
  const stage = begin(undefined, {}, [{ ...older, metadata: { ...older.metadata, name: "elder", uid: "uid-elder" } }]);
  await toRest(stage);
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({
    reason: "RouteClaimed",
    message: expect.stringContaining("is moved by the older Rollout elder"),
  });
  const made = shopRoute();
  const labels = { "shieldx.dev/kind": "Rollout", "shieldx.dev/name": "other" };
  stage.world.edit("HTTPRoute", "shop", (it) => ({ ...it, metadata: { ...it.metadata, labels } }));
  await toRest(stage);
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({
    message: "HTTPRoute shop is the one that the controller makes for Rollout other: name one of your own",
  });
  expect(stage.world.find("HTTPRoute", "shop")?.["spec"]).toEqual(made["spec"]);
});

/** A release stands at its first stage. */
async function midway(more: readonly KubeObject[] = []): Promise<Stage> {
  const stage = begin(TWO_RULES, {}, more);
  await toRest(stage);
  push(stage.world, "web:2");
  await toRest(stage);
  expect(backendsText(stage.world, 1)).toBe("old 10000, web-blue 27000, web-green 3000");
  return stage;
}

test("what Git writes over is taken back ever more seldom, and told", async () => {
  const stage = await midway();
  const { world } = stage;
  const isBack = (): boolean => backendsText(world, 1) === "old 10000, web-blue 27000, web-green 3000";
  writeRules(world, TWO_RULES);
  await toRest(stage);
  expect(isBack()).toBe(true);
  writeRules(world, TWO_RULES);
  await toRest(stage);
  expect(isBack()).toBe(false);
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({
    status: "False",
    reason: "RouteConflict",
    message: expect.stringContaining(
      "somebody-else writes the backends of rule 1 (all) of HTTPRoute shop, which now are: old 1, web 3. They were taken back 1 times",
    ),
  });
  expect(conditionOf(stage, "Stalled")).toMatchObject({ status: "True" });
  // Each pause is twice as long as the one before.
  for (const pause of [5, 10, 20]) {
    await later(stage, pause - 1);
    expect(isBack()).toBe(false);
    await later(stage, 1);
    expect(isBack()).toBe(true);
    writeRules(world, TWO_RULES);
    await toRest(stage);
  }
  // A release that goes back waits for no such pause.
  stage.sampler.say({ failure: verdict("Fail", "Harm") });
  await later(stage, 6);
  expect(backendsText(world, 1)).toBe("old 10000, web-blue 30000, web-green 0");
  expect(JSON.parse(annotations(stage)["web.shieldx.dev/retreat"] ?? "")).toMatchObject({ reason: "Harm" });
});

test("weights of other backends that somebody edits are the new shares", async () => {
  const stage = await midway();
  const { world } = stage;
  const rules = rulesOf(world.find("HTTPRoute", "shop") as KubeObject);
  const edited = rules.map((rule) => ({
    ...rule,
    backendRefs: (rule.backendRefs ?? []).map((ref) => (ref.name === "old" ? { ...ref, weight: 30_000 } : ref)),
  }));
  writeRules(world, edited);
  await toRest(stage);
  expect(backendsText(world, 1)).toBe("old 10000, web-blue 9000, web-green 1000");
  expect(stage.status().route?.takes).toBe(1);
});

test("an annotation that somebody takes off comes back from the status", async () => {
  const stage = await midway();
  stage.world.edit("HTTPRoute", "shop", (it) => ({ ...it, metadata: { ...it.metadata, annotations: {} } }));
  await toRest(stage);
  const kept = annotations(stage)[annotationOf(NAME, ANNOTATIONS.adoption)] ?? "";
  expect(JSON.parse(kept)).toMatchObject({ backend: backend("web", 3), others: [1] });
});

test("13: a Rollout that is deleted in the middle of a release gives the route back first", async () => {
  const stage = await midway([endpoints(true)]);
  const { world } = stage;
  world.markDeleted(ROLLOUT.kind, NAME);
  await toRest(stage);
  expect(world.find("HTTPRoute", "shop")).toMatchObject({ spec: { rules: TWO_RULES } });
  expect(annotations(stage)).toEqual({ team: "shop" });
  // Pods of the versions answer what is under way.
  expect(world.find(ROLLOUT.kind, NAME)).toBeDefined();
  await later(stage, 31);
  expect(world.find(ROLLOUT.kind, NAME)).toBeUndefined();
});

test("13: a Service without pods gets its place back once it has some, and says for what it waits", async () => {
  const stage = await midway([endpoints(false)]);
  const { world } = stage;
  world.markDeleted(ROLLOUT.kind, NAME);
  await later(stage, 60);
  // The canary has lost its share, and the version that serves has all of it.
  expect(backendsText(world, 1)).toBe("old 10000, web-blue 30000, web-green 0");
  expect(conditionOf(stage, "Ready")).toMatchObject({
    reason: "Deleting",
    message: expect.stringContaining("until Service web has a ready endpoint that is no pod of this Rollout"),
  });
  world.put(endpoints(true));
  await later(stage, 3);
  expect(world.find("HTTPRoute", "shop")).toMatchObject({ spec: { rules: TWO_RULES } });
  await later(stage, 31);
  expect(world.find(ROLLOUT.kind, NAME)).toBeUndefined();
});

test("13: a route that is gone holds nobody, and neither does one that was never touched", async () => {
  const stage = await midway();
  stage.world.edit("HTTPRoute", "shop", () => undefined);
  stage.world.markDeleted(ROLLOUT.kind, NAME);
  await toRest(stage);
  expect(stage.world.find(ROLLOUT.kind, NAME)).toBeUndefined();
  const other = begin([{ backendRefs: [backend("other")] }]);
  await toRest(other);
  other.world.markDeleted(ROLLOUT.kind, NAME);
  await toRest(other);
  expect(other.world.find(ROLLOUT.kind, NAME)).toBeUndefined();
});

test("a spec that names the route no more gives it back, and goes on with a route of the controller's", async () => {
  const stage = await midway([endpoints(false)]);
  const { world } = stage;
  const traffic = { gatewayAPI: { kind: "HTTPRoute", parentRefs: [{ name: "public", namespace: "gateway" }] } };
  world.edit(ROLLOUT.kind, NAME, (it) => ({ ...it, spec: { ...Object(it["spec"]), traffic } }));
  await toRest(stage);
  expect(backendsText(world, 1)).toBe("old 10000, web-blue 30000, web-green 0");
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({ reason: "RouteReturning" });
  world.put(endpoints(true));
  await later(stage, 3);
  expect(world.find("HTTPRoute", "shop")).toMatchObject({ spec: { rules: TWO_RULES } });
  expect(annotations(stage)).toEqual({ team: "shop" });
  expect(stage.status().route).toBeUndefined();
  expect(conditionOf(stage, "RouteAccepted")).toMatchObject({ status: "True" });
});

test("a Rollout that names a route of the user's later leaves its own once requests come through that", async () => {
  const stage = beginStage();
  const { world } = stage;
  await toRest(stage);
  push(world, "web:2");
  await toRest(stage);
  const traffic = { gatewayAPI: { kind: "HTTPRoute", route: { name: "shop" } } };
  world.edit(ROLLOUT.kind, NAME, (it) => ({ ...it, spec: { ...Object(it["spec"]), traffic } }));
  await toRest(stage);
  expect(world.find("HTTPRoute", NAME)).toBeDefined();
  // A retreat is written there as well, for requests still come that way.
  stage.sampler.say({ failure: verdict("Fail", "Harm") });
  await toRest(stage);
  expect(weightsIn(world.find("HTTPRoute", NAME) as KubeObject)).toEqual({ Blue: 10_000, Green: 0 });
  world.put(shopRoute());
  await toRest(stage);
  expect(backendsText(world)).toBe("web-blue 10000, web-green 0");
  expect(world.find("HTTPRoute", NAME)).toBeUndefined();
});
