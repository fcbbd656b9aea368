import { DATABASES_KEY, type DatabaseRequest, parseDatabases } from "../../crds/database-request.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import { parseIdentities, type ShardIdentities } from "../../lib/core/shard-identity.ts";
import { parseShardMap, type ShardMap } from "../../lib/core/shard-map.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { followObject } from "../../lib/kube/follow.ts";
import { type ConfigMapObject, RESOURCES, type SecretObject } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";

/** What the controller asks of the shard, as last seen. */
export interface DesiredSource {
  /** `undefined` until Secret `<shardset>-databases` was read. */
  requests(): readonly DatabaseRequest[] | undefined;
  /** `undefined` until ConfigMap `<shardset>-map` was read. */
  map(): ShardMap | undefined;
  /** What that ConfigMap says of the shards' data; `undefined` until it was read. */
  identities(): ShardIdentities | undefined;
  /** The API server has answered for that ConfigMap, be it that there is none or that it cannot be read. */
  hasLooked(): boolean;
  /** Follows both objects until the signal fires; a failing API server is waited for. */
  run(signal: AbortSignal): Promise<void>;
}

/** Where the objects are and how to reach them. */
export interface DesiredSourceDeps {
  readonly kube: Pick<KubeClient, "pages" | "watch">;
  readonly namespace: string;
  readonly shardSet: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly onChange: () => void;
}

/**
 * Follows the two objects by name. The last good content stays in force when an object goes away or cannot be read:
 * nothing is undone by a mistake.
 */
export function createDesiredSource(deps: DesiredSourceDeps): DesiredSource {
  const { kube: client, clock, random, log, namespace } = deps;
  let requests: readonly DatabaseRequest[] | undefined;
  let map: ShardMap | undefined;
  let identities: ShardIdentities | undefined;
  let looked = false;

  const keep = (what: string, take: () => void): void => {
    try {
      take();
    } catch (error) {
      log.error({ code: toOperatorError(error).code }, `${what} cannot be read; the last good one stays in force`);
    }
    deps.onChange();
  };

  const followDatabases = followObject<SecretObject>({
    client,
    clock,
    random,
    log,
    type: RESOURCES.Secret,
    ref: { namespace, name: `${deps.shardSet}-databases` },
    onChange: (secret) =>
      keep("the database requests", () => {
        const encoded = secret?.data?.[DATABASES_KEY];
        if (encoded !== undefined) requests = parseDatabases(Buffer.from(encoded, "base64").toString("utf8"));
      }),
  });
  const followMap = followObject<ConfigMapObject>({
    client,
    clock,
    random,
    log,
    type: RESOURCES.ConfigMap,
    ref: { namespace, name: `${deps.shardSet}-map` },
    onChange: (object) => {
      looked = true;
      keep("the shard map", () => {
        if (object === undefined) return;
        [map, identities] = [parseShardMap(object.data), parseIdentities(object.data)];
      });
    },
  });

  return {
    requests: () => requests,
    map: () => map,
    identities: () => identities,
    hasLooked: () => looked,
    run: async (signal) => {
      await Promise.all([followDatabases.run(signal), followMap.run(signal)]);
    },
  };
}
