import { LABELS } from "../../../crds/group.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { createManualClock } from "../../../lib/core/manual-clock.ts";
import { type KubeObject, RESOURCES } from "../../../lib/kube/types.ts";
import { silentLogger } from "../../../lib/node/logger.ts";
import { type FakeKube, startFakeKube, storeKey } from "../../../testkit/fake-kube.ts";
import { createScaledClock } from "../../../testkit/scaled-clock.ts";
import { eventually } from "../../../testkit/wait.ts";
import { WIDGET, widget } from "../../../testkit/widget.ts";
import { apply as applyAction, create as createAction } from "../../runtime/actions.ts";
import { createExecutor } from "../../runtime/execute.ts";
import type { Action, Outcome, Write } from "../../runtime/types.ts";
import { createApplier } from "../apply.ts";
import { createCache, type KubeCache } from "../cache.ts";
import { createEventRecorder } from "../events.ts";
import { createStatusWriter } from "../status.ts";

// A server with widget `w`, and processes that write for it: caches, applier, executor, events and status as in the product.

const { ConfigMap, Secret } = RESOURCES;
export const configMapKey = (name: string) => storeKey(ConfigMap, "default", name);
export const widgetKey = storeKey(WIDGET, "default", "w");
export const never = new AbortController().signal;

/** A ConfigMap of widget `w`. */
export function owned(name: string, data: Record<string, string>): KubeObject {
  const labels = { [LABELS.kind]: "Widget", [LABELS.name]: "w" };
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "default", name, labels }, data };
}

export const apply = (object: KubeObject): Write => applyAction(object, "wanted");
export const create = (object: KubeObject): Write => createAction(object, "once");

/** One process of the operator. */
export interface Process {
  readonly cache: KubeCache;
  /** Fields that were taken back, by object, in the server's words. */
  readonly takenBack: readonly string[];
  execute(...actions: Action[]): Promise<Outcome>;
  status(status: Record<string, unknown>): Promise<"written" | "unchanged">;
  owner(): KubeObject;
  /** Waits until the cache shows what the server has. */
  settle(): Promise<void>;
}

export interface ApplyStage {
  readonly fake: FakeKube;
  readonly clock: ReturnType<typeof createManualClock>;
  /** A process with caches of its own, as after a restart. */
  startProcess(watched?: "watched" | "unwatched"): Promise<Process>;
  /** From now on nobody leads. */
  loseLease(): void;
  close(): Promise<void>;
}

/** Nothing runs yet but the server. */
export async function openApplyStage(): Promise<ApplyStage> {
  const fake = await startFakeKube();
  fake.store.create(widgetKey, widget("w"), "user");
  const clock = createManualClock();
  const processes: Process[] = [];
  let leading = true;
  const startProcess = async (watched: "watched" | "unwatched" = "watched"): Promise<Process> => {
    const client = fake.client();
    const cache = createCache({ client, clock: createScaledClock(100), random: () => 0.5, log: silentLogger });
    const view = cache.view();
    view.include({ type: WIDGET }, () => undefined);
    if (watched === "watched")
      view.include({ type: ConfigMap, labelSelector: `${LABELS.kind}=Widget` }, () => undefined);
    const open = fake.watches() + cache.states().length;
    cache.start();
    await cache.waitForSync(600_000);
    await eventually("all watches are open", () => fake.watches() === open);
    const fence = (): void => {
      if (!leading) throw new OperatorError("LEASE_LOST", "not leading");
    };
    const takenBack: string[] = [];
    const applier = createApplier({
      client,
      cache,
      view,
      clock,
      fence,
      isWatched: (type) => type === WIDGET || (type === ConfigMap && watched === "watched"),
      typeOf: ({ kind }) => (kind === "ConfigMap" ? ConfigMap : kind === "Secret" ? Secret : WIDGET),
      onTakenBack: ({ metadata }, { message }) => takenBack.push(`${metadata.name}: ${message}`),
    });
    const recorder = createEventRecorder({
      client,
      reportingController: "test",
      reportingInstance: "pod",
      fence,
      clock,
      log: silentLogger,
    });
    const execute = createExecutor({ applier, recorder });
    const status = createStatusWriter({ client, cache, view, type: WIDGET, fence });
    const owner = (): KubeObject => view.get(WIDGET, "default", "w") as KubeObject;
    const process: Process = {
      cache,
      takenBack,
      owner,
      execute: (...actions) => execute({ owner: owner(), plan: { actions }, signal: never, log: silentLogger }),
      status: (wanted) => status.write(owner(), wanted, never),
      settle: async () => {
        await eventually("the cache is equal", () =>
          fake.store
            .list("/configmaps", undefined)
            .filter((object) => object.metadata.labels?.[LABELS.kind] === "Widget")
            .every(({ metadata }) => {
              const held = view.get(ConfigMap, "default", metadata.name);
              return held?.metadata.resourceVersion === metadata.resourceVersion;
            }),
        );
      },
    };
    processes.push(process);
    return process;
  };
  return {
    fake,
    clock,
    startProcess,
    loseLease: () => {
      leading = false;
    },
    close: async () => {
      for (const { cache } of processes) await cache.stop();
      await fake.close();
    },
  };
}
