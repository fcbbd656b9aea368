import { expect, it } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { WIDGET } from "../../testkit/widget.ts";
import { createKindProbe } from "./kind-probe.ts";

// Goal: however many wait for a kind, one looks, at most every 30 s; whatever but "no such kind" ends the wait of all.

const HOUR_MS = 3_600_000;

/** @param codes answers in their order, then KUBE_NOT_FOUND for ever; `undefined`: a list */
function open(...codes: (string | undefined)[]) {
  const clock = createManualClock();
  const looks: number[] = [];
  const probe = createKindProbe(WIDGET, {
    clock,
    client: {
      pages: async function* <T extends KubeObject>() {
        looks.push(clock.monotonic());
        const code = codes.length === 0 ? "KUBE_NOT_FOUND" : codes.shift();
        if (code !== undefined) throw new OperatorError(code as "KUBE_FAILED", "no");
        yield { resourceVersion: "1", items: [] as T[] };
      },
    },
  });
  return { clock, looks, probe };
}

it("looks once for all that wait, at once and then every 30 s", async () => {
  const { clock, looks, probe } = open();
  const stop = new AbortController();
  const startedAt = clock.monotonic();
  const waiting = ["a", "b", undefined].map((namespace) => probe.untilServed(namespace, stop.signal));
  await clock.advance(HOUR_MS);
  expect(looks.slice(0, 7).map((at) => (at - startedAt) / 1_000)).toEqual([1, 3, 7, 15, 31, 61, 91]);
  expect(looks.length).toBeLessThan(HOUR_MS / 30_000 + 6);
  stop.abort();
  await clock.advance(1);
  await Promise.all(waiting);
});

it.each([undefined, "KUBE_FORBIDDEN", "KUBE_FAILED", "KUBE_UNREACHABLE"])(
  "ends with %s, and begins anew",
  async (code) => {
    const { clock, looks, probe } = open("KUBE_NOT_FOUND", code);
    const { signal } = new AbortController();
    for (const expected of [2, 4]) {
      const waiting = [probe.untilServed("a", signal), probe.untilServed("b", signal)];
      await clock.advance(3_000);
      if (expected === 2) await Promise.all(waiting);
      expect(looks).toHaveLength(expected);
    }
  },
);
