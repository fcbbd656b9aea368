import type { Clock } from "../core/clock.ts";
import type { Logger } from "../node/logger.ts";
import type { KubeClient } from "./client.ts";
import type { ObjectRef } from "./paths.ts";
import { createReflector, type Reflector } from "./reflector.ts";
import type { KubeObject, ResourceType } from "./types.ts";

export interface FollowOptions<T extends KubeObject> {
  readonly client: Pick<KubeClient, "pages" | "watch">;
  readonly type: ResourceType<T>;
  readonly ref: ObjectRef;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Called with the object at the start and after each change; with `undefined` while it does not exist. */
  readonly onChange: (object: T | undefined) => void;
}

/**
 * Follows one object by name. RBAC needs get, list and watch of that name only: the selector on `metadata.name` is what
 * the API server matches against `resourceNames`.
 */
export function followObject<T extends KubeObject>(options: FollowOptions<T>): Reflector {
  const { client, type, ref, clock, random, log, onChange } = options;
  let current: T | undefined;
  return createReflector({
    client,
    type,
    selection: { namespace: ref.namespace, fieldSelector: `metadata.name=${ref.name}` },
    clock,
    random,
    log,
    sink: {
      list: () => {
        current = undefined;
        return {
          add: (object) => {
            current = object;
          },
          end: () => onChange(current),
        };
      },
      apply: (event) => {
        current = event.type === "DELETED" ? undefined : event.object;
        onChange(current);
      },
    },
  });
}
