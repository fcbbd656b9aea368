import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { WHOLE_BPS } from "../../crds/rollout-ladder.ts";
import { type RolloutRequest } from "../../crds/rollout-request.ts";
import { rolloutShadow } from "../../crds/rollout-shadow.ts";
import { type Colour, type RolloutStatus, rolloutStatus } from "../../crds/rollout-status.ts";
import { CAPABILITIES } from "../../crds/rollout-traffic.ts";
import { DAYS } from "../../crds/rollout-windows.ts";
import type { Action } from "../../operator/runtime/types.ts";
import { flagBpsAt } from "./flags/memory.ts";
import { shadowOf } from "./rollout.mirror.ts";
import { otherColour, type Progress } from "./rollout.progress.ts";
import { stageIndex } from "./rollout.weights.ts";
import { deployment, scriptedSampler, spec, verdict } from "./testing/builders.ts";
import { shareIn } from "./testing/flags.ts";
import {
  createSmallWorld,
  editShares,
  editWeights,
  type Look,
  type SmallWorld,
  weightsIn,
} from "./testing/small-world.ts";

// Whatever happens, in whatever order: the rules that protect requests hold after every look, and a release comes to its end once
// pods, gateway and judge behave.

const STAGE = { holdSeconds: 60, maxHoldSeconds: 600, minSamples: 10, maxErrorRateBps: 100, approval: false };
const ladder = (...weights: number[]) => weights.map((weightBps) => ({ ...STAGE, weightBps }));
/** With a share of flags for each stage, as far as they go. */
const flagged = (stages: ReturnType<typeof ladder>, ...shares: number[]) =>
  stages.map((stage, index) => {
    const flagBps = shares[index];
    return flagBps === undefined ? stage : { ...stage, flagBps };
  });
const LADDERS = [
  ladder(10_000),
  ladder(1_000, 10_000),
  flagged(ladder(100, 2_500, 5_000, 10_000), 50, 100, 2_500, 5_000),
  ladder(5_000, 10_000),
  flagged(ladder(100, 500, 1_000, 2_500, 10_000), 0, 10_000),
  ladder(1_000, 10_000).map((stage) => ({ ...stage, approval: true })),
];

const SHADOW = rolloutShadow.parse({ percent: 50, durationSeconds: 30, maxDurationSeconds: 600 });
const SHADOWS = [
  undefined,
  undefined,
  SHADOW,
  { ...SHADOW, percent: 100 },
  { ...SHADOW, onUnsupported: "Skip" as const },
];
/** What Git may list. */
const LISTS = [["a"], ["a", "b"], ["b"], []].map((keys) =>
  keys.map((key) => ({ key, onVariant: "on", offVariant: "off" })),
);

type Event =
  | { readonly type: "shadow"; readonly index: number }
  | { readonly type: "able"; readonly able: boolean }
  | { readonly type: "push"; readonly image: number }
  | { readonly type: "scale"; readonly replicas: number }
  | { readonly type: "say"; readonly says: "Pass" | "Inconclusive" | "Unknown" }
  | { readonly type: "request"; readonly action: RolloutRequest["action"]; readonly stage: number }
  | { readonly type: "again"; readonly back: number }
  | { readonly type: "pause"; readonly paused: boolean }
  | { readonly type: "windows"; readonly closed: boolean }
  | { readonly type: "ladder"; readonly index: number }
  | { readonly type: "holdback"; readonly bps: number }
  | { readonly type: "list"; readonly index: number }
  | { readonly type: "share"; readonly bps: number }
  | { readonly type: "pods"; readonly most: number }
  | { readonly type: "vanish"; readonly colour: Colour }
  | { readonly type: "weights"; readonly blue: number }
  | { readonly type: "lose"; readonly what: "status" | "route" | "blue" | "green" | "versions" | "target" | "flags" }
  | { readonly type: "killed"; readonly writes: number }
  | { readonly type: "later"; readonly seconds: number }
  | { readonly type: "go"; readonly rounds: number }
  | { readonly type: "fail" | "accept" | "look" | "leader" | "restore" | "well" };

