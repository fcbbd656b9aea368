import { expect, test } from "@jest/globals";
import { createManualClock } from "../core/manual-clock.ts";
import { rotateCa } from "./rotate-ca.ts";
import type { KubeObject } from "./types.ts";

// The command line's part in the replacement of a CA, against a controller in a few lines.

const BANK = {
  group: "shieldx.dev",
  version: "v1alpha1",
  plural: "shardsets",
  kind: "ShardSet",
  namespaced: true,
} as never;
const START = Date.parse("2026-03-01T12:00:00.500Z");

function world(
  steps: readonly {
    readonly handled: boolean;
    readonly status: string;
    readonly message: string;
    readonly since: string;
  }[],
) {
  const clock = createManualClock(START);
  const lines: string[] = [];
  const patches: unknown[] = [];
  let looks = 0;
  let asked = "";
  const step = (): (typeof steps)[number] | undefined => steps[Math.min(looks, steps.length - 1)];
  const client = {
    patch: async (_type: unknown, _ref: unknown, { patch }: { readonly patch: unknown }) => {
      patches.push(patch);
      asked =
        (patch as { metadata: { annotations: Record<string, string> } }).metadata.annotations[
          "shieldx.dev/rotate-ca"
        ] ?? "";
      return {} as KubeObject;
    },
    get: async () => {
      const { status, message, since } = step() ?? { status: "", message: "", since: "" };
      return { status: { conditions: [{ type: "AuthorityCurrent", status, message, lastTransitionTime: since }] } };
    },
    find: async () => {
      const handled = step()?.handled === true;
      looks += 1;
      return { metadata: { name: "bank-ca", annotations: handled ? { "shieldx.dev/rotate-ca": asked } : {} } };
    },
  };
  return {
    context: { client: client as never, clock, print: (line: string) => void lines.push(line) },
    clock,
    lines,
    patches,
  };
}

async function drive(clock: ReturnType<typeof createManualClock>, work: Promise<void>): Promise<string> {
  let end: string | undefined;
  void work.then(
    () => (end = "done"),
    (error: unknown) => {
      end = (error as Error).message;
    },
  );
  for (let turn = 0; turn < 100 && end === undefined; turn += 1) await clock.advance(2_000);
  return end ?? "still waiting";
}

test("asks by an annotation, and is done with it when nobody waits", async () => {
  const { context, lines, patches } = world([]);
  await rotateCa({ resource: BANK, of: "demo/bank", overlap: "1h", wait: false, timeoutSeconds: 60 }, context);
  const annotations = { "shieldx.dev/rotate-ca": "2026-03-01T12:00:00.500Z", "shieldx.dev/ca-overlap": "1h" };
  expect(patches).toEqual([{ metadata: { annotations } }]);
  expect(lines).toEqual(["ShardSet demo/bank: a new CA is asked for (2026-03-01T12:00:00.500Z)"]);
});

test("waits for the request to be acted on and the former CA to be out, and tells each news once", async () => {
  const before = { status: "True", message: "the CA is valid", since: "2026-01-01T00:00:00Z" };
  const { context, clock, lines } = world([
    { ...before, handled: false },
    { ...before, handled: true },
    { handled: true, status: "False", message: "step 1", since: "2026-03-01T12:00:05Z" },
    { handled: true, status: "False", message: "step 1", since: "2026-03-01T12:00:05Z" },
    { handled: true, status: "True", message: "the new CA is valid", since: "2026-03-01T12:10:00Z" },
  ]);
  const work = rotateCa({ resource: BANK, of: "demo/bank", wait: true, timeoutSeconds: 60 }, context);
  expect(await drive(clock, work)).toBe("done");
  expect(lines.slice(1).map((line) => line.slice(21))).toEqual([
    "the controller has not begun yet",
    "the CA is valid",
    "step 1",
    "the new CA is valid",
  ]);
});

test("gives up after its time with what it waits for", async () => {
  const { context, clock } = world([
    { handled: true, status: "False", message: "shard 1 does not answer", since: "2026-03-01T12:00:05Z" },
  ]);
  const work = rotateCa({ resource: BANK, of: "demo/bank", wait: true, timeoutSeconds: 60 }, context);
  expect(await drive(clock, work)).toBe(
    "after 60 s the CA of ShardSet demo/bank is not replaced yet: shard 1 does not answer",
  );
});

test("wants namespace and name", async () => {
  const { context } = world([]);
  const work = rotateCa({ resource: BANK, of: "bank", wait: false, timeoutSeconds: 1 }, context);
  await expect(work).rejects.toMatchObject({ code: "USAGE" });
});
