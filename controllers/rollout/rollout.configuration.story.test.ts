import { expect, test } from "@jest/globals";
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { type RolloutSpec } from "../../crds/rollout.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { type MemoryWorld } from "../../testkit/memory-world.ts";
import { conditionOf, expectGolden, toRest } from "../../testkit/story.ts";
import { referencesIn } from "./rollout.references.ts";
import { NAME, NAMESPACE, service, verdict } from "./testing/builders.ts";
import { configMap, configuredDeployment, secret } from "./testing/configured.ts";
import { beginStage, later, type Stage } from "./testing/stage.ts";

// A Rollout whose pods read a ConfigMap and a Secret: configuration is released, and goes back, with the code.

const PASSWORD = "correct-horse-battery";

function begin(given: Partial<RolloutSpec> = {}, objects = [configMap("red"), secret(PASSWORD)]): Stage {
  return beginStage(given, [configuredDeployment("web:1"), service(), ...objects]);
}

/** Names of what the pods of a colour read: ConfigMap, then Secret. */
function readBy(world: MemoryWorld, colour: "blue" | "green"): readonly string[] {
  const { template } = world.find("Deployment", `${NAME}-${colour}`)?.["spec"] as {
    readonly template: { readonly spec: Readonly<Record<string, unknown>> };
  };
  return referencesIn(template.spec).map(({ name }) => name);
}

/** A ConfigMap as the server has it: memory knows nothing of what it holds. */
async function held({ world }: Stage, name = ""): Promise<KubeObject | undefined> {
  const fieldSelector = `metadata.name=${name}`;
  return (await world.context.live.list(RESOURCES.ConfigMap, { namespace: NAMESPACE, fieldSelector })).items[0];
}

const componentOf = (world: MemoryWorld, kind: string, component: string): readonly KubeObject[] =>
  world.all(kind).filter(({ metadata }) => metadata.labels?.[LABELS.component] === component);

/** Names of the copies of a kind. */
const copies = (world: MemoryWorld, kind: string): string[] =>
  componentOf(world, kind, COMPONENTS.configuration).map(({ metadata }) => metadata.name);

/** Takes the release under way to its end. */
async function promote(stage: Stage): Promise<void> {
  for (let index = 0; index < 2; index += 1) {
    stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
    await toRest(stage);
  }
  await later(stage, 60);
  await later(stage, 30);
  expect(stage.status()).toMatchObject({ phase: "Idle", releases: [{ outcome: "Promoted" }, {}] });
}

test("[17] a change of configuration alone is a release, and goes back with it", async () => {
  const stage = begin();
  const { world, sampler } = stage;
  const lines = await toRest(stage);
  const before = readBy(world, "blue");
  expect(stage.status().stable).toMatchObject({ colour: "Blue" });
  world.put(configMap("green"));
  lines.push("· COLOR becomes green", ...(await toRest(stage)));
  expect(conditionOf(stage, "Promoted")).toMatchObject({ status: "False", reason: "Releasing" });
  const [settings, keys] = readBy(world, "green");
  expect(keys).toBe(before[1]);
  expect(await held(stage, settings)).toMatchObject({ immutable: true, data: { COLOR: "green" } });
  sampler.say({ verdict: verdict("Fail", "Harm"), failure: verdict("Fail", "Harm") });
  lines.push("· green does harm", ...(await toRest(stage)), ...(await later(stage, 30)));
  expect(stage.status()).toMatchObject({ phase: "Idle", releases: [{ outcome: "RolledBack" }, {}] });
  expect(conditionOf(stage, "Ready")).toMatchObject({ reason: "RolledBack" });
  // What serves reads what it read, whatever is in the ConfigMap now.
  expect(readBy(world, "blue")).toEqual(before);
  expect(await held(stage, before[0])).toMatchObject({ data: { COLOR: "red" } });
  world.put(configMap("red"));
  lines.push("· COLOR becomes red again", ...(await toRest(stage)));
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "True", reason: "Ready" });
  expectGolden(import.meta.dirname, "configuration", lines);
});

