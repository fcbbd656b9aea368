import { describe, expect, it } from "@jest/globals";
import { OperatorError } from "../lib/core/errors.ts";
import { createHealth, type HealthSources } from "./health.ts";

// Goal: each cause that makes a replica useless is named, and nothing else does.

const INFORMER = { informer: "widgets", synced: true, silentMs: 1_000, relists: 0, missed: 0, objects: 3 };
const refused = new OperatorError("KUBE_FORBIDDEN", "GET /apis/widgets: no right");

function health(change: Partial<HealthSources> = {}) {
  return createHealth({
    informers: () => [{ ...INFORMER, parts: [INFORMER] }] as never,
    lease: { isHeld: () => true, heldForMs: () => 9_000 },
    waitsFor: () => undefined,
    renewSeconds: 10,
    lostForMs: () => undefined,
    longestRunMs: () => 0,
    longestStallMs: () => 0,
    runnables: () => ({ ok: true, reasons: [] }),
    ...change,
  });
}

const informer = ({ optional, ...change }: Partial<typeof INFORMER & { refused: OperatorError; optional: true }>) => ({
  informers: () => [{ ...INFORMER, optional, parts: [{ ...INFORMER, ...change }] }] as never,
});

describe("readiness", () => {
  it.each<[string, Partial<HealthSources>, string]>([
    ["a leader", {}, "leading"],
    ["a standby", { lease: { isHeld: () => false, heldForMs: () => 0 } }, "standing by"],
    [
      "a replica that waits for another installation",
      { lease: { isHeld: () => false, heldForMs: () => 9_000 }, waitsFor: () => "stands by for x" },
      "stands by for x",
    ],
    ["a cache that was quiet for two minutes", informer({ silentMs: 120_000 }), "leading"],
    ["a cache that was refused a moment ago", informer({ refused }), "leading"],
    ["an optional cache without its first list", informer({ synced: false, optional: true }), "leading"],
    ["an optional cache that was silent", informer({ silentMs: 500_000, optional: true }), "leading"],
    ["a leader whose renewal is due", { lease: { isHeld: () => true, heldForMs: () => 5_001 } }, "leading"],
  ])("of %s is given", (_name, change, reason) => {
    expect(health(change).ready()).toEqual({ ok: true, reasons: [reason] });
  });

  it.each<[string, Partial<HealthSources>, string]>([
    ["a cache without its first list", informer({ synced: false }), "widgets: not listed yet"],
    [
      "a cache that the server refuses",
      informer({ synced: false, refused }),
      "widgets: cannot be listed: KUBE_FORBIDDEN GET /apis/widgets: no right",
    ],
    [
      "a cache whose kind was taken away",
      informer({ silentMs: 130_000, refused }),
      "widgets: silent for 130 s, cannot be listed: KUBE_FORBIDDEN GET /apis/widgets: no right",
    ],
    ["a cache that was silent for longer", informer({ silentMs: 120_001 }), "widgets: silent for 120 s"],
    [
      "a leader that cannot renew",
      { lease: { isHeld: () => true, heldForMs: () => 4_000 } },
      "lease: not renewed for 6 s, ends in 4 s",
    ],
    ["a leader that was", { lostForMs: () => 0 }, "lease: lost, the process ends"],
    ["a process that was stopped", { longestStallMs: () => 20_000 }, "event loop: nothing could run for 20 s"],
    ["a server without a certificate", { runnables: () => ({ ok: false, reasons: ["w: none"] }) }, "w: none"],
  ])("of %s is not given", (_name, change, reason) => {
    expect(health(change).ready()).toEqual({ ok: false, reasons: [reason] });
  });
});

describe("liveness", () => {
  it("ends with a reconcile that is stuck, and with a process that should have ended", () => {
    expect(health({ longestRunMs: () => 599_999 }).live()).toEqual({ ok: true });
    expect(health({ longestRunMs: () => 600_000 }).live()).toEqual({
      ok: false,
      reasons: ["a reconcile runs for 600 s"],
    });
    expect(health({ lostForMs: () => 59_000 }).live().ok).toBe(true);
    expect(health({ lostForMs: () => 61_000 }).live().reasons).toEqual([
      "the lease was lost 61 s ago and the process has not ended",
    ]);
  });

  it("outlives what only takes traffic away", () => {
    expect(health({ ...informer({ synced: false }), longestStallMs: () => 20_000 }).live().ok).toBe(true);
  });
});