const of = <T extends Event["type"]>(type: T) => fc.constant({ type });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 8, arbitrary: of("well") },
  { weight: 14, arbitrary: fc.record({ type: fc.constant("go" as const), rounds: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 4, arbitrary: of("look") },
  { weight: 3, arbitrary: of("accept") },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("push" as const), image: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("scale" as const), replicas: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("say" as const),
      says: fc.constantFrom("Pass" as const, "Pass" as const, "Inconclusive" as const, "Unknown" as const),
    }),
  },
  { weight: 3, arbitrary: of("fail") },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("request" as const),
      action: fc.constantFrom("Promote", "PromoteFull", "Abort", "Retry", "Retry", "Skip", "Jump"),
      stage: fc.integer({ min: 0, max: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("again" as const), back: fc.integer({ min: 0, max: 8 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("pause" as const), paused: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("windows" as const), closed: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("ladder" as const),
      index: fc.integer({ min: 0, max: LADDERS.length - 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("shadow" as const),
      index: fc.integer({ min: 0, max: SHADOWS.length - 1 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("able" as const), able: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("holdback" as const), bps: fc.constantFrom(100, 500, 5_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("list" as const), index: fc.nat({ max: LISTS.length - 1 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("share" as const), bps: fc.constantFrom(0, 100, 9_000, 10_000) }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("pods" as const), most: fc.constantFrom(0, 1, 2, 6) }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("vanish" as const), colour: fc.constantFrom("Blue", "Green") }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("weights" as const),
      blue: fc.constantFrom(0, 1_000, 5_000, 9_900, 10_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("lose" as const),
      what: fc.constantFrom("status", "route", "blue", "green", "versions", "target", "flags"),
    }),
  },
  { weight: 1, arbitrary: of("restore") },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("killed" as const), writes: fc.integer({ min: 0, max: 7 }) }) },
  { weight: 1, arbitrary: of("leader") },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant("later" as const), seconds: fc.constantFrom(2, 31, 61, 601, 4_000) }),
  },
);

/** A world with the memory of what is allowed in it. */
interface Tale {
  readonly world: SmallWorld;
  image: number;
  /** Ids of requests that the status says were answered. */
  readonly answered: Set<string>;
  readonly asked: RolloutRequest[];
  /** The judge has found harm in the release under way. */
  harmIn: string | undefined;
  /** Image whose share was taken away: it gets none before somebody asks for it. */
  banned: string | undefined;
  looks: number;
}

function begin(): Tale {
  const given = spec({ stages: LADDERS[2] ?? [], drainSeconds: 30, bakeSeconds: 60 });
  const testers = { header: { name: "x-canary", value: "always" } };
  const gatewayAPI = { ...given.traffic.gatewayAPI, testers, capabilities: [...CAPABILITIES] };
  const world = createSmallWorld({
    ...given,
    shadow: SHADOW,
    traffic: { gatewayAPI },
    flags: { items: LISTS[0] ?? [] },
  });
  const answered = new Set<string>();
  const tale: Tale = { world, image: 1, answered, asked: [], harmIn: undefined, banned: undefined, looks: 0 };
  // The first version serves, and another one is on its way.
  HANDLERS.go(tale, { type: "go", rounds: 6 });
  HANDLERS.push(tale, { type: "push", image: 2 });
  HANDLERS.go(tale, { type: "go", rounds: 4 });
  return tale;
}