test("copies go after the last version that reads them, and not before", async () => {
  const stage = begin();
  const { world } = stage;
  await toRest(stage);
  const [red, keys] = readBy(world, "blue");
  world.put(configMap("green"));
  await toRest(stage);
  await promote(stage);
  const [green] = readBy(world, "green");
  expect(copies(world, "ConfigMap").toSorted()).toEqual([red, green].toSorted());
  world.put(configMap("blue"));
  await toRest(stage);
  const [blue] = readBy(world, "blue");
  expect(copies(world, "ConfigMap").toSorted()).toEqual([blue, green].toSorted());
  expect(copies(world, "Secret")).toEqual([keys]);
});

test("nothing that a Secret holds is anywhere but in it and its copy", async () => {
  const stage = begin();
  const { world } = stage;
  const lines = await toRest(stage);
  world.put(secret(`${PASSWORD}-2`));
  lines.push(...(await toRest(stage)));
  const kinds = ["Rollout", "Deployment", "ControllerRevision", "Pod", "Service", "HTTPRoute", "ConfigMap", "Event"];
  const text = JSON.stringify([...kinds.map((kind) => world.all(kind)), lines]);
  const encoded = Buffer.from(PASSWORD).toString("base64").replace(/=+$/, "");
  expect(text).not.toContain(PASSWORD);
  expect(text).not.toContain(encoded.slice(0, -1));
  expect(copies(world, "Secret")).toHaveLength(2);
  // Memory has digests alone, which names do not repeat.
  expect(JSON.stringify(world.all("Secret"))).not.toContain(encoded.slice(0, -1));
});

test("what is not there is waited for, and what serves goes on", async () => {
  const stage = begin({}, [secret(PASSWORD)]);
  const { world } = stage;
  await toRest(stage);
  expect(conditionOf(stage, "TargetFound")).toMatchObject({ status: "False", reason: "ConfigurationNotFound" });
  expect(conditionOf(stage, "Stalled")).toMatchObject({
    status: "True",
    message: expect.stringContaining("ConfigMap settings"),
  });
  expect(world.find("Deployment", `${NAME}-blue`)).toBeUndefined();
  world.put(configMap("red"));
  await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({ status: "True" });
  world.edit("ConfigMap", "settings", () => undefined);
  await toRest(stage);
  expect(conditionOf(stage, "Ready")).toMatchObject({ reason: "ConfigurationNotFound" });
  expect(copies(world, "ConfigMap")).toHaveLength(1);
});

test("a copy that somebody deleted comes back while its source says the same", async () => {
  const stage = begin();
  const { world } = stage;
  await toRest(stage);
  const [red = ""] = readBy(world, "blue");
  world.edit("ConfigMap", red, () => undefined);
  await toRest(stage);
  expect(await held(stage, red)).toMatchObject({ data: { COLOR: "red" } });
});

test("shared configuration is neither copied nor released", async () => {
  const stage = begin({ configuration: "Shared" });
  const { world } = stage;
  await toRest(stage);
  expect(readBy(world, "blue")).toEqual(["settings", "keys"]);
  world.put(configMap("green"));
  expect(await toRest(stage)).toEqual([]);
  expect(world.all("ConfigMap")).toHaveLength(1);
  expect(world.all("Secret")).toHaveLength(1);
});

test("a pod waits for copies that cannot be made", async () => {
  const stage = begin();
  const { world } = stage;
  await toRest(stage);
  const { live } = world.context;
  const asked: string[] = [];
  const busy: Stage = {
    ...stage,
    controller: {
      reconcile: (key, context) =>
        stage.controller.reconcile(key, {
          ...context,
          live: {
            list: async (type, how) => {
              asked.push(`${type.kind} ${how?.fieldSelector ?? ""}`);
              const list = await live.list(type, how);
              // Written again between the watch and this read.
              return { ...list, items: list.items.map((object) => ({ ...object, data: { COLOR: "mauve" } })) };
            },
          },
        }),
    },
  };
  world.put(configMap("green"));
  await toRest(busy);
  expect(asked).toContain("ConfigMap metadata.name=settings");
  expect(conditionOf(stage, "Ready")?.message).toContain("ConfigMap settings is being changed");
  expect(world.find("Deployment", `${NAME}-green`)).toBeUndefined();
  expect(copies(world, "ConfigMap")).toHaveLength(1);
  await toRest(stage);
  expect(await held(stage, readBy(world, "green")[0])).toMatchObject({ data: { COLOR: "green" } });
});
