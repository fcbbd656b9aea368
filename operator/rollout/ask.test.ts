// The command line's part in a request, against a controller of a few lines.
import { describe, expect, it } from "@jest/globals";
import { COMMAND_LINE_MANAGER } from "../../crds/group.ts";
import { ROLLOUT, type Rollout } from "../../crds/rollout.ts";
import { type RolloutRequest } from "../../crds/rollout-request.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { createMemoryServer } from "../../testkit/memory-server.ts";
import { askRollout, holdRollout } from "./ask.ts";
import { NOW, RELEASING, rolloutOf } from "./testing/rollouts.ts";

const PLACE = { namespace: "bank", name: "shop" };
const PROMOTE: RolloutRequest = { id: "promote-1", action: "Promote" };

async function world(first: Rollout | null = rolloutOf(RELEASING)) {
  const clock = createManualClock(NOW);
  const server = createMemoryServer(clock);
  // The server in memory tells nobody what it serves.
  const client = { ...server.client, servedKind: async () => ({}) as never };
  const lines: string[] = [];
  const setStatus = async (status: object): Promise<void> => {
    await client.patch(ROLLOUT, PLACE, { format: "merge", patch: { status }, subresource: "status" });
  };
  if (first !== null) {
    await client.create(ROLLOUT, first);
    await setStatus(first.status ?? {});
  }
  const answer = (result: "Done" | "Refused", message: string): Promise<void> =>
    setStatus({ lastRequest: { id: PROMOTE.id, action: "Promote", result, message, at: "2026-03-01T12:00:01Z" } });
  const context = { client, clock, print: (line: string) => void lines.push(line), waitSeconds: 30 };
  return { clock, client, lines, context, answer, setStatus };
}

/** Runs work while time goes on; what it ends with. */
async function drive(clock: ReturnType<typeof createManualClock>, work: Promise<void>, meanwhile = async () => {}) {
  let end: string | undefined;
  void work.then(
    () => (end = "done"),
    (error: unknown) => {
      end = `${(error as { code: string }).code}: ${(error as Error).message}`;
    },
  );
  for (let turn = 0; turn < 100 && end === undefined; turn += 1) {
    await clock.advance(500);
    if (turn === 1) await meanwhile();
  }
  return end ?? "still waiting";
}

