import { describe, expect, it } from "@jest/globals";
import { createManualClock } from "../core/manual-clock.ts";
import { prng } from "../core/prng.ts";
import { createFlowControl, type FlowControlOptions, type Priority } from "./flow-control.ts";

// Goal: what must not wait does not wait, whatever else there is; nothing is forgotten, and no limit is ever passed.

const never = new AbortController().signal;

function open(options: Omit<FlowControlOptions, "clock"> = {}) {
  const clock = createManualClock();
  const flow = createFlowControl({ clock, ...options });
  const entered: string[] = [];
  const leave = new Map<string, () => void>();
  const ask = (priority: Priority, name: string, signal = never): void => {
    flow.enter(priority, signal).then(
      (done) => {
        entered.push(name);
        leave.set(name, done);
      },
      (error: unknown) => entered.push(`${name} ${String(error)}`),
    );
  };
  return { clock, flow, entered, ask, leave: (name: string) => leave.get(name)?.(), settle: () => clock.advance(0) };
}

describe("places", () => {
  it("are taken by priority, then in order of arrival", async () => {
    const { ask, entered, leave, settle } = open({ concurrency: 1 });
    ask("normal", "first");
    for (const name of ["b1", "b2"]) ask("background", name);
    for (const name of ["n1", "n2"]) ask("normal", name);
    ask("urgent", "u1");
    ask("urgent", "u2");
    await settle();
    expect(entered).toEqual(["first", "u1", "u2"]);
    for (const name of ["u1", "first", "u2", "n1", "n2", "b1"]) {
      leave(name);
      await settle();
    }
    expect(entered).toEqual(["first", "u1", "u2", "n1", "n2", "b1", "b2"]);
  });

  it("are of no concern to what is urgent, however much of it there is, while five thousand others wait", async () => {
    const { ask, entered, flow, settle } = open();
    for (let index = 0; index < 5_000; index += 1) ask("background", `b${index}`);
    await settle();
    expect(flow.load()).toEqual({ inFlight: 16, waiting: 4_984 });
    const urgent = Array.from({ length: 20 }, (_, index) => `u${index}`);
    for (const name of urgent) ask("urgent", name);
    await settle();
    expect(entered.slice(16)).toEqual(urgent);
  });

  it("are given back once, however often that is said", async () => {
    const { ask, leave, flow, settle } = open({ concurrency: 1 });
    ask("normal", "a");
    await settle();
    leave("a");
    leave("a");
    ask("normal", "b");
    ask("normal", "c");
    await settle();
    expect(flow.load()).toEqual({ inFlight: 1, waiting: 1 });
  });

  it("are not kept by who stopped waiting", async () => {
    const { ask, entered, leave, flow, settle } = open({ concurrency: 1 });
    const stop = new AbortController();
    ask("normal", "a");
    ask("normal", "b", stop.signal);
    ask("normal", "c");
    await settle();
    stop.abort(new Error("stopped"));
    ask("normal", "d", stop.signal);
    leave("a");
    await settle();
    expect(entered).toEqual(["a", "b Error: stopped", "d Error: stopped", "c"]);
    leave("c");
    expect(flow.load()).toEqual({ inFlight: 0, waiting: 0 });
  });
});

describe("a server that asks to slow down", () => {
  it("stops all but what is urgent, for as long as it asks", async () => {
    const { ask, entered, flow, clock, settle } = open();
    flow.pause(7_000);
    flow.pause(2_000);
    ask("normal", "n");
    ask("background", "b");
    ask("urgent", "u");
    await settle();
    expect(entered).toEqual(["u"]);
    await clock.advance(6_999);
    expect(entered).toEqual(["u"]);
    await clock.advance(1);
    expect(entered).toEqual(["u", "n", "b"]);
  });

  it("is asked again after half a minute at the latest", async () => {
    const { ask, entered, flow, clock } = open();
    flow.pause(3_600_000);
    ask("normal", "n");
    await clock.advance(30_000);
    expect(entered).toEqual(["n"]);
  });
});

describe("a rate limit", () => {
  it("lets a burst through, then one after the other; what is urgent does not count", async () => {
    const { ask, entered, clock, settle } = open({ qps: 2, burst: 3 });
    for (let index = 1; index <= 5; index += 1) ask("normal", `n${index}`);
    ask("urgent", "u");
    await settle();
    expect(entered).toEqual(["n1", "n2", "n3", "u"]);
    await clock.advance(499);
    expect(entered).toHaveLength(4);
    await clock.advance(1);
    expect(entered).toHaveLength(5);
    await clock.advance(500);
    expect(entered).toEqual(["n1", "n2", "n3", "u", "n4", "n5"]);
  });

  it("of less than one a second lets one after the other through", async () => {
    const { ask, entered, clock, settle } = open({ qps: 0.5 });
    for (let index = 1; index <= 3; index += 1) ask("normal", `n${index}`);
    await settle();
    expect(entered).toEqual(["n1"]);
    await clock.advance(1_999);
    expect(entered).toEqual(["n1"]);
    await clock.advance(2_001);
    expect(entered).toEqual(["n1", "n2", "n3"]);
  });
});

it("holds its limits and forgets nobody in random traffic", async () => {
  const seed = 20_261_125;
  const random = prng(seed);
  const { clock, flow } = open({ concurrency: 3 });
  const inFlight = { urgent: 0, normal: 0, background: 0 };
  let finished = 0;
  let aborted = 0;
  const priorities = ["urgent", "normal", "background"] as const;
  const one = async (priority: Priority): Promise<void> => {
    const stop = new AbortController();
    if (random() < 0.2) void clock.sleep(random() * 50).then(() => stop.abort(new Error("stopped")));
    try {
      const done = await flow.enter(priority, stop.signal);
      inFlight[priority] += 1;
      if (inFlight.normal + inFlight.background > 3) throw new Error(`limit passed, seed ${seed}`);
      await clock.sleep(1 + random() * 20);
      inFlight[priority] -= 1;
      finished += 1;
      done();
    } catch (error) {
      if ((error as Error).message !== "stopped") throw error;
      aborted += 1;
    }
  };
  const all: Promise<void>[] = [];
  for (let index = 0; index < 400; index += 1) {
    all.push(one(priorities[Math.floor(random() * 3)] ?? "normal"));
    if (random() < 0.05) flow.pause(random() * 30);
    if (random() < 0.3) await clock.advance(5);
  }
  await clock.advance(60_000);
  await Promise.all(all);
  expect({ seed, total: finished + aborted, load: flow.load() }).toEqual({
    seed,
    total: 400,
    load: { inFlight: 0, waiting: 0 },
  });
});
