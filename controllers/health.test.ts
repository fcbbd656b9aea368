// Whoever waits by kstatus (Flux, Helm 4) gets the right answer from every status that our controllers write.
import { expect, test } from "@jest/globals";
import { KINDS } from "../crds/kinds.ts";
import { kstatusOf } from "../testkit/kstatus.ts";
import { toldStates } from "../testkit/told-states.ts";

const EXPECTED = { Healthy: "Current", Progressing: "InProgress", Degraded: "Failed", Suspended: "Current" } as const;

test("by the rules of kstatus a resource is Current when it is ready, Failed when it waits for somebody, else InProgress", async () => {
  const states = await toldStates();
  expect(states.map(({ name, object }) => [name, kstatusOf(object)])).toEqual(
    states.map(({ name, object, health, isFailed }) => {
      if (object.metadata.deletionTimestamp !== undefined) return [name, "Terminating"];
      return [name, isFailed === true ? "Failed" : EXPECTED[health]];
    }),
  );
  // Every outcome is among them, of every kind.
  for (const kind of KINDS.map(({ type }) => type.kind)) {
    const seen = states.filter(({ object }) => object.kind === kind).map(({ object }) => kstatusOf(object));
    expect(seen).toEqual(expect.arrayContaining(["Current", "InProgress", "Failed"]));
  }
});
