import { describe, expect, test } from "@jest/globals";
import type { SettingsAnswer } from "../../crds/agent-status.ts";
import type { ShardSetSpec } from "../../crds/shardset.ts";
import type { Agents } from "./shardset.facts.ts";
import { trierOf, verdictOf } from "./shardset.settings.ts";
import { agent, pod, READY, type Seen, target, withShard, withSpec, world } from "./testing/builders.ts";

const SHARDS = [0, 1, 2];
const parameters = { postgres: { parameters: { work_mem: "8MB" } } };
const able = SHARDS.map((shard) => agent(shard, { canTrySettings: true }));
const updated: Seen = { ...READY, shardSet: withSpec(parameters) };

describe("who tries the settings", () => {
  const trier = (seen: Seen, agents: readonly (typeof able)[number][] = able): number | undefined => {
    const answers: Agents = new Map(agents.map((answer) => [answer.shard, answer]));
    return trierOf(world(seen), answers)?.shard;
  };

  test.each<[string, Seen, readonly (typeof able)[number][], number | undefined]>([
    ["nobody, where no pod gets other ones", READY, able, undefined],
    [
      "nobody, where only the image is another",
      { ...READY, pods: SHARDS.map((n) => pod(n, { configHash: "old" })) },
      able,
      undefined,
    ],
    ["the first that serves", updated, able, 0],
    [
      "one that serves, not one that is down",
      updated,
      withShard(able, 0, { ready: false, reason: "PostgresFailed" }),
      1,
    ],
    [
      "one that answers now",
      updated,
      [{ ...able[0], isRemembered: true } as (typeof able)[number], ...able.slice(1)],
      1,
    ],
    ["one whose pod stays for now", { ...updated, pods: withShard(READY.pods, 0, { deleting: true }) }, able, 1],
    ["nobody, where agents are of an earlier version", updated, SHARDS.map((n) => agent(n)), undefined],
    [
      "nobody, where a shard serves with them already",
      { ...updated, pods: [pod(0, {}, parameters), pod(1), pod(2)] },
      able,
      undefined,
    ],
    ["nobody, where nobody answers", updated, [], undefined],
  ])("%s", (_name, seen, agents, want) => {
    expect(trier(seen, agents)).toBe(want);
  });
});

describe("what an answer means", () => {
  const GIB = 1024 ** 3;
  test.each<[string, SettingsAnswer, Partial<ShardSetSpec>, unknown]>([
    [
      "what fits",
      { outcome: "accepted", sharedMemoryBytes: GIB, nodeMemoryBytes: 8 * GIB },
      {},
      { outcome: "accepted" },
    ],
    [
      "a size that is not known",
      { outcome: "accepted" },
      { resources: { limits: { memory: "1Gi" } } },
      { outcome: "accepted" },
    ],
    [
      "as much as the limit",
      { outcome: "accepted", sharedMemoryBytes: GIB },
      { resources: { limits: { memory: "1Gi" } } },
      { outcome: "accepted" },
    ],
    [
      "trial 6: more than the limit",
      { outcome: "accepted", sharedMemoryBytes: 65 * GIB, nodeMemoryBytes: 128 * GIB },
      { resources: { limits: { memory: "1Gi" } }, postgres: { parameters: { shared_buffers: "64GB" } } },
      {
        outcome: "refused",
        setting: "shared_buffers",
        message: "its shared memory would take 66560Mi, but resources.limits.memory is 1Gi",
      },
    ],
    [
      "trial 6: more than the node has",
      { outcome: "accepted", sharedMemoryBytes: 65 * GIB, nodeMemoryBytes: 8 * GIB },
      { postgres: { parameters: { shared_buffers: "64GB" } } },
      {
        outcome: "refused",
        setting: "shared_buffers",
        message: "its shared memory would take 66560Mi, but the node has 8192Mi",
      },
    ],
    [
      "a refusal",
      { outcome: "refused", setting: "work_mem", message: 'invalid value for parameter "work_mem": "8mb"' },
      {},
      { outcome: "refused", setting: "work_mem", message: 'invalid value for parameter "work_mem": "8mb"' },
    ],
    [
      "no answer of PostgreSQL",
      { outcome: "unknown", message: "no space left" },
      {},
      { outcome: "unknown", message: "no space left" },
    ],
  ])("%s", (_name, answer, changes, want) => {
    expect(verdictOf(answer, target(changes))).toEqual(want);
  });
});
