// Deliveries, with a clock that the test moves, a server that has one Secret, and receivers that say what the test wants.
import { afterEach, describe, expect, test } from "@jest/globals";
import type { Receiver } from "../../../crds/notifications.ts";
import { ROLLOUT } from "../../../crds/rollout.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { createManualClock } from "../../../lib/core/manual-clock.ts";
import { silentLogger } from "../../../lib/node/logger.ts";
import type { SourceContext } from "../../../operator/runtime/types.ts";
import { isAuthentic } from "../testing/webhook-receiver.ts";
import type { PostAnswer, PostQuestion } from "./answers.ts";
import { createCourier, type End, occurrenceOf, type Parcel } from "./courier.ts";

const KEY = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const OTHER_KEY = `whsec_${Buffer.alloc(32, 2).toString("base64")}`;
const ORIGIN = { resource: ROLLOUT, namespace: "shop", name: "web", uid: "uid-web" };
const receiver = (given: Partial<Receiver> = {}): Receiver => ({
  name: "ops",
  url: "https://ops.example.com/hooks?team=a",
  secretRef: { name: "keys", key: "secret" },
  ...given,
});

const stops: AbortController[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort();
});

function stage(answer: (question: PostQuestion) => PostAnswer | Promise<PostAnswer> = () => ({ status: 204 })) {
  const clock = createManualClock();
  const posts: PostQuestion[] = [];
  const ends: [End, number][] = [];
  const woken: string[] = [];
  const server: { data: Record<string, string> | undefined; error?: OperatorError; reads: number } = {
    data: { secret: KEY },
    reads: 0,
  };
  const list = async () => {
    server.reads += 1;
    if (server.error !== undefined) throw server.error;
    const data: Record<string, string> = {};
    for (const [key, value] of Object.entries(server.data ?? {})) data[key] = Buffer.from(value).toString("base64");
    return { items: server.data === undefined ? [] : [{ data }] };
  };
  const courier = createCourier({
    post: async (question) => {
      posts.push(question);
      return answer(question);
    },
    onEnd: (result, seconds) => void ends.push([result, seconds]),
  });
  const lead = (): AbortController => {
    const stop = new AbortController();
    stops.push(stop);
    const context = {
      clock,
      log: silentLogger,
      live: { list },
      add: ({ name }: { name: string }) => woken.push(name),
      keys: () => [],
      random: () => 0.5,
      signal: stop.signal,
    } as unknown as SourceContext;
    void courier.source.run(context);
    return stop;
  };
  const parcel = (ids: readonly string[], receivers = [receiver()]): Parcel => ({
    origin: ORIGIN,
    receivers,
    events: ids.map((id) => {
      const to = receivers.map(({ name }) => name);
      const facts = { revision: "r2", message: "as the test says" };
      return occurrenceOf({ id, event: "StagePassed", at: new Date(clock.now()).toISOString(), to, ...facts }, "r2");
    }),
  });
  return { clock, posts, ends, woken, server, courier, lead, parcel, seen: () => courier.seen(ORIGIN.uid) };
}

