import { describe, expect, it } from "@jest/globals";
import { createManualClock } from "../core/manual-clock.ts";
import { silentLogger } from "../node/logger.ts";
import { createReflector, type ReflectorFault } from "./reflector.ts";
import { type Answer, openScripted } from "./testing/scripted-client.ts";
import { type ConfigMapObject, RESOURCES } from "./types.ts";

// Goal: which request follows which answer, and that a long list leaves room for others. Against a script of answers;
// what the memory makes of it is shown in operator/kube/cache.test.ts over a real socket.

const { ConfigMap } = RESOURCES;

const metadata = (name: string, version: number) => ({ name, namespace: "ns", resourceVersion: String(version) });
const line = (type: string, name: string, version: number): string =>
  `${JSON.stringify({ type, object: { apiVersion: "v1", kind: "ConfigMap", metadata: metadata(name, version) } })}\n`;
const bookmark = (version: number, annotations: object = {}): string =>
  `${JSON.stringify({ type: "BOOKMARK", object: { metadata: { resourceVersion: String(version), annotations } } })}\n`;
const end = (version: number): string => bookmark(version, { "k8s.io/initial-events-end": "true" });
const page = (version: number, names: readonly string[], next?: string): Answer => ({
  status: 200,
  body: {
    metadata: { resourceVersion: String(version), continue: next },
    items: names.map((name) => ({ metadata: metadata(name, version) })),
  },
});
const refused: Answer = { status: 422, body: { reason: "Invalid", message: "sendInitialEvents is forbidden" } };
const hang: Answer = { hang: true };

/** Runs until a request hangs; the requests in short. */
async function run(...answers: Answer[]) {
  const { client, sent, clock } = openScripted(...answers, hang);
  const story: string[] = [];
  const faults: ReflectorFault[] = [];
  const reflector = createReflector<ConfigMapObject>({
    client,
    type: ConfigMap,
    selection: {},
    sink: {
      list: ({ rewound }) => {
        story.push(rewound ? "list (rewound)" : "list");
        return {
          add: (object) => story.push(`+${object.metadata.name}`),
          end: (version) => story.push(`end ${version}`),
        };
      },
      apply: ({ type, object }) => story.push(`${type} ${object.metadata.name}`),
      forget: () => story.push("forget"),
    },
    clock,
    random: () => 0.5,
    log: silentLogger,
    onFault: (fault) => faults.push(fault),
  });
  const stop = new AbortController();
  const running = reflector.run(stop.signal);
  for (let turn = 0; turn < 200 && sent.length < answers.length + 1; turn += 1) await clock.advance(500);
  stop.abort();
  await running;
  const requests = sent.map(({ path }) => {
    const query = new URLSearchParams(path.split("?")[1]);
    if (query.get("sendInitialEvents") !== null) return "stream";
    if (query.get("watch") !== null) return `watch ${query.get("resourceVersion")}`;
    if (query.get("limit") === null) return "whole";
    return query.get("limit") === "1" ? "probe" : `page ${query.get("continue") ?? ""}`.trim();
  });
  return { requests, story, faults, state: reflector.state() };
}