const HANDLERS: { readonly [T in Event["type"]]: (tale: Tale, event: Extract<Event, { type: T }>) => void } = {
  push: (tale, { image }) => {
    if (image !== tale.image) tale.banned = undefined;
    tale.image = image;
    target(tale.world, { image });
  },
  scale: ({ world }, { replicas }) => target(world, { replicas }),
  say: ({ world }, { says }) => say(world, says),
  fail: (tale) => {
    const { world } = tale;
    if (world.sampler.task() === undefined || world.status?.canary === undefined) return;
    world.sampler.say({ failure: verdict("Fail", "Harm"), verdict: verdict("Fail", "Harm") });
    tale.harmIn = releaseOf(world.status);
  },
  request: (tale, { action, stage }) => {
    const request = { id: `r${String(tale.asked.length)}`, action, ...(action === "Jump" ? { stage } : {}) };
    tale.asked.unshift(request);
    tale.world.spec = { ...tale.world.spec, request };
  },
  again: (tale, { back }) => {
    const request = tale.asked[back];
    if (request !== undefined) tale.world.spec = { ...tale.world.spec, request };
  },
  pause: ({ world }, { paused }) => void (world.spec = { ...world.spec, paused }),
  windows: ({ world }, { closed }) => setWindows(world, closed),
  ladder: ({ world }, { index }) => void (world.spec = { ...world.spec, stages: LADDERS[index] ?? [] }),
  holdback: ({ world }, { bps }) => void (world.spec = { ...world.spec, holdbackBps: bps }),
  shadow: ({ world }, { index }) => {
    const { shadow: _, ...rest } = world.spec;
    const shadow = SHADOWS[index];
    world.spec = shadow === undefined ? rest : { ...rest, shadow };
  },
  able: ({ world }, { able }) => {
    const { gatewayAPI } = world.spec.traffic;
    const capabilities = able ? [...CAPABILITIES] : [];
    world.spec = { ...world.spec, traffic: { gatewayAPI: { ...gatewayAPI, capabilities } } };
  },
  list: ({ world }, { index }) => {
    const { flags: _, ...rest } = world.spec;
    const items = LISTS[index] ?? [];
    world.spec = items.length === 0 ? rest : { ...rest, flags: { items } };
  },
  share: ({ world }, { bps }) => editShares(world, bps),
  pods: ({ world }, { most }) => world.runPods(most),
  vanish: ({ world }, { colour }) => {
    const prefix = `Pod/web-${colour.toLowerCase()}`;
    for (const key of [...world.objects.keys()]) if (key.startsWith(prefix)) world.objects.delete(key);
  },
  weights: ({ world }, { blue }) => editWeights(world, blue),
  lose: (tale, { what }) => LOSSES[what](tale),
  restore: (tale) => target(tale.world, { image: tale.image }),
  killed: (tale, { writes }) => look(tale, writes),
  leader: (tale) => {
    tale.world.sampler = scriptedSampler();
    tale.harmIn = undefined;
  },
  later: ({ world }, { seconds }) => void (world.now += seconds * 1_000),
  accept: ({ world }) => world.accept(),
  look: (tale) => look(tale),
  go: (tale, { rounds }) => {
    for (let round = 0; round < rounds; round += 1) goOn(tale);
  },
  well: (tale) => {
    tale.world.runPods();
    tale.world.accept();
    look(tale);
  },
};

/** One that never opens, or all the day. */
function setWindows(world: SmallWorld, closed: boolean): void {
  const timeZone = closed ? "Mars/Base" : "UTC";
  world.spec = { ...world.spec, windows: [{ days: [...DAYS], start: "00:00", end: "24:00", timeZone }] };
}

/** Pods, gateway and judge behave for a while. */
function goOn(tale: Tale): void {
  const { world } = tale;
  HANDLERS.well(tale, { type: "well" } as never);
  if (world.sampler.task() !== undefined && world.status?.verifiedAt !== undefined) say(world, "Pass");
  world.now += 21_000;
}

const LOSSES: Readonly<Record<Extract<Event, { type: "lose" }>["what"], (tale: Tale) => void>> = {
  status: (tale) => {
    tale.world.status = undefined;
    // Who remembers nothing has no evidence of that release, and no request.
    tale.harmIn = undefined;
    tale.answered.clear();
  },
  route: (tale) => {
    tale.world.objects.delete("HTTPRoute/web");
    // A retreat that neither status nor route remembers is forgotten.
    const { failedRevision, retreat } = tale.world.status ?? {};
    if (failedRevision === undefined && retreat === undefined) tale.banned = undefined;
  },
  flags: ({ world }) => void world.objects.delete("FeatureFlag/web-flags"),
  blue: ({ world }) => void world.objects.delete("Deployment/web-blue"),
  green: ({ world }) => void world.objects.delete("Deployment/web-green"),
  versions: ({ world }) => {
    for (const key of [...world.objects.keys()]) if (key.startsWith("ControllerRevision/")) world.objects.delete(key);
  },
  target: ({ world }) => void world.objects.delete("Deployment/web"),
};

function target(world: SmallWorld, change: { readonly image?: number; readonly replicas?: number }): void {
  const before = world.objects.get("Deployment/web") as { spec: { replicas: number } } | undefined;
  const made = deployment("web:1", change.replicas ?? before?.spec.replicas ?? 4) as unknown as {
    spec: { template: unknown };
  };
  const template =
    change.image === undefined && before !== undefined
      ? (before.spec as unknown as { template: unknown }).template
      : (deployment(`web:${String(change.image ?? 1)}`) as unknown as { spec: { template: unknown } }).spec.template;
  world.objects.set("Deployment/web", { ...made, spec: { ...made.spec, template } } as never);
}