describe("an event", () => {
  test("is sent once, signed, as a CloudEvent, and wakes the resource", async () => {
    const { clock, posts, ends, woken, courier, lead, parcel, seen } = stage();
    lead();
    const sent = parcel(["id-1"]);
    courier.follow(sent);
    expect(seen()).toEqual([]);
    await clock.advance(1_000);
    courier.follow(sent);
    await clock.advance(3_600_000);
    expect(posts).toHaveLength(1);
    expect(posts[0]).toMatchObject({
      host: "ops.example.com",
      port: 443,
      path: "/hooks?team=a",
      method: "POST",
      isTls: true,
      isLocalRefused: true,
      timeoutMs: 10_000,
      headers: { "content-type": "application/cloudevents+json; charset=utf-8", "webhook-id": "id-1" },
    });
    const { headers, body } = posts[0] as PostQuestion;
    expect(isAuthentic({ headers, body }, KEY, Date.parse(sent.events[0]?.at ?? ""))).toBe(true);
    expect(JSON.parse(body)).toEqual({
      specversion: "1.0",
      id: "id-1",
      source: "/apis/shieldx.dev/v1alpha1/namespaces/shop/rollouts/web",
      type: "dev.shieldx.rollout.stage_passed.v1",
      subject: "r2",
      time: sent.events[0]?.at,
      datacontenttype: "application/json",
      data: {
        namespace: "shop",
        name: "web",
        uid: "uid-web",
        event: "StagePassed",
        revision: "r2",
        message: "as the test says",
      },
    });
    expect(seen()).toMatchObject([{ id: "id-1", receiver: "ops", result: "Delivered", message: "status 204, try 1" }]);
    expect(ends).toEqual([["delivered", 0]]);
    expect(woken).toEqual(["web"]);
  });

  test("goes by plain HTTP where the address says so, to its own port", async () => {
    const { clock, posts, courier, lead, parcel } = stage();
    lead();
    courier.follow(parcel(["a"], [receiver({ url: "http://sink.shop.svc:8080" })]));
    await clock.advance(0);
    expect(posts[0]).toMatchObject({ host: "sink.shop.svc", port: 8080, path: "/", isTls: false });
  });

  test("is tried again with pauses that grow, with the same name and content, and told once while it says the same", async () => {
    let tries = 0;
    const { clock, posts, woken, ends, courier, lead, parcel, seen } = stage(() => {
      tries += 1;
      return tries < 4 ? { status: 500 } : { status: 200 };
    });
    lead();
    const begun = clock.now();
    courier.follow(parcel(["a"]));
    await clock.advance(1_000);
    expect(seen()).toMatchObject([{ result: "Retrying", message: "status 500" }]);
    await clock.advance(60_000);
    // 2, 4 and 8 s apart.
    expect(posts.map(({ headers }) => Number(headers["webhook-timestamp"]) - begun / 1_000)).toEqual([0, 2, 6, 14]);
    expect(new Set(posts.map(({ body }) => body)).size).toBe(1);
    expect(seen()).toMatchObject([{ result: "Delivered", message: "status 200, try 4" }]);
    expect(ends).toEqual([["delivered", 14]]);
    expect(woken).toEqual(["web", "web"]);
  });

  test("is given up ten minutes after it happened", async () => {
    const { clock, posts, ends, courier, lead, parcel, seen } = stage(() => ({ failure: "ECONNREFUSED" }));
    lead();
    courier.follow(parcel(["a"]));
    await clock.advance(900_000);
    expect(seen()).toMatchObject([{ result: "Failed", message: "ECONNREFUSED, given up after 10 tries in 486 s" }]);
    expect(ends).toEqual([["failed", 486]]);
    expect(posts).toHaveLength(10);
  });

  test.each([301, 401, 404, 410])("that is refused with %d is not tried again", async (status) => {
    const { clock, posts, courier, lead, parcel, seen } = stage(() => ({ status }));
    lead();
    courier.follow(parcel(["a"]));
    await clock.advance(900_000);
    expect(posts).toHaveLength(1);
    expect(seen()).toMatchObject([{ result: "Failed", message: expect.stringContaining(`status ${String(status)}`) }]);
  });

  test("waits for as long as the receiver asks, unless that is too long", async () => {
    let retryAfter = "90";
    const { clock, posts, courier, lead, parcel, seen } = stage(() => ({ status: 429, retryAfter }));
    lead();
    courier.follow(parcel(["a"]));
    await clock.advance(89_000);
    expect(posts).toHaveLength(1);
    retryAfter = "3600";
    await clock.advance(2_000);
    expect(posts).toHaveLength(2);
    expect(seen()).toMatchObject([
      {
        result: "Failed",
        message: "status 429, given up after 2 tries in 90 s, and another one only after 3600 s",
      },
    ]);
  });

  test("of a receiver that does not answer holds up no other one", async () => {
    const { clock, courier, lead, parcel, seen } = stage(({ host }) =>
      host === "slow" ? new Promise<PostAnswer>(() => undefined) : { status: 204 },
    );
    lead();
    courier.follow(parcel(["a", "b"], [receiver({ name: "slow", url: "https://slow" }), receiver()]));
    await clock.advance(0);
    expect(seen().map(({ id, receiver: name }) => `${id} ${name}`)).toEqual(["a ops", "b ops"]);
  });

  test("for an address that is none is not sent", async () => {
    const { clock, posts, courier, lead, parcel, seen } = stage();
    lead();
    courier.follow(parcel(["a"], [receiver({ url: "https://256.1.1.1/" })]));
    await clock.advance(0);
    expect(posts).toEqual([]);
    expect(seen()).toMatchObject([{ result: "Failed", message: "its url is no address, try 1" }]);
  });
});

