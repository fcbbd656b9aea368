import { isOperatorError } from "../../lib/core/errors.ts";
import { type KubeObject, type LeaseObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { eventually } from "../wait.ts";
import type { AcceptanceServer } from "./server.ts";

const { ConfigMap, Lease } = RESOURCES;

/** An accepted write, in the order of the server: revisions count all writes of all kinds. */
interface Entry {
  readonly revision: number;
  readonly epoch: number;
  readonly what: "lease" | "child";
}

/** Which epoch each accepted write carried, and which one was in force when the server accepted it. */
export interface EpochRecord {
  /** Ends the recording. @returns the epochs in force, in order, and the writes that carried another one */
  finish(): Promise<{ readonly epochs: readonly number[]; readonly writes: number; readonly stale: readonly string[] }>;
}

/** Records from now on, through the user's own connection, every version of Leases and of children with an epoch. */
export async function recordEpochs({ user, namespace }: AcceptanceServer): Promise<EpochRecord> {
  const entries: Entry[] = [];
  const stop = new AbortController();
  const opened: Promise<unknown>[] = [];
  const running: Promise<void>[] = [];
  /** From which revision on each kind is followed. */
  const begins = new Map<ResourceType, number>();
  let failure: unknown;

  /** The present versions have come over the watches. */
  const isComplete = async (): Promise<boolean> => {
    if (failure !== undefined) throw failure as Error;
    const seen = new Set(entries.map(({ revision }) => revision));
    for (const [type, begin] of begins) {
      for (const { metadata } of (await user.list(type, { namespace })).items) {
        const revision = Number(metadata.resourceVersion);
        if (revision > begin && !seen.has(revision)) return false;
      }
    }
    return true;
  };

  const follow = <T extends KubeObject>(
    type: ResourceType<T>,
    entryOf: (object: T) => Omit<Entry, "revision">,
  ): void => {
    const open = Promise.withResolvers<boolean>();
    opened.push(open.promise);
    const read = async (): Promise<void> => {
      const { resourceVersion } = await user.list(type, { namespace });
      begins.set(type, Number(resourceVersion));
      const events = user.watch(type, {
        namespace,
        resourceVersion,
        signal: stop.signal,
        onOpen: () => open.resolve(true),
      });
      for await (const { type: what, object } of events) {
        if (what === "BOOKMARK" || what === "DELETED") continue;
        entries.push({ revision: Number(object.metadata.resourceVersion), ...entryOf(object) });
      }
    };
    running.push(
      read().catch((error: unknown) => {
        open.reject(error);
        // Told by `finish`: a test that fails before it leaves a watch that its server ends.
        if (!isOperatorError(error, "ABORTED")) failure ??= error;
      }),
    );
  };
  follow(Lease, ({ spec }: LeaseObject) => ({ what: "lease", epoch: spec?.leaseTransitions ?? 0 }));
  follow(ConfigMap, ({ data }) => ({ what: "child", epoch: Number(data?.["epoch"]) }));
  await Promise.all(opened);

  return {
    finish: async () => {
      await eventually("every version has come", isComplete);
      stop.abort();
      await Promise.all(running);
      let inForce = 0;
      const epochs = new Set<number>();
      const stale: string[] = [];
      for (const { what, epoch, revision } of entries.toSorted((a, b) => a.revision - b.revision)) {
        if (what === "lease") inForce = epoch;
        if (inForce > 0) epochs.add(inForce);
        if (what === "child" && epoch !== inForce)
          stale.push(`revision ${revision} carries epoch ${epoch} under epoch ${inForce}`);
      }
      return { epochs: [...epochs], writes: entries.filter(({ what }) => what === "child").length, stale };
    },
  };
}