function say(world: SmallWorld, says: "Pass" | "Inconclusive" | "Unknown"): void {
  const reason = { Pass: "HoldOver", Inconclusive: "Holding", Unknown: "NoTraffic" } as const;
  const before = world.sampler.standing("uid-web")?.unknownSinceMs;
  world.sampler.say({
    verdict: verdict(says, reason[says]),
    ...(says === "Unknown" ? { unknownSinceMs: before ?? world.now } : { unknownSinceMs: undefined as never }),
  });
}

function releaseOf(status: RolloutStatus | Progress | undefined): string {
  return `${status?.canary?.revision ?? ""}@${status?.releaseStartedAt ?? ""}`;
}

const TOLD = rolloutStatus.omit({ conditions: true }).partial();

/** One look, and all that must be so of it. */
function look(tale: Tale, writes?: number): void {
  tale.looks += 1;
  const { world } = tale;
  const before = world.objects.get("HTTPRoute/web");
  const seen = world.reconcile(writes);
  checkWeights(tale, seen);
  checkCopies(tale, seen);
  checkTesters(tale, seen);
  checkFlags(seen);
  checkStep(seen);
  checkHarm(tale, seen);
  checkPods(seen, before === undefined ? undefined : weightsIn(before));
  checkRequests(tale, seen);
  const { conditions: _, ...told } = world.status ?? {};
  TOLD.parse(told);
}

/** Share of the requests that a step may give. */
function mostOf({ phase, stageBps, canary, stable }: Progress, { holdbackBps }: SmallWorld["spec"]): number {
  if (canary === undefined) return 0;
  if (stable === undefined || phase === "Switching") return WHOLE_BPS;
  if (phase === "Baking") return WHOLE_BPS - holdbackBps;
  return phase === "Canary" ? Math.min(stageBps ?? 0, WHOLE_BPS - holdbackBps) : 0;
}

function routesIn(actions: readonly Action[]) {
  return actions.flatMap((action) =>
    action.type === "apply" && action.object.kind === "HTTPRoute" ? [{ action, ...weightsIn(action.object) }] : [],
  );
}

function checkWeights(tale: Tale, { assessment, plan }: Look): void {
  const { acting, facts } = assessment;
  for (const { Blue, Green } of routesIn(plan.actions)) {
    expect(Blue + Green).toBe(WHOLE_BPS);
    expect(Math.min(Blue, Green)).toBeGreaterThanOrEqual(0);
    if (acting.stable === undefined) continue;
    const share = { Blue, Green }[otherColour(acting.stable.colour)];
    expect(share).toBeLessThanOrEqual(mostOf(acting, tale.world.spec));
    if (share === 0) continue;
    const { ready, revision } = facts.colours[otherColour(acting.stable.colour)];
    expect(ready).toBeGreaterThan(0);
    expect(revision).toBe(acting.canary?.revision);
    expect(acting.canary?.revision).not.toBe(tale.banned);
  }
}

interface RuleShape {
  readonly filters?: readonly {
    readonly requestMirror?: { readonly backendRef: { readonly name: string }; readonly percent?: number };
  }[];
  readonly backendRefs: readonly { readonly name: string }[];
}

function rulesIn(actions: readonly Action[]): readonly RuleShape[] {
  return routesIn(actions).flatMap(({ action }) => (action.object["spec"] as { readonly rules: RuleShape[] }).rules);
}

/** Nothing is copied but in Shadowing, to a version that has pods for it, by a gateway that can. */
function checkCopies({ world, banned }: Tale, { assessment: { acting, facts }, plan }: Look): void {
  const filters = rulesIn(plan.actions).flatMap((rule) => rule.filters ?? []);
  for (const { requestMirror } of filters) {
    expect(acting.phase).toBe("Shadowing");
    expect(acting.canary?.revision).not.toBe(banned);
    const colour = acting.canary?.colour ?? "Blue";
    expect(requestMirror?.backendRef.name).toBe(`web-${colour.toLowerCase()}`);
    expect(requestMirror?.percent ?? 100).toBeLessThanOrEqual(world.spec.shadow?.percent ?? 0);
    expect(world.spec.traffic.gatewayAPI.capabilities).toContain("HTTPRouteRequestMirror");
    expect(facts.colours[colour]).toMatchObject({ revision: acting.canary?.revision });
    expect(facts.colours[colour].ready).toBeGreaterThan(0);
  }
}

