import { beforeEach, describe, expect, it } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { identityOf, type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { configMap, widget } from "../../testkit/widget.ts";
import { apply, inOrder, nameOf, remove } from "./actions.ts";
import { createExecutor, type Execute } from "./execute.ts";
import { failuresOf } from "./failures.ts";
import { createStepRetries } from "./step-retries.ts";
import type { Action, Outcome } from "./types.ts";

// Goal: a step that fails stops those that need it and no other, all failures are told, and each keeps to its own backoff.

let clock: ManualClock;
let failures: Map<string, Error>;
/** Names of what was sent, in order. */
let sent: string[];
let execute: Execute;
let owner: KubeObject;

beforeEach(() => {
  clock = createManualClock();
  failures = new Map();
  sent = [];
  owner = widget("w", {}, { uid: "1", generation: 1 });
  const send = async (name: string): Promise<"written"> => {
    sent.push(name);
    const failure = failures.get(name);
    if (failure !== undefined) throw failure;
    return "written";
  };
  execute = createExecutor({
    applier: {
      apply: (_owner, { metadata: { name } }) => send(name),
      handOver: (_owner, { metadata: { name } }) => send(name),
      create: (_owner, { metadata: { name } }) => send(name),
      remove: ({ name }) => send(name),
      patch: ({ name }) => send(name),
    },
    recorder: { record: async () => true },
    retries: createStepRetries(clock),
  });
});

const step = (name: string, data: Record<string, string> = {}): Action => apply(configMap(name, data), "wanted");
const after = (name: string, ...needs: Action[]): Action => apply(configMap(name, {}), "wanted", needs);
/** As our finalizer: it says nothing of what it needs. */
const strict = (name: string): Action => {
  const { needs: _, ...says } = step(name);
  return says;
};
const run = (...actions: Action[]): Promise<Outcome> =>
  execute({ owner, plan: { actions }, signal: new AbortController().signal, log: silentLogger });
const fail = (name: string, code: ConstructorParameters<typeof OperatorError>[0]): void =>
  void failures.set(name, new OperatorError(code, `no ${name}`));
const messages = ({ error }: Outcome): string[] => (error ? failuresOf(error).map(({ message }) => message) : []);

describe("a step that fails", () => {
  it("stops what needs it, what needs that, and no other", async () => {
    fail("b", "KUBE_FORBIDDEN");
    const [a, b] = [step("a"), step("b")];
    const c = after("c", b);
    const outcome = await run(a, b, c, after("d", c), after("e", a));
    expect(sent).toEqual(["a", "b", "e"]);
    expect(outcome).toMatchObject({ written: 2, error: { code: "KUBE_FORBIDDEN" } });
  });

  it("stops all after it where it says nothing of what it needs, and is stopped by all before it", async () => {
    fail("b", "KUBE_FORBIDDEN");
    const outcome = await run(step("a"), strict("b"), step("c"), strict("d"));
    expect(sent).toEqual(["a", "b"]);
    expect(outcome).toMatchObject({ written: 1, error: { code: "KUBE_FORBIDDEN" } });
    sent = [];
    await run(step("b"), step("a"), strict("last"), step("after"));
    expect(sent).toEqual(["b", "a"]);
  });

  it("of a stage stops the stages after it, and nothing beside it", async () => {
    fail("b", "KUBE_FORBIDDEN");
    const outside = after("e", step("d"));
    await run(...inOrder([step("a"), [step("b"), step("c")], outside]), step("f"));
    expect(sent).toEqual(["a", "b", "c", "f"]);
    expect(inOrder([step("a"), outside]).map(({ needs }) => needs)).toEqual([[], ["ConfigMap/a", "ConfigMap/d"]]);
  });

  it("is told together with the others", async () => {
    fail("a", "KUBE_INVALID");
    fail("c", "KUBE_FORBIDDEN");
    const outcome = await run(step("a"), step("b"), step("c"));
    expect(messages(outcome)).toEqual(["no c", "no a"].toSorted());
    // What heals by itself says when to go on.
    expect(outcome).toMatchObject({ written: 1, error: { code: "KUBE_FORBIDDEN", retry: "backoff" } });
  });

  it.each(["LEASE_LOST", "ABORTED", "KUBE_THROTTLED", "KUBE_UNAUTHORIZED"] as const)(
    "with %s ends the run: all others would fail as well",
    async (code) => {
      fail("a", code);
      const outcome = await run(step("a"), step("b"));
      expect(sent).toEqual(["a"]);
      expect(outcome.steps).toBeUndefined();
    },
  );

  it("without an answer costs its deadline twice at most, for the server may be away", async () => {
    for (const name of ["a", "b", "c"]) fail(name, "KUBE_UNREACHABLE");
    const outcome = await run(...["a", "b", "c"].map((name) => step(name)));
    expect(sent).toEqual(["a", "b"]);
    expect(outcome.steps).toBeUndefined();
    sent = [];
    failures.delete("b");
    expect((await run(...["b", "a", "c"].map((name) => step(name)))).written).toBe(1);
  });
});

it("makes nothing more in a namespace that is being deleted, and goes on removing (trial 2)", async () => {
  failures.set("a", new OperatorError("KUBE_NAMESPACE_ENDING", "no a", { retryAfterSeconds: 30 }));
  const removal: Action = remove({ ...identityOf(RESOURCES.ConfigMap, configMap("d", {})) }, "gone");
  const steps = [step("a"), step("b"), step("c"), removal];
  const outcome = await run(...steps);
  expect(sent).toEqual(["a", "d"]);
  expect(messages(outcome)).toEqual(["no a"]);
  expect(outcome.steps).toEqual({ isNews: true, retryAfterSeconds: 30 });
  // Whatever happens in it meanwhile: one request in half a minute.
  for (let second = 0; second < 59; second += 1) {
    await clock.advance(1_000);
    await run(...steps);
  }
  expect(sent.filter((name) => name !== "d")).toEqual(["a", "a"]);
});

describe("a step that failed", () => {
  const both = () => run(step("a"), step("b"));

  it("waits for its backoff, whatever runs the key; the others do not wait with it", async () => {
    fail("a", "KUBE_FIELD_CONFLICT");
    const times: number[] = [];
    for (let ms = 0; ms < 300_000; ms += 1_000) {
      sent = [];
      const { error } = await both();
      expect(error).toMatchObject({ code: "KUBE_FIELD_CONFLICT", message: "no a" });
      expect(sent).toContain("b");
      if (sent.includes("a")) times.push(ms / 1_000);
      await clock.advance(1_000);
    }
    expect(times).toHaveLength(16);
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(pauses.slice(-4)).toEqual([11, 21, 41, 82]);
    // With an event a backoff of 164 s ends after 150 s.
    const last = times.at(-1) ?? 0;
    await clock.advance((last + 149) * 1_000 - clock.monotonic());
    sent = [];
    await both();
    expect(sent).toEqual(["b"]);
    await clock.advance(1_000);
    await both();
    expect(sent).toEqual(["b", "a", "b"]);
  });

  it("trial 5a: that was refused is sent again within a minute, since nobody tells of a larger quota", async () => {
    fail("a", "KUBE_FORBIDDEN");
    const times: number[] = [];
    for (let ms = 0; ms < 3_600_000; ms += 1_000) {
      sent = [];
      await both();
      if (sent.includes("a")) times.push(ms / 1_000);
      await clock.advance(1_000);
    }
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(Math.max(...pauses)).toBe(60);
  });

  it("that is urgent is sent again within 5 s, however long it has failed", async () => {
    fail("a", "KUBE_FAILED");
    const times: number[] = [];
    for (let ms = 0; ms < 600_000; ms += 1_000) {
      sent = [];
      await run({ ...step("a"), urgent: true } as Action, step("b"));
      if (sent.includes("a")) times.push(ms / 1_000);
      await clock.advance(1_000);
    }
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(pauses.slice(-3)).toEqual([5, 5, 5]);
    expect(Math.max(...pauses)).toBeLessThan(7);
  });

  it("says when it is to be tried again, and whether anything was tried", async () => {
    fail("a", "KUBE_FORBIDDEN");
    expect((await both()).steps).toEqual({ retryAfterSeconds: 0.005, isNews: true });
    await clock.advance(2);
    expect((await both()).steps).toEqual({ retryAfterSeconds: 0.003, isNews: false });
    await clock.advance(3);
    expect((await both()).steps).toEqual({ retryAfterSeconds: 0.01, isNews: true });
  });

  it("is tried again at once with another content, or when somebody edited the resource", async () => {
    fail("a", "KUBE_INVALID");
    await both();
    sent = [];
    await both();
    expect(sent).toEqual(["b"]);
    await run(step("a", { other: "1" }));
    owner = widget("w", {}, { uid: "1", generation: 2 });
    await both();
    expect(sent).toEqual(["b", "a", "a", "b"]);
  });

  it("is forgotten with its success", async () => {
    fail("a", "KUBE_FORBIDDEN");
    await both();
    await clock.advance(5);
    failures.clear();
    expect(await both()).toEqual({ written: 2 });
    fail("a", "KUBE_FORBIDDEN");
    expect((await both()).steps?.retryAfterSeconds).toBe(0.005);
  });

  it("keeps to the time that its failure names, and asks for none when only another input helps", async () => {
    failures.set("a", new OperatorError("NAME_CONFLICT", "taken", { retryAfterSeconds: 60 }));
    expect((await both()).steps?.retryAfterSeconds).toBe(60);
    fail("b", "KUBE_INVALID");
    failures.delete("a");
    await clock.advance(60_000);
    expect((await both()).steps).toEqual({ isNews: true });
  });
});

it("names a step by what it is about", () => {
  expect(nameOf(step("a"))).toBe("ConfigMap/a");
});
