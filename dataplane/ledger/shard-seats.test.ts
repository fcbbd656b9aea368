import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { createServer, type Link, type Server, unreachable } from "../../lib/kube/testing/lease-world.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createLiveness, type Liveness } from "./ledger.liveness.ts";
import type { LedgerWriter } from "./ledger.writer.ts";
import { createLeaseSeat, type ShardSeat } from "./shard-seats.ts";
import { STUCK_AFTER_MS } from "./writer-watch.ts";

// Goal: a writer that is stuck gives its shard to another pod; only one that does not even end costs the process.

interface StubWriter extends LedgerWriter {
  /** Makes no step and does not end. */
  isStuck: boolean;
  /** Ends when it is told to, although it is stuck. */
  endsWhenTold: boolean;
}

interface Pod {
  readonly seat: ShardSeat;
  readonly writers: StubWriter[];
  readonly liveness: Liveness;
}

let clock: ManualClock;
let server: Server;
let ending: AbortController;

beforeEach(() => {
  clock = createManualClock();
  server = createServer();
  ending = new AbortController();
});
afterEach(() => ending.abort());

function stubWriter(onStep: () => void): StubWriter {
  const told = new AbortController();
  const stub: StubWriter = {
    isStuck: false,
    endsWhenTold: false,
    run: async () => {
      while (!told.signal.aborted || (stub.isStuck && !stub.endsWhenTold)) {
        if (!stub.isStuck) onStep();
        await clock.sleep(500);
      }
    },
    stop: async () => {
      told.abort();
      // As a real one: it has ended when its loop has.
      while (stub.isStuck && !stub.endsWhenTold) await clock.sleep(500);
    },
    status: () => ({
      phase: "writing",
      epoch: 1,
      position: 0,
      systemIdentifier: undefined,
      problem: undefined,
      refusing: undefined,
    }),
    transfer: () => Promise.reject(new Error("not here")),
    claimKeys: () => Promise.reject(new Error("not here")),
    openAccount: () => Promise.reject(new Error("not here")),
  };
  return stub;
}

function startPod(name: string, { delayMs = 0, link = {} }: { delayMs?: number; link?: Link } = {}): Pod {
  const writers: StubWriter[] = [];
  const seat = createLeaseSeat({
    shard: 0,
    client: server.client(link),
    namespace: "ns",
    name: "right",
    identity: name,
    url: `https://${name}:8443`,
    delayMs,
    makeWriter: (_lease, onStep) => {
      const made = stubWriter(onStep);
      writers.push(made);
      return made;
    },
    clock,
    random: () => 0.5,
    log: silentLogger,
  });
  const liveness = createLiveness({ seats: [seat], clock });
  void liveness.run(ending.signal);
  return { seat, writers, liveness };
}

async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) await clock.advance(500);
}

const holder = (): string | undefined => server.lease?.spec?.holderIdentity;

describe("a stuck writer", () => {
  test("gives its shard to another pod, which costs that pod's shard ten seconds, and its own process nothing", async () => {
    const a = startPod("a");
    const b = startPod("b", { delayMs: 1_000 });
    await pass(5_000);
    expect(holder()).toBe("a");
    const stuck = a.writers[0] as StubWriter;
    stuck.isStuck = true;
    stuck.endsWhenTold = true;
    await pass(STUCK_AFTER_MS - 5_000);
    expect(holder()).toBe("a");
    await pass(15_000);
    expect(holder()).toBe("b");
    expect(b.seat.writer()).toBeDefined();
    expect(a.seat.writer()).toBeUndefined();
    expect(a.seat.holderUrl()).toBe("https://b:8443");
    await pass(2 * STUCK_AFTER_MS);
    expect(a.liveness.check()).toEqual({ ok: true });
  });

  test("of the only pod is followed by another writer there; one that does not end ends the process", async () => {
    const { seat, writers, liveness } = startPod("a");
    await pass(5_000);
    (writers[0] as StubWriter).isStuck = true;
    await pass(STUCK_AFTER_MS + 15_000);
    expect(writers).toHaveLength(2);
    expect(seat.writer()).toBe(writers[1]);
    expect(liveness.check().ok).toBe(true);
    await pass(STUCK_AFTER_MS);
    expect(liveness.check()).toEqual({
      ok: false,
      reasons: ["shard 0: a writer was told to end and does not"],
    });
  });

  test("does not hold up the stop of the pod", async () => {
    const { seat, writers } = startPod("a");
    await pass(5_000);
    (writers[0] as StubWriter).isStuck = true;
    let ended = false;
    void seat.stop().then(() => {
      ended = true;
    });
    await pass(20_000);
    expect(ended).toBe(true);
    expect(holder()).toBe("");
  });
});

test("an API that says nothing for an hour costs no process", async () => {
  const link: Link = {};
  const { seat, liveness } = startPod("a", { link });
  await pass(5_000);
  expect(seat.writer()).toBeDefined();
  let isSilent = true;
  const hangs = async (): Promise<void> => {
    await clock.sleep(3_500);
    if (isSilent) link.before = hangs;
    throw unreachable();
  };
  link.before = hangs;
  for (let minute = 0; minute < 60; minute += 1) {
    await pass(60_000);
    expect(liveness.check()).toEqual({ ok: true });
  }
  expect(seat.writer()).toBeUndefined();
  isSilent = false;
  await pass(30_000);
  expect(seat.writer()).toBeDefined();
});
