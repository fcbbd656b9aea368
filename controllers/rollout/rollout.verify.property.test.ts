// Whatever happens, in whatever order: no version gets a share while a check of its own release has not passed. A person may go on
// without them by PromoteFull, and a return to a version that was stable a moment ago needs none.
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { RolloutRequest } from "../../crds/rollout-request.ts";
import { advance, BEGINNING } from "./rollout.phases.ts";
import type { Progress, ReleaseFacts } from "./rollout.progress.ts";
import { canaryBps, weightsOf } from "./rollout.weights.ts";
import { spec, verdict } from "./testing/builders.ts";
import type { CheckFacts, Seen } from "./verification/memory.ts";

const NAMES = ["health", "page", "buy"] as const;

type Event =
  | { readonly type: "push"; readonly revision: string }
  | { readonly type: "see"; readonly check: number; readonly seen: Seen }
  | { readonly type: "define"; readonly check: number; readonly version: number }
  | { readonly type: "ask"; readonly action: RolloutRequest["action"] }
  | { readonly type: "ready"; readonly ready: number }
  | { readonly type: "pause"; readonly paused: boolean }
  | { readonly type: "well" | "pass" | "gateway" | "look" | "later" };

const of = <T extends Event["type"]>(type: T) => fc.constant({ type });
const seen: fc.Arbitrary<Seen> = fc.constantFrom<Seen>(
  { state: "Absent" },
  { state: "Running", job: "u1" },
  { state: "Passed", message: "", job: "u1" },
  { state: "Passed", message: "", job: "u1" },
  { state: "Failed", message: "no", job: "u1" },
);
const check = fc.nat({ max: NAMES.length - 1 });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: of("well") },
  { weight: 4, arbitrary: of("look") },
  { weight: 2, arbitrary: of("gateway") },
  { weight: 2, arbitrary: of("later") },
  { weight: 2, arbitrary: of("pass") },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("push" as const), revision: fc.constantFrom("r1", "r2", "r3") }),
  },
  { weight: 8, arbitrary: fc.record({ type: fc.constant("see" as const), check, seen }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("define" as const), check, version: fc.nat({ max: 2 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("ask" as const),
      action: fc.constantFrom("Promote", "PromoteFull", "Abort", "Retry", "Skip", "Jump"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("ready" as const), ready: fc.constantFrom(0, 4, 4, 4) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("pause" as const), paused: fc.boolean() }) },
);

/** A world as small as the machine sees it: pods, gateway and checks are what the events say. */
interface Model {
  now: number;
  progress: Progress;
  facts: ReleaseFacts;
  /** By hash: what was seen of one check says nothing of another. */
  readonly seen: Map<string, Seen>;
  /** Version of each definition; 0: it is not asked for. */
  readonly defined: number[];
  requests: number;
  /** Revision that a person let go on without checks. */
  waived: string | undefined;
}

function begin(): Model {
  const none = { revision: undefined, replicas: 4, ready: 4 };
  return {
    now: Date.UTC(2026, 0, 1),
    progress: BEGINNING,
    facts: {
      spec: spec(),
      wanted: "r1",
      replicas: 4,
      colours: { Blue: none, Green: none },
      route: { weights: undefined, isAccepted: true, retreat: undefined },
      judged: { verdict: undefined, failure: undefined, unknownSince: undefined },
    },
    seen: new Map(),
    defined: NAMES.map(() => 1),
    requests: 0,
    waived: undefined,
  };
}

/** As the controller names them: a hash belongs to one definition and one release. */
function hashOf({ progress, defined }: Model, check: number): string | undefined {
  const { canary, releaseStartedAt = "", isFastTrack } = progress;
  const version = defined[check] ?? 0;
  if (canary === undefined || isFastTrack === true || version === 0) return undefined;
  return `${String(check)} ${String(version)} ${canary.revision} ${releaseStartedAt}`;
}

function checksOf(model: Model): readonly CheckFacts[] {
  return NAMES.flatMap((name, index) => {
    const hash = hashOf(model, index);
    if (hash === undefined) return [];
    const seen: Seen = model.seen.get(hash) ?? { state: "Absent" };
    return [{ name, hash, isHealth: name === "health", deadlineSeconds: 300, seen }];
  });
}

function see(model: Model, check: number, what: Seen): void {
  const hash = hashOf(model, check);
  if (hash !== undefined) model.seen.set(hash, what);
}

/** One reconcile: what is remembered is acted upon, then the next step is remembered. */
function look(model: Model): void {
  const { stable, canary } = model.progress;
  const colours = { ...model.facts.colours };
  for (const version of [stable, canary]) {
    if (version !== undefined) colours[version.colour] = { ...colours[version.colour], revision: version.revision };
  }
  model.facts = { ...model.facts, colours, checks: checksOf(model) };
  const next = advance(model.progress, model.facts, model.now);
  const acting = next.phase === "RollingBack" ? next : model.progress;
  expectVerified(model, acting);
  const weights = weightsOf(acting, model.facts);
  model.facts = { ...model.facts, route: { ...model.facts.route, weights: weights ?? model.facts.route.weights } };
  const { request } = model.facts.spec;
  const isWaived = request?.action === "PromoteFull" && next.lastRequest?.id === request.id;
  if (isWaived && next.lastRequest?.result === "Done" && next.lastRequest.id !== model.progress.lastRequest?.id) {
    model.waived = next.canary?.revision ?? canary?.revision;
  }
  if (next.canary?.revision !== canary?.revision && next.canary !== undefined) model.waived = undefined;
  model.progress = next;
}

function expectVerified(model: Model, acting: Progress): void {
  const { canary, verify = [], isFastTrack, phase } = acting;
  if (canary === undefined || isFastTrack === true || canaryBps(acting, model.facts) === 0) return;
  if (model.waived === canary.revision) return;
  if (phase === "Preparing" || phase === "Verifying") {
    // A first version without checks has all requests from the beginning; also when the last one was removed while it ran.
    expect(model.facts.checks).toEqual([]);
    return;
  }
  // What was edited after the first share is for the next release.
  expect(verify.filter(({ result }) => result !== "Passed")).toEqual([]);
}

function happen(model: Model, what: Event): void {
  const { facts } = model;
  switch (what.type) {
    case "push":
      model.facts = { ...facts, wanted: what.revision };
      break;
    case "see":
      see(model, what.check, what.seen);
      break;
    case "define":
      model.defined[what.check] = what.version;
      break;
    case "ask":
      model.requests += 1;
      model.facts = {
        ...facts,
        spec: { ...facts.spec, request: { id: `q${String(model.requests)}`, action: what.action } },
      };
      break;
    case "ready": {
      const { Blue, Green } = facts.colours;
      model.facts = {
        ...facts,
        colours: { Blue: { ...Blue, ready: what.ready }, Green: { ...Green, ready: what.ready } },
      };
      break;
    }
    case "pause":
      model.facts = { ...facts, spec: { ...facts.spec, paused: what.paused } };
      break;
    case "pass":
      model.facts = { ...facts, judged: { ...facts.judged, verdict: verdict("Pass", "HoldOver") } };
      break;
    case "gateway":
      model.facts = { ...facts, route: { ...facts.route, isAccepted: !facts.route.isAccepted } };
      break;
    case "later":
      model.now += 40_000;
      break;
    case "look":
      break;
    case "well":
      well(model);
      break;
  }
}

/** Pods, gateway, judge and checks behave for a while. */
function well(model: Model): void {
  for (let step = 0; step < 4; step += 1) {
    happen(model, { type: "ready", ready: 4 });
    happen(model, { type: "pass" });
    model.facts = { ...model.facts, route: { ...model.facts.route, isAccepted: true } };
    for (const check of NAMES.keys()) see(model, check, { state: "Passed", message: "", job: "u1" });
    look(model);
    model.now += 1_000;
  }
}

test("no version gets a share before its checks have passed", () => {
  let canaries = 0;
  let refused = 0;
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const model = begin();
      for (const what of events) {
        happen(model, what);
        look(model);
        model.now += 1_000;
        if (model.progress.phase === "Canary") canaries += 1;
        if (model.progress.phase === "RollingBack") refused += 1;
      }
    }),
    { numRuns: 1_500 },
  );
  // The courses lead to both ends, or nothing was shown.
  expect(canaries).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(0);
});
