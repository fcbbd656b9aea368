// The story runner itself, on the widget operator: rest is found, any order of steps leads to the same, a failure names its seed.
import { expect, test } from "@jest/globals";
import { RESOURCES } from "../lib/kube/types.ts";
import { deploymentStep } from "./lower.ts";
import { createMemoryWorld } from "./memory-world.ts";
import {
  conditionOf,
  namesIn,
  reconcileOnce,
  type StoryCast,
  type StoryStep,
  toRest,
  toRestInRandomOrder,
} from "./story.ts";
import { widget } from "./widget.ts";
import { createWidgetOperator } from "./widget-operator.ts";

const KINDS = ["ConfigMap", "Secret", "Deployment"];
const SIZE = 4;

/** The user wants one more, until it is enough. */
const userStep: StoryStep = (world) => {
  const size = (world.find("Widget", "w") as ReturnType<typeof widget>).spec?.size ?? 0;
  if (size >= SIZE) return undefined;
  world.edit("Widget", "w", (object) => ({ ...object, spec: { size: size + 1 } }));
  return `the user wants ${size + 1}`;
};

/** Somebody who takes a part of what is owned away, so many times. */
function vandal(times: number): StoryStep {
  let left = times;
  return (world) => {
    if (left === 0 || world.find("ConfigMap", "w") === undefined || world.find("Secret", "w") === undefined)
      return undefined;
    left -= 1;
    if (left % 2 === 0) world.edit("Secret", "w", () => undefined);
    else world.edit("ConfigMap", "w", ({ data: _, ...object }) => object);
    return left % 2 === 0 ? "the Secret is deleted" : "the ConfigMap is emptied";
  };
}

function begin(...steps: readonly StoryStep[]): StoryCast {
  const world = createMemoryWorld({ namespace: "default" });
  world.put(widget("w", { size: 3 }));
  const controller = createWidgetOperator({ children: 3 });
  return { world, controller, key: { namespace: "default", name: "w" }, kind: "Widget", steps };
}

test("a story is told to its end: writes, status, events, and what others do in between", async () => {
  const cast = begin(userStep, vandal(2), deploymentStep);
  expect(await toRest(cast)).toEqual([
    "  patch Widget w: hold the deletion until the clean-up is done",
    "  apply ConfigMap w: size 3",
    "  apply Secret w: size 3",
    "  apply Deployment w: size 3",
    "  Ready=True Applied: size 3",
    "  event Normal Applied: size 3",
    "· the user wants 4",
    "  apply ConfigMap w: size 4",
    "  Ready=True Applied: size 4",
    "  event Normal Applied: size 4",
    "· the Secret is deleted",
    "  apply Secret w: size 4",
  ]);
  expect(cast.world.find(RESOURCES.Deployment.kind, "w")?.["status"]).toMatchObject({ observedGeneration: 1 });
});

test("at rest nothing is written, nor after a restart", async () => {
  const cast = begin(userStep);
  await toRest(cast);
  expect(await reconcileOnce(cast)).toEqual([]);
  expect(await reconcileOnce({ ...cast, controller: createWidgetOperator({ children: 3 }) })).toEqual([]);
});

test.each([1, 2, 3, 4, 5])("any order ends the same (seed %i)", async (seed) => {
  const steps = (): StoryStep[] => [userStep, vandal(4), deploymentStep];
  const [expected, cast] = [begin(...steps()), begin(...steps())];
  await toRest(expected);
  await toRestInRandomOrder(cast, seed);
  expect(conditionOf(cast, "Ready")).toMatchObject({ status: "True", message: `size ${SIZE}` });
  expect(namesIn(cast.world, KINDS)).toEqual(KINDS.map((kind) => `${kind} w`));
  for (const kind of ["ConfigMap", "Secret"]) {
    expect(cast.world.find(kind, "w")?.["data"]).toEqual(expected.world.find(kind, "w")?.["data"]);
  }
});

test("one that never rests fails with its transcript, and in random order with its seed", async () => {
  const busy: StoryStep = (world) => {
    world.edit("Widget", "w", (object) => ({ ...object, spec: { size: world.revision() } }));
    return "somebody cannot decide";
  };
  await expect(toRest(begin(busy))).rejects.toThrow(/^no rest after 60 rounds:\n.*\n.*somebody cannot decide/s);
  await expect(toRestInRandomOrder(begin(busy), 77, 2)).rejects.toThrow(/^seed 77: no rest/);
});