describe("a streaming list", () => {
  it("is one request with the events after it", async () => {
    const stream = [line("ADDED", "a", 3), line("ADDED", "b", 5), end(9), line("MODIFIED", "a", 10), bookmark(12)];
    const { requests, story, faults, state } = await run({ stream });
    expect(requests).toEqual(["stream", "watch 12"]);
    expect(story).toEqual(["list", "+a", "+b", "end 9", "MODIFIED a"]);
    expect(faults).toEqual([]);
    expect(state).toMatchObject({ synced: true, relists: 0 });
  });

  it("takes in what happens before its end", async () => {
    const stream = [line("ADDED", "a", 3), line("MODIFIED", "a", 6), line("DELETED", "b", 7), bookmark(7), end(9)];
    const { story } = await run({ stream });
    expect(story).toEqual(["list", "+a", "+a", "DELETED b", "end 9"]);
  });

  it("that is refused is never asked for again, and is no fault", async () => {
    const gone: Answer = { status: 410, body: { reason: "Expired" } };
    const { requests, faults, state } = await run(refused, page(5, ["a"]), gone, page(8, ["a"]));
    expect(requests).toEqual(["stream", "page", "watch 5", "page", "watch 8"]);
    expect(faults).toEqual(["gone"]);
    expect(state.relists).toBe(1);
  });

  it("that ends without its end was none: a server that does not know them", async () => {
    const gone: Answer = { status: 410, body: { reason: "Expired" } };
    const { requests, story } = await run({ stream: [line("ADDED", "a", 3)] }, page(5, ["a"]), gone, page(6, ["a"]));
    expect(requests).toEqual(["stream", "page", "watch 5", "page", "watch 6"]);
    expect(story.slice(0, 5)).toEqual(["list", "+a", "list", "+a", "end 5"]);
  });

  it("that breaks is read in pages once", async () => {
    const gone: Answer = { status: 410, body: { reason: "Expired" } };
    const stream = [line("ADDED", "a", 3), '{"type":"ADD'];
    const { requests, faults } = await run({ stream }, page(5, ["a", "b"]), gone, { stream: [end(7)] });
    expect(requests).toEqual(["stream", "page", "watch 5", "stream", "watch 7"]);
    expect(faults).toEqual(["cut", "gone"]);
  });

  it.each([
    ["403", { status: 403, body: { reason: "Forbidden" } }, "refused"],
    ["429", { status: 429, body: { reason: "TooManyRequests" }, headers: { "retry-after": "3" } }, "throttled"],
    ["an unreachable server", { error: new Error("refused") }, "failed"],
  ] as const)("that meets %s is a fault, and a list is tried again", async (_name, answer, fault) => {
    const { requests, faults } = await run(answer, page(5, []));
    expect(requests).toEqual(["stream", "page", "watch 5"]);
    expect(faults).toEqual([fault]);
  });

  it.each([
    ["403", [{ status: 403, body: { reason: "Forbidden", message: "no right" } }], "KUBE_FORBIDDEN"],
    ["404", [{ status: 404, body: "404 page not found" }], "KUBE_NOT_FOUND"],
    ["401", [{ status: 401, body: { reason: "Unauthorized" } }, { status: 401 }], undefined],
    ["403 and then no answer", [{ status: 403 }, ...Array<Answer>(5).fill({ error: new Error("reset") })], undefined],
    ["403 and then a list", [{ status: 403 }, page(5, [])], undefined],
  ] as const)("that meets %s is known as refused, or not", async (_name, answers, code) => {
    const { state } = await run(...answers);
    expect(state.refused?.code).toBe(code);
  });
});

describe("a paged list", () => {
  const gone: Answer = { status: 410, body: { reason: "Expired" } };
  const lost: Answer = { status: 400, body: { message: "continue key is not valid" } };

  it.each([
    ["expires", gone],
    ["cannot be gone on with", lost],
  ])(
    "is whole only with its last page; one that %s is read whole, and what it began with does not count",
    async (_name, answer) => {
      const { requests, story, faults, state } = await run(refused, page(5, ["a"], "next"), answer, page(7, ["b"]));
      expect(requests).toEqual(["stream", "page", "page next", "whole", "watch 7"]);
      expect(story).toEqual(["list", "list", "+a", "list", "+b", "end 7"]);
      expect(faults).toEqual(["gone"]);
      expect(state).toMatchObject({ synced: true, relists: 0 });
    },
  );

  it("that is lost again and again is tried with the pauses of a failure", async () => {
    const lostTwice = [page(5, ["a"], "x"), gone, page(6, ["a"], "y"), gone];
    const { story, faults, state } = await run(refused, ...lostTwice, ...lostTwice, ...lostTwice, page(9, ["b"]));
    expect(faults).toEqual(Array(6).fill("gone"));
    expect(story.slice(-3)).toEqual(["list", "+b", "end 9"]);
    expect(story.filter((step) => step.startsWith("end"))).toHaveLength(1);
    expect(state.lastSeenAt).toBeGreaterThanOrEqual(2_400);
  });

  it.each(["pages", "a stream"])("of many objects leaves turns to others (%s)", async (how) => {
    const names = Array.from({ length: 10_000 }, (_, index) => `o${index}`);
    let turns = 0;
    let running = true;
    const tick = (): void => {
      turns += 1;
      if (running) setImmediate(tick);
    };
    setImmediate(tick);
    const before = turns;
    const answers: Answer[] =
      how === "pages"
        ? [refused, page(5, names)]
        : [{ stream: [names.map((name) => line("ADDED", name, 4)).join(""), end(5)] }];
    const { story } = await run(...answers);
    running = false;
    expect(story.at(-1)).toBe("end 5");
    expect(turns - before).toBeGreaterThan(90);
  });
});