/** Testers meet the new version while it has pods, and no other version. */
function checkTesters({ banned }: Tale, { assessment: { acting, facts }, plan }: Look): void {
  for (const { backendRefs } of rulesIn(plan.actions).filter((rule) => rule.backendRefs.length === 1)) {
    expect(["Verifying", "Shadowing", "Canary", "Baking", "Switching"]).toContain(acting.phase);
    expect(acting.canary?.revision).not.toBe(banned);
    const colour = acting.canary?.colour ?? "Blue";
    expect(backendRefs[0]?.name).toBe(`web-${colour.toLowerCase()}`);
    expect(facts.colours[colour].ready).toBeGreaterThan(0);
  }
}

/** No flag is on for more than its release has earned; all that a retreat has raised is off, right after the weight. */
function checkFlags({ assessment: { acting, next, facts, world }, plan }: Look): void {
  for (const { key, bps, state } of next.flags ?? []) {
    if (state === "Settled") continue;
    expect(next.stable).toBeDefined();
    expect(["Preparing", "Verifying", "Shadowing", "Canary", "Baking", "Switching"]).toContain(next.phase);
    const isServed = next.phase === "Canary" || next.phase === "Baking" || next.phase === "Switching";
    const most = isServed ? flagBpsAt(stageIndex(next, facts.spec), facts.spec.stages) : 0;
    expect({ key, bps }).toEqual({ key, bps: Math.min(bps, most) });
  }
  const index = plan.actions.findIndex((action) => action.type === "apply" && action.object.kind === "FeatureFlag");
  const action = plan.actions[index];
  if (action?.type !== "apply") return;
  for (const { key } of world.target.spec.flags?.items ?? []) {
    expect(shareIn(action.object, key)).toBe(acting.flags?.find((flag) => flag.key === key)?.bps ?? 0);
  }
  if (acting.phase !== "RollingBack") return;
  expect(action.urgent).toBe(true);
  expect(plan.actions.slice(0, index).map((before) => before.type === "apply" && before.object.kind)).toEqual(
    routesIn(plan.actions).map(() => "HTTPRoute"),
  );
}

const ORDER: readonly Progress["phase"][] = [
  "Idle",
  "RollingBack",
  "Retiring",
  "Preparing",
  "Verifying",
  "Shadowing",
  "Canary",
  "Baking",
  "Switching",
];

/** How far a step is on its way to all of the requests. */
function heightOf({ phase, stageBps = 0 }: Progress): number {
  return ORDER.indexOf(phase) * 100_000 + (phase === "Canary" ? stageBps : 0);
}

function checkStep({ assessment: { world, next, facts } }: Look): void {
  const { progress, standing } = world;
  if (progress.phase === "Idle" && next.canary !== undefined && next.stable !== undefined) {
    expect(facts.closed === undefined || next.isFastTrack === true || next.ignoresWindows === true).toBe(true);
  }
  const isRise = heightOf(next) > heightOf(progress) && next.phase !== "Retiring" && next.phase !== "RollingBack";
  if (!isRise || next.phase === "Preparing" || next.stable === undefined) return;
  const isAsked = next.requestIds?.[0] !== progress.requestIds?.[0] && next.lastRequest?.result === "Done";
  if (isAsked) {
    expect(facts.spec.paused).toBe(false);
    return;
  }
  if (next.isFastTrack === true) return;
  if (next.ignoresWindows !== true) expect(facts.closed).toBeUndefined();
  // Any release may have copies, and the first stage where it is to have none.
  if (next.phase === "Shadowing") return;
  const isShadowed = progress.phase === "Shadowing" && shadowOf(facts) !== undefined;
  if (next.phase === "Canary" && next.stage === 0 && !isShadowed) return;
  expect(["Shadowing", "Canary", "Baking"]).toContain(progress.phase);
  expect(standing?.verdict?.verdict).toBe("Pass");
  expect(standing?.failure).toBeUndefined();
  expect(progress.verifiedAt).toBeDefined();
  expect([progress.pause, facts.spec.paused]).toEqual([undefined, false]);
}

