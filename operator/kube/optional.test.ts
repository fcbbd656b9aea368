import { afterEach, beforeEach, expect, it } from "@jest/globals";
import type { ReflectorFault } from "../../lib/kube/reflector.ts";
import type { ResourceType } from "../../lib/kube/types.ts";
import { createLogger } from "../../lib/node/logger.ts";
import { type FakeKube, startFakeKube, storeKey } from "../../testkit/fake-kube.ts";
import { createScaledClock } from "../../testkit/scaled-clock.ts";
import { eventually } from "../../testkit/wait.ts";
import { WIDGET, type Widget, widget } from "../../testkit/widget.ts";
import { type CacheOptions, createCache, type KubeCache } from "./cache.ts";

// Goal: a kind that a controller can do without holds up nothing and disturbs nobody, whether it was never there, goes,
// comes back, or may not be read; and what memory shows of it is what there is.

const GADGET: ResourceType<Widget> = { ...WIDGET, kind: "Gadget", plural: "gadgets" };
const times = Number.POSITIVE_INFINITY;

let fake: FakeKube;
let cache: KubeCache;
let faults: ReflectorFault[];
let log: string[];
let changes: string[];
let namespaces: string[];

beforeEach(async () => {
  fake = await startFakeKube();
  [faults, log, changes, namespaces] = [[], [], [], []];
});
afterEach(async () => {
  await cache.stop();
  await fake.close();
});

function open(options: Partial<CacheOptions> = {}) {
  cache = createCache({
    client: fake.client(),
    clock: createScaledClock(100),
    random: () => 0.5,
    log: createLogger(
      "info",
      {},
      {
        write: (line) => {
          const { kind, message } = JSON.parse(line) as Record<string, string>;
          if (kind === "Gadget") log.push(message ?? "");
        },
      },
    ),
    onFault: (_informer, fault) => faults.push(fault),
    onNamespace: (namespace, what) => namespaces.push(`${namespace} ${what}`),
    ...options,
  });
  const view = cache.view();
  view.include({ type: WIDGET }, () => undefined);
  view.include(
    { type: GADGET, optional: true },
    ({ before, after }) =>
      changes.push(`${(after ?? before)?.metadata.name} ${after === undefined ? "gone" : "there"}`),
    () => changes.push(view.availability(GADGET, "default")),
  );
  return view;
}

async function start(view: ReturnType<typeof open>): Promise<void> {
  cache.start();
  await view.whenFilled();
}

const put = (name: string, namespace = "default"): void =>
  void fake.store.create(
    storeKey(GADGET, namespace, name),
    { ...widget(name, {}, { namespace }), kind: "Gadget" },
    "user",
  );

it("comes and goes with its definition, each time told once", async () => {
  fake.undefine(GADGET);
  const view = open();
  await start(view);
  expect(view.missing()).toEqual([]);
  expect(view.isFilled("default")).toBe(true);
  expect([view.availability(GADGET, "default"), view.availability(WIDGET, "default")]).toEqual(["missing", "served"]);
  expect(view.list(GADGET, "default")).toEqual([]);
  expect(cache.states()[1]).toMatchObject({ synced: true, served: false, optional: true, objects: 0 });
  await eventually("looked for again", () => fake.requests().filter(({ path }) => path.includes("gadgets")).length > 4);
  // Told as nobody else's trouble, and only once.
  expect([faults, changes]).toEqual([[], []]);
  expect(log).toEqual(["the server has no such kind, and we do without it until it is installed"]);

  for (const name of ["one", "two"]) {
    fake.define(GADGET);
    put(name);
    await eventually("it is there", () => view.get(GADGET, "default", name) !== undefined);
    await eventually("it is served", () => view.availability(GADGET, "default") === "served");
    expect(cache.states()[1]).toMatchObject({ synced: true, served: true, objects: 1, refused: undefined });
    await eventually("the watch is open", () => fake.watches() === 2);
    fake.undefine(GADGET);
    await eventually("it is gone", () => view.get(GADGET, "default", name) === undefined);
    await eventually("it is missing", () => view.availability(GADGET, "default") === "missing");
    expect(changes.splice(0)).toEqual([`${name} there`, "served", `${name} gone`, "missing"]);
    expect(log.splice(0).slice(1)).toEqual([
      "the server serves the kind now",
      "the server has no such kind, and we do without it until it is installed",
    ]);
    log.push("");
  }
  expect(faults).toEqual([]);
});

