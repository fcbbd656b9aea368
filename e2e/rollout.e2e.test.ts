// Promise: through a real gateway, a good version goes out step by step and a bad one comes back, and no request fails because of
// a switch, whoever dies meanwhile. The numbers in brackets are those of the list of scenarios in docs/conformance.md.
import { expect } from "@jest/globals";
import { type RolloutStatus } from "../crds/rollout-status.ts";
import { condition, killPodProcesses, SYSTEM_NAMESPACE } from "./cluster.ts";
import { ensureGateway } from "./gateway/gateways.ts";
import type { Load, LoadResults } from "./gateway/load-pod.ts";
import {
  APP,
  followWeights,
  idleService,
  loadOf,
  openStage,
  push,
  quickStage,
  releaseEnded,
  rolloutManifest,
  type Stage,
  shareSeconds,
  statusOf,
  type WeightChange,
} from "./release.ts";
import { waitFor } from "./run.ts";
import { suite } from "./suite.ts";

const NAMESPACE = "rollout";
const RATE = 200;
/** The load ends by itself, should a test be killed. */
const LOAD_SECONDS = 1_200;

const SPEC = {
  stages: [quickStage(1_000, 4), quickStage(5_000, 4), quickStage(10_000, 4)],
  bakeSeconds: 2,
  drainSeconds: 3,
};

suite("rollout", [NAMESPACE], ({ cluster: present, prepare, promise }) => {
  let stage: Stage;
  let load: Load;
  let versions = 0;

  const newVersion = (): string => {
    versions += 1;
    return `v${String(versions)}`;
  };

  prepare(async () => {
    const cluster = present();
    const images = await ensureGateway(cluster.name, "traefik");
    stage = await openStage({ cluster, namespace: NAMESPACE, gateway: "traefik", images, replicas: 2 });
    await push(stage, { version: newVersion(), image: images.image });
    await cluster.apply(rolloutManifest(stage, SPEC));
    await waitFor("the first version to serve", 120_000, async () => {
      const status = await statusOf(stage);
      return status.phase === "Idle" && status.stable !== undefined;
    });
    load = await loadOf(stage, { rate: RATE, seconds: LOAD_SECONDS });
  });

  /** Pushes a version and waits until its release has ended. */
  async function release(errors: number, meanwhile?: (status: RolloutStatus) => Promise<boolean>) {
    const before = await statusOf(stage);
    const version = newVersion();
    const weights = followWeights(stage);
    try {
      await push(stage, { version, image: stage.images.next, errors });
      if (meanwhile !== undefined) {
        await waitFor("the moment to interfere", 90_000, async () => meanwhile(await statusOf(stage)));
      }
      await releaseEnded(stage, before, 120_000);
    } finally {
      await weights.stop();
    }
    const status = await statusOf(stage);
    return { version, status, changes: weights.changes, service: idleService(before), results: await load.results() };
  }

  promise(
    "[1, 2, 39, 44] a good version climbs the ladder, each weight in its order, and no request fails",
    async () => {
      const { status, changes, service, results, version } = await release(0);
      expect(status.releases?.[0]).toMatchObject({ outcome: "Promoted" });
      expect(sharesOf(changes, service)).toEqual([0, 1_000, 5_000, 9_500, 10_000]);
      expect(lostRequests(results)).toEqual({});
      expect(Object.keys(results.counts).filter((key) => key.startsWith(`${version}/`))).toEqual([`${version}/200`]);
      const ready = condition(await present().get("rollout", APP, NAMESPACE), "Ready");
      expect(ready).toMatchObject({ status: "True", reason: "Ready" });
    },
    180_000,
  );

  promise(
    "[36] a version that answers half with errors is taken back, and the next one goes out",
    async () => {
      const { status, changes, service, results, version } = await release(0.5);
      expect(status.releases?.[0]).toMatchObject({ outcome: "RolledBack" });
      expect(Math.max(...sharesOf(changes, service))).toBe(1_000);
      // Only the bad version itself has failed anybody.
      expect(lostRequests(results)).toEqual({});
      const seconds = shareSeconds(changes, service);
      process.stdout.write(
        `rollout: half errors: weight 0 ${String(seconds)} s after the first share, ${String(results.counts[`${version}/500`])} bad answers\n`,
      );
      expect(seconds).toBeLessThan(30);
      const rollout = await present().get("rollout", APP, NAMESPACE);
      expect(condition(rollout, "Ready")).toMatchObject({ status: "False", reason: "RolledBack" });
      expect((await release(0)).status.releases?.[0]).toMatchObject({ outcome: "Promoted" });
    },
    240_000,
  );

  promise(
    "[45] a controller that is killed in the middle of a release loses nothing",
    async () => {
      const { status, changes, service, results } = await release(0, async ({ phase, stage: index, verifiedAt }) => {
        if (phase !== "Canary" || index !== 1 || verifiedAt === undefined) return false;
        const controllers = "app.kubernetes.io/component=controller";
        for (const pod of await present().list("pods", SYSTEM_NAMESPACE, controllers)) await killPodProcesses(pod);
        return true;
      });
      expect(status.releases?.[0]).toMatchObject({ outcome: "Promoted" });
      const shares = sharesOf(changes, service);
      expect(shares).toEqual([...shares].sort((a, b) => a - b));
      expect(lostRequests(results)).toEqual({});
    },
    240_000,
  );
});

function sharesOf(changes: readonly WeightChange[], service: string): number[] {
  return changes.map(({ weights }) => weights[service] ?? 0).filter((share, index, all) => share !== all[index - 1]);
}

/** What no version answered: errors of the gateway and of connections. */
function lostRequests({ counts, errors }: LoadResults): Readonly<Record<string, number>> {
  const ofGateway = Object.entries(counts).filter(([key]) => key.startsWith("-/"));
  return { ...Object.fromEntries(ofGateway), ...errors };
}