function checkHarm(tale: Tale, { assessment, plan }: Look): void {
  const { world, acting, next } = assessment;
  const { progress } = world;
  const isServed = ["Shadowing", "Canary", "Baking", "Switching"].includes(progress.phase);
  if (isServed && progress.stable !== undefined && tale.harmIn === releaseOf(progress)) {
    const [first] = routesIn(plan.actions.slice(0, 1));
    expect(first?.[otherColour(progress.stable.colour)]).toBe(0);
    expect(first?.action).toMatchObject({ urgent: true });
  }
  if (next.failedRevision === undefined && progress.failedRevision === tale.banned) tale.banned = undefined;
  const isForGood = acting.retreat !== undefined && acting.retreat.outcome !== "Superseded";
  const isDone = tale.world.objects.get("HTTPRoute/web")?.metadata.annotations?.["shieldx.dev/retreat"] !== undefined;
  if (acting.phase === "RollingBack" && isForGood && isDone) tale.banned = acting.canary?.revision;
}

function checkPods({ assessment, plan }: Look, before: Readonly<Record<Colour, number>> | undefined): void {
  const { acting, facts } = assessment;
  for (const action of plan.actions) {
    if (action.type !== "apply" || action.object.kind !== "Deployment") continue;
    const colour = action.object.metadata.name === "web-blue" ? "Blue" : "Green";
    const { replicas } = action.object["spec"] as { replicas: number };
    if (acting.stable?.colour === colour) expect(replicas).toBe(facts.replicas);
    const isCut = replicas === 0 && facts.colours[colour].replicas > 0;
    if (isCut && acting.retreat?.forcedAt === undefined) expect(before?.[colour] ?? 0).toBe(0);
  }
}

function checkRequests(tale: Tale, { assessment: { world, next }, written }: Look): void {
  const id = next.requestIds?.[0];
  if (id === undefined || id === world.progress.requestIds?.[0]) return;
  expect(tale.answered.has(id)).toBe(false);
  if (written) tale.answered.add(id);
}

/** Everybody behaves. @returns looks until the wanted version serves, and nothing moves any more */
function toItsEnd(tale: Tale): void {
  const { world } = tale;
  world.spec = { ...world.spec, paused: false };
  setWindows(world, false);
  HANDLERS.able(tale, { type: "able", able: true });
  target(world, { image: tale.image });
  world.sampler = scriptedSampler();
  tale.harmIn = undefined;
  for (let round = 0; round < 90; round += 1) {
    goOn(tale);
    const { status } = world;
    const isFailed = status?.failedRevision !== undefined && status.canary === undefined;
    const action = status?.pause === undefined ? (isFailed ? "Retry" : undefined) : "Promote";
    if (action !== undefined && round % 3 === 0) HANDLERS.request(tale, { type: "request", action, stage: 0 });
    if (round % 10 === 9 && status?.phase === "Idle" && !world.reconcile().changed) break;
  }
  const seen = world.reconcile();
  expect(seen.assessment.next).toMatchObject({ phase: "Idle", stable: { revision: seen.assessment.facts.wanted } });
  expect(seen.changed).toBe(false);
  const { stable } = seen.assessment.next;
  const other = otherColour(stable?.colour ?? "Blue");
  expect(weightsIn(world.objects.get("HTTPRoute/web") as never)[other]).toBe(0);
  expect(seen.assessment.facts.colours[other].replicas).toBe(0);
  expect(seen.plan.requeueAfterSeconds).toBeUndefined();
}

const RUNS = 60;
const tales = fc.array(event, { minLength: 5, maxLength: 40, size: "max" });

function tell(events: readonly Event[]): Tale {
  const tale = begin();
  for (const it of events) (HANDLERS[it.type] as (tale: Tale, event: Event) => void)(tale, it);
  return tale;
}

test("the rules hold whatever happens, and a release comes to its end once everybody behaves", () => {
  fc.assert(
    fc.property(tales, (events) => toItsEnd(tell(events))),
    { numRuns: RUNS },
  );
});

test("what is at rest stays at rest", () => {
  fc.assert(
    fc.property(tales, (events) => {
      const { world } = tell(events);
      // Nobody else does anything, and no time passes.
      for (let round = 0; round < 12; round += 1) world.reconcile();
      expect(world.reconcile().changed).toBe(false);
    }),
    { numRuns: RUNS / 3 },
  );
});

test("of a Rollout that is deleted at any moment nothing is left to do", () => {
  fc.assert(
    fc.property(tales, (events) => {
      const { world } = tell(events);
      world.deleted = true;
      const { plan } = world.reconcile();
      expect(plan).toEqual({ actions: [], isCleanedUp: true });
    }),
    { numRuns: RUNS / 3 },
  );
});