it("that may not be listed is told once, and read as soon as it may be", async () => {
  put("one");
  const heal = fake.inject({ path: /gadgets/, action: { type: "answer", status: 403 }, times });
  const view = open();
  await start(view);
  expect(view.availability(GADGET, "default")).toBe("forbidden");
  await eventually("asked again", () => fake.requests().filter(({ path }) => path.includes("gadgets")).length > 4);
  expect(log).toEqual(["we may not list gadgets.test.shieldx.dev, and do without them until that is granted"]);
  heal();
  await eventually("it is there", () => view.availability(GADGET, "default") === "served");
  expect(view.list(GADGET, "default")).toHaveLength(1);
  expect(faults).toEqual([]);
});

it("keeps its objects through a moment of refusals, as a server has that starts", async () => {
  put("one");
  const view = open();
  await start(view);
  await eventually("the watch is open", () => fake.watches() === 2);
  fake.inject({ path: /gadgets/, action: { type: "answer", status: 404 }, times: 2 });
  fake.endWatches();
  await eventually("the watches are open again", () => fake.watches() === 2);
  put("two");
  await eventually("told", () => changes.includes("two there"));
  expect(changes).toEqual(["one there", "two there"]);
});

it("of several namespaces: each of its own, and none of them counts for the namespace", async () => {
  put("one", "a");
  fake.undefine(GADGET);
  const view = open({ namespaces: ["a", "b"] });
  await start(view);
  expect(["a", "b"].map((namespace) => view.availability(GADGET, namespace))).toEqual(["missing", "missing"]);
  // Of a namespace that nobody reads nothing is known, of needed kinds neither.
  expect([GADGET, WIDGET].map((type) => view.availability(type, "c"))).toEqual(["forbidden", "forbidden"]);
  expect(log).toHaveLength(1);
  fake.inject({ path: /namespaces.b.gadgets/, action: { type: "answer", status: 403 }, times });
  fake.define(GADGET);
  put("one", "a");
  await eventually("read where it may be", () => view.list(GADGET, "a").length === 1);
  await eventually("and not elsewhere", () => view.availability(GADGET, "b") === "forbidden");
  expect([view.isFilled("a"), view.isFilled("b")]).toEqual([true, true]);
  expect(namespaces).toEqual([]);

  // The other kinds of a namespace say what becomes of it.
  const heal = fake.inject({ path: /namespaces.b.widgets/, action: { type: "answer", status: 403 }, times });
  fake.endWatches();
  await eventually("it is not served", () => namespaces.includes("b away"));
  expect([view.isFilled("a"), view.isFilled("b")]).toEqual([true, false]);
  heal();
  await eventually("it is served again", () => namespaces.includes("b back"));
});

it("does not hold up the Lease when its lists fail, but those that watch it: what is unknown is not empty", async () => {
  fake.inject({ path: /gadgets/, action: { type: "answer", status: 500 }, times });
  const view = open();
  cache.start();
  await cache.waitForSync(600_000);
  expect(view.missing()).toEqual(["gadgets.test.shieldx.dev"]);
  expect(view.isFilled("default")).toBe(false);
});

it("is optional for a controller or needed by it, and may be both for two", async () => {
  const view = open();
  expect(() => view.include({ type: GADGET }, () => undefined)).toThrow("as optional and as needed");
  const other = cache.view();
  other.include({ type: GADGET }, () => undefined);
  fake.undefine(GADGET);
  await start(view);
  await eventually("refused", () => faults.includes("refused"));
  expect(other.missing()).toEqual(["gadgets.test.shieldx.dev"]);
});
