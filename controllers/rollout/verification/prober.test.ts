// Questions over HTTP, with a clock that the test moves and pods that say what the test wants.
import { afterEach, describe, expect, test } from "@jest/globals";
import { rolloutVerify } from "../../../crds/rollout-verify.ts";
import { createManualClock } from "../../../lib/core/manual-clock.ts";
import { silentLogger } from "../../../lib/node/logger.ts";
import type { SourceContext } from "../../../operator/runtime/types.ts";
import type { HttpAnswer, HttpQuestion } from "./answers.ts";
import { createProber, type ProbeTarget, type ProbeTask } from "./prober.ts";

const UID = "uid-web";
const KEY = { namespace: "shop", name: "web" };
const pod = (name: string, given: Partial<ProbeTarget> = {}): ProbeTarget => ({
  name,
  ip: `ip-${name}`,
  isReady: true,
  ...given,
});

const stops: AbortController[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort();
});

function stage(answer: (question: HttpQuestion) => HttpAnswer | Promise<HttpAnswer>) {
  const clock = createManualClock();
  const asked: HttpQuestion[] = [];
  const woken: string[] = [];
  const prober = createProber(async (question) => {
    asked.push(question);
    return answer(question);
  });
  const lead = (): AbortController => {
    const stop = new AbortController();
    stops.push(stop);
    const context = {
      clock,
      log: silentLogger,
      add: ({ name }: { name: string }) => woken.push(name),
      keys: () => [],
      random: () => 0,
      signal: stop.signal,
    } as unknown as SourceContext;
    void prober.source.run(context);
    return stop;
  };
  return { clock, asked, woken, prober, lead };
}

function httpTask(given: object = {}, pods = [pod("a"), pod("b")]): ProbeTask {
  const { smoke } = rolloutVerify.parse({ smoke: [{ name: "page", http: { path: "/ok", ...given } }] });
  const http = smoke[0]?.http;
  if (http === undefined) throw new Error("no test");
  return { hash: "h", kind: "http", http, pods, port: 8080 };
}

function healthTask(given: object = {}, pods = [pod("a"), pod("b")]): ProbeTask {
  const { health } = rolloutVerify.parse({ health: { http: { path: "/healthz" }, ...given } });
  if (health === undefined) throw new Error("no check");
  return { hash: "h", kind: "health", health, pods, port: 8080, podsWanted: 2 };
}

const GOOD: HttpAnswer = { status: 200, body: "all is well" };
const REFUSED: HttpAnswer = { failure: "ECONNREFUSED", isUnsent: true };

describe("a request", () => {
  test("is sent once, as the spec says, and wakes the Rollout", async () => {
    const { prober, lead, clock, asked, woken } = stage(() => GOOD);
    lead();
    const headers = [{ name: "Host", value: "shop" }];
    const task = httpTask({ method: "POST", headers, body: "{}", expectBody: "well", timeoutSeconds: 5 });
    prober.follow(UID, KEY, [task]);
    expect(prober.seen(UID, "h")).toEqual({ state: "Absent" });
    await clock.advance(0);
    prober.follow(UID, KEY, [task]);
    await clock.advance(60_000);
    expect(prober.seen(UID, "h")).toMatchObject({ state: "Passed", message: "pod a: answers as expected" });
    expect(asked).toMatchObject([
      {
        host: "ip-a",
        port: 8080,
        method: "POST",
        path: "/ok",
        headers: { Host: "shop" },
        body: "{}",
        timeoutMs: 5_000,
      },
    ]);
    expect(woken).toEqual(["web"]);
  });

  test.each<[string, object, HttpAnswer, string]>([
    ["another status", {}, { status: 404, body: "" }, "pod a: status 404, expected 200-299"],
    [
      "a status outside of the ranges",
      { expectStatus: [201, "300-399"] },
      { status: 200, body: "" },
      "status 200, expected 201 or 300-399",
    ],
    ["an answer without the text", { expectBody: "tea" }, GOOD, "status 200 without the expected text"],
    ["no answer", {}, { failure: "no answer within 10000 ms", isUnsent: false }, "no answer within 10000 ms"],
  ])("fails by %s, which counts at once", async (_, given, answer, words) => {
    const { prober, lead, clock, asked } = stage(() => answer);
    lead();
    prober.follow(UID, KEY, [httpTask(given)]);
    await clock.advance(0);
    expect(prober.seen(UID, "h")).toMatchObject({ state: "Failed", message: expect.stringContaining(words) });
    expect(asked).toHaveLength(1);
  });

  test.each<[string, object, HttpAnswer]>([
    ["a status of a list", { expectStatus: [404, 204] }, { status: 204, body: "" }],
    ["a status of a range that was written backwards", { expectStatus: ["399-300"] }, { status: 301, body: "" }],
  ])("passes by %s", async (_, given, answer) => {
    const { prober, lead, clock } = stage(() => answer);
    lead();
    prober.follow(UID, KEY, [httpTask(given)]);
    await clock.advance(0);
    expect(prober.seen(UID, "h").state).toBe("Passed");
  });

  test("is tried again while no connection can be made, for as long as it may take", async () => {
    const { prober, lead, clock, asked } = stage(() => REFUSED);
    lead();
    prober.follow(UID, KEY, [httpTask({ timeoutSeconds: 3 })]);
    await clock.advance(1_500);
    expect(prober.seen(UID, "h").state).toBe("Absent");
    await clock.advance(2_000);
    expect(prober.seen(UID, "h")).toMatchObject({ state: "Failed", message: "pod a: ECONNREFUSED" });
    expect(asked).toHaveLength(3);
  });

  test("waits for a pod that is ready, and goes to the one that there is then", async () => {
    const { prober, lead, clock, asked } = stage(() => GOOD);
    lead();
    prober.follow(UID, KEY, [httpTask({}, [pod("a", { isReady: false })])]);
    await clock.advance(1_500);
    prober.follow(UID, KEY, [httpTask({}, [pod("b")])]);
    await clock.advance(1_000);
    expect(asked.map(({ host }) => host)).toEqual(["ip-b"]);
  });
});