describe("a request", () => {
  it("is written to spec.request alone, under a manager of its own, and its answer is told", async () => {
    const { clock, client, lines, context, answer } = await world();
    const before = await client.get(ROLLOUT, PLACE);
    const end = await drive(clock, askRollout(PLACE, PROMOTE, context), () =>
      answer("Done", "went on from stage 2 of 5"),
    );
    expect(end).toBe("done");
    expect(lines).toEqual([
      "Rollout bank/shop: asked for Promote (request promote-1)",
      "done: went on from stage 2 of 5",
    ]);
    const after = await client.get(ROLLOUT, PLACE);
    expect(after.spec).toEqual({ ...before.spec, request: PROMOTE });
    const fields = after.metadata["managedFields"] as readonly { manager: string; fieldsV1: object }[];
    expect(fields.find(({ manager }) => manager === COMMAND_LINE_MANAGER)?.fieldsV1).toMatchObject({
      "f:spec": { "f:request": {} },
    });
  });

  it("leaves no stage of an earlier one behind", async () => {
    const jumped = rolloutOf(RELEASING, { request: { id: "jump-1", action: "Jump", stage: 3 } });
    const { client, context } = await world(jumped);
    await askRollout(PLACE, PROMOTE, { ...context, waitSeconds: 0 });
    expect((await client.get(ROLLOUT, PLACE)).spec.request).toEqual(PROMOTE);
    await askRollout(PLACE, { id: "jump-2", action: "Jump", stage: 0 }, { ...context, waitSeconds: 0 });
    expect((await client.get(ROLLOUT, PLACE)).spec.request).toEqual({ id: "jump-2", action: "Jump", stage: 0 });
  });

  it("that is refused ends with the controller's sentence", async () => {
    const { clock, context, answer } = await world();
    const end = await drive(clock, askRollout(PLACE, PROMOTE, context), () => answer("Refused", "it waits for nobody"));
    expect(end).toBe("ROLLOUT_REQUEST_REFUSED: Promote was refused: it waits for nobody");
  });

  it("that nobody answers says how to look", async () => {
    const { clock, context } = await world();
    expect(await drive(clock, askRollout(PLACE, PROMOTE, context))).toBe(
      "ROLLOUT_UNANSWERED: no controller has answered request promote-1 after 30 s; it stays in the spec and is carried out when a controller is there. To look for one: kubectl get leases,pods -A | grep shieldx",
    );
  });

  it("says so where an annotation keeps the controller away", async () => {
    const rollout = rolloutOf(RELEASING);
    const annotations = { "shieldx.dev/paused": "true" };
    const { clock, context } = await world({ ...rollout, metadata: { ...rollout.metadata, annotations } });
    expect(await drive(clock, askRollout(PLACE, PROMOTE, context))).toContain(
      "the Rollout has annotation shieldx.dev/paused, so the controller leaves it alone",
    );
  });

  it("that somebody takes out of the spec is not awaited", async () => {
    const { clock, client, context } = await world();
    const patch = { spec: { request: { id: "other", action: "Abort" } } };
    const end = await drive(clock, askRollout(PLACE, PROMOTE, context), async () => {
      await client.patch(ROLLOUT, PLACE, { format: "merge", patch });
    });
    expect(end).toBe(
      "ROLLOUT_UNANSWERED: request promote-1 was taken out of the spec before a controller saw it; request other stands there now",
    );
  });

  it("for a stage that the ladder does not have is not written", async () => {
    const { clock, client, context } = await world();
    const jump: RolloutRequest = { id: "jump-1", action: "Jump", stage: 5 };
    expect(await drive(clock, askRollout(PLACE, jump, context))).toBe(
      "USAGE: --stage: the ladder of Rollout bank/shop has 5 stages",
    );
    expect((await client.get(ROLLOUT, PLACE)).spec.request).toBeUndefined();
  });

  it("for a Rollout that does not exist is not written", async () => {
    const { clock, client, context } = await world(null);
    await client.create(ROLLOUT, { ...rolloutOf(), metadata: { namespace: "bank", name: "other" } });
    expect(await drive(clock, askRollout(PLACE, PROMOTE, context))).toBe(
      "ROLLOUT_NOT_FOUND: there is no Rollout shop in namespace bank",
    );
  });
});

describe("a hold", () => {
  it("is spec.paused, and done when the controller has seen it", async () => {
    const { clock, client, lines, context, setStatus } = await world();
    const end = await drive(clock, holdRollout(PLACE, true, context), async () => {
      const { generation = 0 } = (await client.get(ROLLOUT, PLACE)).metadata;
      await setStatus({ observedGeneration: generation });
    });
    expect(end).toBe("done");
    expect((await client.get(ROLLOUT, PLACE)).spec.paused).toBe(true);
    expect(lines).toEqual([
      "Rollout bank/shop: spec.paused is true",
      "done: the release is held where it is; harm still takes it back",
    ]);
  });

  it("that was there already says so", async () => {
    const { lines, context } = await world(rolloutOf({}, { paused: false }));
    await holdRollout(PLACE, false, { ...context, waitSeconds: 0 });
    expect(lines).toEqual(["Rollout bank/shop: spec.paused is already false"]);
  });

  it("that nobody sees says so", async () => {
    const { clock, context } = await world();
    expect(await drive(clock, holdRollout(PLACE, true, context))).toContain(
      "ROLLOUT_UNANSWERED: no controller has answered spec.paused: true after 30 s",
    );
  });
});
