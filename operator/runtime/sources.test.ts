import { describe, expect, it } from "@jest/globals";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createChannel, timerSource } from "./sources.ts";
import { type Key, PRIORITIES, type SourceContext } from "./types.ts";

// Goal: what code pushes and what a timer finds becomes keys, and nothing that they throw ends them.

const key = (name: string): Key => ({ namespace: "ns", name });

function begin(): { clock: ManualClock; context: SourceContext; added: string[]; stop: AbortController } {
  const clock = createManualClock();
  const stop = new AbortController();
  const added: string[] = [];
  const context: SourceContext = {
    cache: { get: () => undefined, list: () => [], byIndex: () => [], availability: () => "served" },
    live: { list: () => Promise.reject(new Error("no server")) },
    keys: () => [key("x"), key("y")],
    add: ({ name }, priority = PRIORITIES.live) => void added.push(`${clock.monotonic()} ${name} ${priority}`),
    clock,
    random: () => 0,
    log: silentLogger,
    signal: stop.signal,
  };
  return { clock, context, added, stop };
}

describe("a timer", () => {
  it("asks for all keys, spread, as a resync, until the signal", async () => {
    const { clock, context, added, stop } = begin();
    const ended = timerSource({ name: "t", everySeconds: 10 }).run(context);
    await clock.advance(20_000);
    expect(added).toEqual(["9000 x -50", "9000 y -50", "18000 x -50", "18000 y -50"]);
    stop.abort();
    await ended;
    expect(clock.pendingSleeps()).toBe(0);
  });

  it("asks for the keys of a function; one that throws loses that tick only", async () => {
    const { clock, context, added, stop } = begin();
    let tick = 0;
    const ended = timerSource({
      name: "t",
      everySeconds: 1,
      jitter: 0,
      priority: PRIORITIES.live,
      keys: () => {
        tick += 1;
        if (tick === 2) throw new Error("injected");
        return [key(`tick${tick}`)];
      },
    }).run(context);
    await clock.advance(3_000);
    expect(added).toEqual(["1000 tick1 0", "3000 tick3 0"]);
    stop.abort();
    await ended;
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("refuses an interval of %d s", (everySeconds) => {
    expect(() => timerSource({ name: "t", everySeconds })).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });
});

describe("a channel", () => {
  it("tells the keys of what is pushed, also of what was pushed before it ran, each once", async () => {
    const { clock, context, added, stop } = begin();
    const channel = createChannel<string>("c", (text) => text.split(",").map(key));
    channel.push("a,b");
    channel.push("b");
    const ended = channel.source.run(context);
    channel.push("c,c");
    expect(added).toEqual(["0 a 0", "0 b 0", "0 c 0", "0 c 0"]);
    stop.abort();
    await ended;
    channel.push("later");
    await clock.advance(0);
    expect(added).toHaveLength(4);
  });

  it("tells with the priority that it was given, also what was kept", () => {
    const { context, added } = begin();
    const channel = createChannel("c", (name: string) => [key(name)], PRIORITIES.urgent);
    channel.push("a");
    void channel.source.run(context);
    channel.push("b");
    expect(added).toEqual(["0 a 50", "0 b 50"]);
  });

  it("gives what its map throws to who pushes", () => {
    const channel = createChannel<string>("c", () => {
      throw new TypeError("injected");
    });
    expect(() => channel.push("a")).toThrow(TypeError);
  });
});
