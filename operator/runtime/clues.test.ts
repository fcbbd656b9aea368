// Words are asked for rarely, about what is old enough to be wrong, and their lack never fails anybody.
import { expect, test } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { CLUES_KEPT_SECONDS, createClueReader, NO_CLUES, SUSPECT_AFTER_MS } from "./clues.ts";
import type { ReconcileContext } from "./types.ts";

function event(reason: string, note: string, members: object): KubeObject {
  return { apiVersion: "events.k8s.io/v1", kind: "Event", metadata: { name: reason }, reason, note, ...members };
}

function start(items: Readonly<Record<string, readonly KubeObject[]>>) {
  const clock = createManualClock();
  const asked: string[] = [];
  const live = {
    list: async ({ plural }: { plural: string }, how: { fieldSelector?: string } = {}) => {
      asked.push(`${plural} ${how.fieldSelector ?? ""}`.trim());
      const found = items[plural];
      if (found === undefined) throw new OperatorError("KUBE_FORBIDDEN", `no ${plural}`);
      return { resourceVersion: "1", items: found };
    },
  } as unknown as ReconcileContext["live"];
  const read = createClueReader();
  const context = { live, clock, log: silentLogger, signal: new AbortController().signal };
  const suspect = { namespace: "t", uid: "u1", createdAt: clock.now(), isClaim: true };
  return { clock, asked, suspect, read: () => read([suspect], context) };
}

const EVENTS = [
  event("Scheduled", "to node-1", { type: "Normal", eventTime: "2026-01-01T00:00:09.000000Z" }),
  event("FailedMount", "the old one", { type: "Warning", deprecatedLastTimestamp: "2026-01-01T00:00:01Z" }),
  event("FailedMount", "the new one", {
    type: "Warning",
    eventTime: "2026-01-01T00:00:00.000000Z",
    series: { count: 3, lastObservedTime: "2026-01-01T00:00:02.000000Z" },
  }),
];
const CLASSES = ["standard", "fast"].map(
  (name): KubeObject => ({
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: {
      name,
      annotations: name === "standard" ? { "storageclass.kubernetes.io/is-default-class": "true" } : {},
    },
  }),
);

test("the newest complaint counts, and nobody is asked before it is old enough, nor again at once", async () => {
  const { clock, asked, read } = start({ events: EVENTS, storageclasses: CLASSES });
  expect(await read()).toBe(NO_CLUES);
  await clock.advance(SUSPECT_AFTER_MS);
  const clues = {
    complaints: new Map([["u1", { reason: "FailedMount", message: "the new one" }]]),
    classes: [
      { name: "fast", isDefault: false },
      { name: "standard", isDefault: true },
    ],
  };
  expect(await read()).toEqual(clues);
  expect(await read()).toEqual(clues);
  expect(asked).toEqual(["events regarding.uid=u1", "storageclasses"]);
  await clock.advance(CLUES_KEPT_SECONDS * 1_000);
  await read();
  expect(asked).toHaveLength(4);
});

test("who may not ask goes without", async () => {
  const { clock, asked, read } = start({});
  await clock.advance(SUSPECT_AFTER_MS);
  expect(await read()).toEqual(NO_CLUES);
  await read();
  expect(asked).toHaveLength(2);
});
