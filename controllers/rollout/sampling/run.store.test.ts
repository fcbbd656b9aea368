import { gzipSync } from "node:zlib";
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { rolloutPolicy } from "../../../crds/rollout-policy.ts";
import { type RolloutRun, RUN_ROWS_MAX } from "../../../crds/rollout-run.ts";
import { prng } from "../../../lib/core/prng.ts";
import { replay } from "../judge/replay.ts";
import { judgeRun } from "../judge/run.ts";
import { tickAt, withLatency } from "../testing/ticks.ts";
import { decodeRun, encodeRun } from "./run.store.ts";

// Goal: what was stored is read as it was and judged the same again; it always has room; and nothing that somebody writes
// there can break a reader.

const BOUNDS = Array.from({ length: 20 }, (_, index) => 5 * (index + 1));

/** A run with latency, whose numbers are as random as they get. */
function someRun(ticks: number, seed: number): RolloutRun {
  const random = prng(seed);
  const buckets = () => Array.from({ length: BOUNDS.length + 1 }, () => Math.floor(random() * 1e6));
  const policy = rolloutPolicy.parse({ latency: {} });
  const beginning = { revision: "web-2", policy, latencyBoundsMs: BOUNDS };
  return judgeRun(
    beginning,
    Array.from({ length: ticks }, (_, index) => withLatency(tickAt(index, [0, 0], [0, 0]), buckets(), buckets())),
  );
}

describe("a run", () => {
  it("is read as it was stored", () => {
    for (const run of [judgeRun({ revision: "a", policy: rolloutPolicy.parse({}) }, []), someRun(50, 1)]) {
      expect(decodeRun(encodeRun(run))).toEqual({ run });
    }
  });

  it("has room at its largest, all of it", () => {
    const run = someRun(RUN_ROWS_MAX, 2);
    const text = encodeRun(run);
    expect(text.length).toBeLessThan(500_000);
    expect(decodeRun(text).run?.rows).toHaveLength(RUN_ROWS_MAX);
  });

  it("loses its oldest detail where there is less room, and no request", () => {
    const run = someRun(RUN_ROWS_MAX, 3);
    const text = encodeRun(run, 60_000);
    expect(text.length).toBeLessThanOrEqual(60_000);
    const { run: read } = decodeRun(text);
    if (read === undefined) throw new Error("it was not read");
    const requests = ({ rows }: RolloutRun) => rows.reduce((sum, { canary }) => sum + (canary?.requests ?? 0), 0);
    expect(requests(read)).toBe(requests(run));
    expect(replay(read).rows.at(-1)?.judgement?.verdict).toEqual(run.rows.at(-1)?.verdict);
    expect(replay(read).rows.some(({ differs }) => differs)).toBe(false);
  });
});

describe("a text that is no run", () => {
  const zipped = (text: string | Buffer) => gzipSync(text).toString("base64");

  it.each([
    ["nothing", "", "unexpected end of file"],
    ["a word", "hello", "incorrect header check"],
    ["half of a run", encodeRun(someRun(20, 4)).slice(0, 1_000), "unexpected end of file"],
    ["no JSON", zipped("{"), "JSON"],
    ["null", zipped("null"), "kind: must be"],
    ["something of another kind", zipped('{"kind":"Pod"}'), "kind: must be"],
    ["a run of another version", zipped('{"kind":"RolloutRun","version":2}'), "version: "],
    ["more than a run can be", zipped(Buffer.alloc(9 * 1024 * 1024, " ")), "larger than 8388608 bytes"],
  ])("is refused in words: %s", (_, text, reason) => {
    const read = decodeRun(text);
    expect(read.run).toBeUndefined();
    expect(read.reason).toMatch(/^stored run: /);
    expect(read.reason).toContain(reason);
  });

  it("that is counters is none", () => {
    const at = (second: number) => ({ at: `2026-01-01T00:00:0${second}Z`, stage: 0, weightBps: 100 });
    const samples = { kind: "RolloutSamples", version: 1, samples: [at(0), at(5)] };
    expect(decodeRun(zipped(JSON.stringify(samples))).reason).toBe("stored run: it is of kind RolloutSamples");
  });

  it("never throws, whatever it is", () => {
    const text = encodeRun(someRun(3, 5));
    const broken = fc.tuple(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 3 }));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          broken.map(([at, by]) => text.slice(0, at) + by + text.slice(at + 1)),
        ),
        (written) => {
          expect(["string", "undefined"]).toContain(typeof decodeRun(written).reason);
        },
      ),
    );
  });
});