describe("a key", () => {
  test.each<[string, Record<string, string> | undefined, string]>([
    ["without its Secret", undefined, "Secret keys is not there"],
    ["that is not in it", { other: KEY }, "Secret keys has no key secret"],
    ["that is none", { secret: "hunter2" }, "key secret of Secret keys is not 'whsec_' and base64"],
  ])("%s is waited for, and nothing is sent unsigned", async (_, data, message) => {
    const { clock, posts, server, courier, lead, parcel, seen } = stage();
    server.data = data;
    lead();
    courier.follow(parcel(["a"]));
    await clock.advance(1_000);
    expect(posts).toEqual([]);
    expect(seen()).toMatchObject([{ result: "Retrying", message }]);
    server.data = { secret: KEY };
    await clock.advance(10_000);
    expect(posts).toHaveLength(1);
    expect(JSON.stringify(seen())).not.toContain("hunter2");
  });

  test("that cannot be read is waited for", async () => {
    const { clock, server, courier, lead, parcel, seen } = stage();
    server.error = new OperatorError("KUBE_FORBIDDEN", "no");
    lead();
    courier.follow(parcel(["a"]));
    await clock.advance(1_000);
    expect(seen()).toMatchObject([{ result: "Retrying", message: "Secret keys cannot be read: KUBE_FORBIDDEN" }]);
  });

  test("that is replaced counts at the next try, and is read for each", async () => {
    const { clock, posts, server, courier, lead, parcel } = stage(() => ({ status: 503 }));
    lead();
    courier.follow(parcel(["a"]));
    await clock.advance(1_000);
    server.data = { secret: OTHER_KEY };
    await clock.advance(2_000);
    const [first, second] = posts;
    const now = clock.now();
    expect(first && isAuthentic(first, KEY, now)).toBe(true);
    expect(second && isAuthentic(second, KEY, now)).toBe(false);
    expect(second && isAuthentic(second, OTHER_KEY, now)).toBe(true);
    expect(server.reads).toBe(2);
  });
});

describe("what is under way", () => {
  test("begins when this replica leads, and ends when it does not", async () => {
    const { clock, posts, ends, courier, lead, parcel, seen } = stage(() => ({ status: 503 }));
    courier.follow(parcel(["a"]));
    await clock.advance(10_000);
    expect(posts).toEqual([]);
    const leading = lead();
    await clock.advance(1_000);
    expect(posts).toHaveLength(1);
    leading.abort();
    await clock.advance(600_000);
    expect(posts).toHaveLength(1);
    expect([seen(), ends]).toEqual([[], []]);
  });

  test("is tried once by a replica that comes too late", async () => {
    const { clock, posts, courier, lead, parcel, seen } = stage(() => ({ status: 503 }));
    const late = parcel(["a"]);
    await clock.advance(3_600_000);
    lead();
    courier.follow(late);
    await clock.advance(600_000);
    expect(posts).toHaveLength(1);
    expect(seen()).toMatchObject([{ result: "Failed", message: "status 503, given up after 1 try" }]);
  });

  test("is not tried for longer because the clock of another replica is ahead", async () => {
    const { clock, posts, courier, lead, parcel } = stage(() => ({ status: 503 }));
    const early = parcel(["a"]);
    clock.jumpWallClock(-86_400_000);
    lead();
    courier.follow(early);
    await clock.advance(7_200_000);
    expect(posts).toHaveLength(10);
  });

  test("ends with the event, the receiver or the resource; the first two are counted", async () => {
    const { clock, posts, ends, courier, lead, parcel } = stage(() => ({ status: 503 }));
    lead();
    courier.follow(parcel(["a", "b"]));
    await clock.advance(0);
    courier.follow(parcel(["b"]));
    expect(ends).toEqual([["dropped", 0]]);
    courier.forget(ORIGIN.uid);
    await clock.advance(600_000);
    expect(posts).toHaveLength(2);
    expect(ends).toEqual([["dropped", 0]]);
  });

  test("goes to the address that the spec has now", async () => {
    const { clock, posts, courier, lead, parcel } = stage(() => ({ status: 503 }));
    lead();
    courier.follow(parcel(["a"]));
    await clock.advance(0);
    courier.follow(parcel(["a"], [receiver({ url: "https://mended.example.com" })]));
    await clock.advance(3_000);
    expect(posts.map(({ host }) => host)).toEqual(["ops.example.com", "mended.example.com"]);
  });
});
