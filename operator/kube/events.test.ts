import { beforeEach, describe, expect, it } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { widget } from "../../testkit/widget.ts";
import { createEventRecorder, type EventNote, type EventRecorder } from "./events.ts";

// Goal: every situation is told once, a series is counted, nobody floods the cluster, and nothing fails for it.

const OWNER = widget("w", {}, { uid: "1", resourceVersion: "7" });
const note = (change: Partial<EventNote> = {}): EventNote => ({
  eventType: "Normal",
  reason: "Ready",
  note: "3 of 3",
  ...change,
});

let clock: ManualClock;
let sent: string[];
let created: KubeObject[];
let failure: Error | undefined;
let leading: boolean;
let recorder: EventRecorder;

beforeEach(() => {
  clock = createManualClock();
  [sent, created, failure, leading] = [[], [], undefined, true];
  recorder = recorderOf();
});

function recorderOf(): EventRecorder {
  const send = (what: string, fence: (() => void) | undefined): void => {
    fence?.();
    if (failure !== undefined) throw failure;
    sent.push(what);
  };
  return createEventRecorder({
    client: {
      create: async (_type, object, how) => {
        send(`create ${object.metadata.name}`, how?.fence);
        created.push(object);
        return object;
      },
      patch: async (_type, ref, { patch, fence }) => {
        send(`patch ${JSON.stringify(patch)}`, fence);
        return { ...OWNER, metadata: { ...ref } } as never;
      },
    },
    reportingController: "test/widget",
    reportingInstance: "p".repeat(200),
    fence: () => {
      if (!leading) throw new OperatorError("LEASE_LOST", "not leading");
    },
    clock,
    log: silentLogger,
  });
}

const record = (change: Partial<EventNote> = {}, regarding: KubeObject = OWNER): Promise<boolean> =>
  recorder.record(regarding, note(change), new AbortController().signal);

describe("a situation", () => {
  it("is told once, with all that the API wants", async () => {
    expect([await record(), await record()]).toEqual([true, false]);
    expect(created).toMatchObject([
      {
        apiVersion: "events.k8s.io/v1",
        metadata: { namespace: "default" },
        type: "Normal",
        reason: "Ready",
        note: "3 of 3",
        regarding: { kind: "Widget", name: "w", uid: "1", resourceVersion: "7" },
      },
    ]);
    expect(String(created[0]?.["reportingInstance"])).toHaveLength(128);
    expect(await record({ note: "2 of 3" })).toBe(true);
    expect(await record({}, widget("w", {}, { uid: "2" }))).toBe(true);
  });

  it("that lasts is counted every ten minutes", async () => {
    await record();
    await clock.advance(600_000);
    expect([await record(), await record()]).toEqual([true, false]);
    expect(sent[1]).toMatch(/^patch \{"series":\{"count":2,"lastObservedTime":"/);
  });

  it("that outlived its event is told anew", async () => {
    await record();
    await clock.advance(600_000);
    failure = new OperatorError("KUBE_NOT_FOUND", "expired");
    expect(await record()).toBe(false);
    failure = undefined;
    expect(await record()).toBe(true);
  });

  it("that another condition of the object says in the same words is told all the same", async () => {
    const status = { conditions: [{ type: "Available", reason: "Ready", message: "3 of 3" }] };
    expect(await record({}, { ...OWNER, status })).toBe(true);
  });

  it("that another process told is not told again", async () => {
    failure = new OperatorError("KUBE_ALREADY_EXISTS", "told");
    expect([await record(), await record()]).toEqual([false, false]);
    expect(sent).toEqual([]);
  });

  it("that could not be told is told next time; the failure is nobody's", async () => {
    failure = new OperatorError("KUBE_FAILED", "injected");
    expect(await record()).toBe(false);
    failure = undefined;
    expect(await record()).toBe(true);
  });

  it("is not told by a replica that does not lead", async () => {
    leading = false;
    expect(await record()).toBe(false);
    expect(sent).toEqual([]);
  });
});

describe("an object", () => {
  it("that always has something else to say is bounded, and others are not", async () => {
    const told: boolean[] = [];
    for (let index = 0; index < 30; index += 1) told.push(await record({ note: `attempt ${index}` }));
    expect(told.filter(Boolean)).toHaveLength(25);
    expect(await record({}, widget("other", {}, { uid: "2" }))).toBe(true);
    await clock.advance(300_000);
    expect(await record({ note: "attempt 99" })).toBe(true);
  });

  it("with the longest name has events too", async () => {
    await record({}, widget(`${"n".repeat(199)}-${"n".repeat(53)}`, {}, { uid: "3" }));
    expect(created[0]?.metadata.name).toMatch(/^n{199}\.[0-9a-f]+$/);
  });
});
