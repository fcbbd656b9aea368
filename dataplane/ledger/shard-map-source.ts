/** Two sources of the shard map: the ConfigMap (news arrive at once) and the shards' own copy (the authority at COMMIT). */
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { parseShardMap, type ShardMap } from "../../lib/core/shard-map.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { followObject } from "../../lib/kube/follow.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { LedgerReads } from "./ledger.reads.ts";
import type { ShardMapSource } from "./ledger.router.ts";

/** A source that is kept up to date by `run`. */
export interface RunningShardMapSource extends ShardMapSource {
  run(signal: AbortSignal): Promise<void>;
}

/** The map on the shards changes when somebody moves data: rarely, and a stale one is refused at COMMIT. */
const POLL_MS = 5_000;
/** Until the first map is read. */
const FIRST_POLL_MS = 250;

interface DatabaseSourceOptions {
  /** By shard. */
  readonly reads: readonly LedgerReads[];
  readonly clock: Clock;
  readonly log: Logger;
}

/** Reads the newest map that any shard has. */
export function databaseMapSource(options: DatabaseSourceOptions): RunningShardMapSource {
  const { reads, clock, log } = options;
  const holder = createHolder();
  const refresh = async (): Promise<void> => {
    const answers = await Promise.allSettled(reads.map((shard) => shard.shardMap()));
    for (const answer of answers) if (answer.status === "fulfilled") holder.offer(answer.value);
    const failed = answers.find((answer) => answer.status === "rejected");
    if (failed?.status === "rejected")
      log.debug({ error: toOperatorError(failed.reason).message }, "shard map not read");
  };
  return {
    current: holder.current,
    refresh,
    run: async (signal) => {
      while (!signal.aborted) {
        await refresh();
        await clock.sleep(holder.known() ? POLL_MS : FIRST_POLL_MS, signal);
      }
    },
  };
}

interface ConfigMapSourceOptions extends DatabaseSourceOptions {
  readonly client: Pick<KubeClient, "pages" | "watch">;
  readonly namespace: string;
  /** `<shardset>-map` */
  readonly name: string;
  readonly random: () => number;
}

/** Follows the ConfigMap; asks the shards when they know a newer map than it has shown so far. */
export function configMapSource(options: ConfigMapSourceOptions): RunningShardMapSource {
  const holder = createHolder();
  const { client, namespace, name, clock, random, log } = options;
  const database = databaseMapSource(options);
  const reflector = followObject({
    client,
    type: RESOURCES.ConfigMap,
    ref: { namespace, name },
    clock,
    random,
    log,
    onChange: (object) => {
      if (object === undefined) return;
      try {
        holder.offer(parseShardMap(object.data));
      } catch (error) {
        log.error({ configMap: name, error: toOperatorError(error).message }, "shard map ignored");
      }
    },
  });
  return {
    current: holder.current,
    refresh: async () => {
      await database.refresh();
      holder.offer(database.current());
    },
    run: (signal) => reflector.run(signal),
  };
}

/** Keeps the newest map: a higher epoch wins, then a higher version. */
function createHolder(): { current(): ShardMap; known(): boolean; offer(map: ShardMap): void } {
  let current: ShardMap | undefined;
  return {
    known: () => current !== undefined,
    current: () => {
      if (current !== undefined) return current;
      throw new OperatorError("SHARD_UNAVAILABLE", "the shard map is not known yet", { retryAfterSeconds: 1 });
    },
    offer: (map) => {
      const isNewer =
        current === undefined ||
        map.epoch > current.epoch ||
        (map.epoch === current.epoch && map.version > current.version);
      if (isNewer) current = map;
    },
  };
}