describe("the health check", () => {
  test("passes at the first look at which every pod is ready and answers", async () => {
    let bad = "ip-b";
    const { prober, lead, clock, asked } = stage(({ host }) => (host === bad ? { status: 503, body: "" } : GOOD));
    lead();
    prober.follow(UID, KEY, [healthTask()]);
    await clock.advance(0);
    expect(prober.seen(UID, "h")).toEqual({ state: "Running", message: "pod b: status 503, expected 200-299" });
    bad = "";
    prober.follow(UID, KEY, [healthTask({}, [pod("a"), pod("b", { isReady: false })])]);
    await clock.advance(2_000);
    expect(prober.seen(UID, "h")).toEqual({ state: "Running", message: "1 of 2 pods are ready" });
    prober.follow(UID, KEY, [healthTask()]);
    await clock.advance(2_000);
    expect(prober.seen(UID, "h")).toEqual({ state: "Passed", message: "2 pods answer" });
    expect(asked).toHaveLength(4);
  });

  test("fails after its looks", async () => {
    const { prober, lead, clock, asked, woken } = stage(() => REFUSED);
    lead();
    prober.follow(UID, KEY, [healthTask({ attempts: 3, intervalSeconds: 2 })]);
    await clock.advance(3_999);
    expect(prober.seen(UID, "h").state).toBe("Running");
    await clock.advance(1);
    expect(prober.seen(UID, "h")).toMatchObject({
      state: "Failed",
      message: "pod a: ECONNREFUSED, at the last of 3 looks",
    });
    expect(asked).toHaveLength(6);
    expect(woken).toEqual(["web"]);
  });
});

describe("who asks, and for how long", () => {
  test("nobody asks before this replica leads, nor after", async () => {
    const { prober, lead, clock, asked } = stage(() => REFUSED);
    prober.follow(UID, KEY, [healthTask()]);
    await clock.advance(10_000);
    expect(asked).toEqual([]);
    const stop = lead();
    await clock.advance(0);
    expect(asked).toHaveLength(2);
    stop.abort();
    await clock.advance(60_000);
    expect(asked).toHaveLength(2);
    expect(prober.seen(UID, "h")).toEqual({ state: "Absent" });
  });

  test("a task that is named no more ends, with the question that is under way", async () => {
    const { prober, lead, clock, asked, woken } = stage(() => new Promise<HttpAnswer>(() => undefined));
    lead();
    prober.follow(UID, KEY, [httpTask()]);
    await clock.advance(0);
    expect(asked[0]?.signal.aborted).toBe(false);
    prober.follow(UID, KEY, []);
    expect(asked[0]?.signal.aborted).toBe(true);
    expect(prober.seen(UID, "h")).toEqual({ state: "Absent" });
    expect(woken).toEqual([]);
  });

  test("what nobody expected fails the check, and is told", async () => {
    const { prober, lead, clock } = stage(() => {
      throw new Error("boom");
    });
    lead();
    prober.follow(UID, KEY, [httpTask()]);
    await clock.advance(0);
    expect(prober.seen(UID, "h")).toEqual({ state: "Failed", message: "it could not be made: boom" });
  });
});