describe("a restored server", () => {
  it("is recognised by its version after an outage, and its list is taken as the truth", async () => {
    const down: Answer = { error: new Error("connection refused") };
    const first: Answer = { stream: [end(900)] };
    const { requests, story, faults } = await run(first, down, page(30, ["x"]), page(30, ["x"]));
    expect(requests).toEqual(["stream", "watch 900", "probe", "page", "watch 30"]);
    expect(story.slice(2)).toEqual(["list (rewound)", "+x", "end 30"]);
    expect(faults).toEqual(["failed", "rewound"]);
  });

  it("is recognised by a streaming list", async () => {
    const gone: Answer = { status: 410, body: { reason: "Expired" } };
    const stream = { stream: [line("ADDED", "x", 29), end(30)] };
    const { requests, story } = await run({ stream: [end(900)] }, gone, stream, page(30, ["x"]));
    expect(requests).toEqual(["stream", "watch 900", "stream", "page", "watch 30"]);
    expect(story.slice(2)).toEqual(["list", "+x", "list (rewound)", "+x", "end 30"]);
  });

  it("is not suspected when the same server comes back", async () => {
    const down: Answer = { error: new Error("connection refused") };
    const { requests, faults } = await run({ stream: [end(900)] }, down, page(901, ["x"]), { stream: [bookmark(905)] });
    expect(requests).toEqual(["stream", "watch 900", "probe", "watch 900", "watch 905"]);
    expect(faults).toEqual(["failed"]);
  });

  it("is suspected for a version before the start of the watch, not for lines that overtook each other", async () => {
    const swapped = { stream: [line("ADDED", "b", 903), line("ADDED", "a", 902)] };
    const early = { stream: [line("ADDED", "c", 12)] };
    const { requests, faults } = await run({ stream: [end(900)] }, swapped, early, page(904, []));
    expect(requests).toEqual(["stream", "watch 900", "watch 903", "page", "watch 904"]);
    expect(faults).toEqual(["rewound"]);
  });
});

it("needs no clock of the machine", () => {
  const { client } = openScripted();
  const sink = { list: () => ({ add: () => undefined, end: () => undefined }), apply: () => undefined };
  const clock = createManualClock();
  const reflector = createReflector({
    client,
    type: ConfigMap,
    selection: {},
    sink,
    clock,
    random: () => 0,
    log: silentLogger,
  });
  expect(reflector.state()).toEqual({ synced: false, lastSeenAt: 0, relists: 0, refused: undefined });
});

it("asks again within half a minute when it is told to wait for a day, as a proxy in maintenance may say", async () => {
  const away: Answer = { status: 503, headers: { "retry-after": "86400" } };
  const { requests } = await run(refused, page(10, ["a"]), away, page(10, []), hang);
  expect(requests.length).toBeGreaterThanOrEqual(4);
});

describe("a refusal", () => {
  const forbidden: Answer = { status: 403, body: { reason: "Forbidden" } };
  const first = { stream: [line("ADDED", "a", 3), end(9)] };

  it("of a moment, as a server that starts gives to everybody, is not believed", async () => {
    const { requests, story, state } = await run(first, forbidden, forbidden, page(9, ["a"]), {
      stream: [bookmark(12)],
    });
    expect(story).toEqual(["list", "+a", "end 9"]);
    expect(requests).toEqual(["stream", "watch 9", "probe", "probe", "watch 9", "watch 12"]);
    expect(state.refused).toBeUndefined();
  });

  it("that stays for five seconds is: what was read is forgotten, and the next answer is a whole list", async () => {
    const refusals = Array.from({ length: 4 }, () => forbidden);
    const { requests, story } = await run(first, ...refusals, first);
    expect(story).toEqual(["list", "+a", "end 9", "forget", "list", "+a", "end 9"]);
    expect(requests.slice(0, 6)).toEqual(["stream", "watch 9", "probe", "probe", "probe", "stream"]);
  });

  it("of the very first list holds nobody up", async () => {
    const { story } = await run(forbidden, hang);
    expect(story).toEqual(["list", "forget"]);
  });
});
