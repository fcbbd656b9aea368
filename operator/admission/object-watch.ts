import type { Clock } from "../../lib/core/clock.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { createReflector } from "../../lib/kube/reflector.ts";
import type { ResourceType } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";

/** One object by its name, whether it exists or not. */
export interface WatchedObject {
  readonly type: ResourceType;
  readonly namespace?: string;
  readonly name: string;
}

export interface ObjectWatchOptions {
  readonly client: Pick<KubeClient, "pages" | "watch">;
  readonly objects: readonly WatchedObject[];
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

/**
 * Tells of every change of a few objects until the signal aborts, without keeping them: whoever is told reads what it
 * needs. Interruptions are survived and told of as a change. Never rejects for a failure of the server.
 */
export async function watchObjects(
  options: ObjectWatchOptions,
  signal: AbortSignal,
  onChange: () => void,
): Promise<void> {
  const { objects, ...common } = options;
  await Promise.all(
    objects.map(({ type, namespace, name }) =>
      createReflector({
        ...common,
        type,
        selection: { namespace, fieldSelector: `metadata.name=${name}` },
        sink: { list: () => ({ add: () => undefined, end: onChange }), apply: onChange },
      }).run(signal),
    ),
  );
}
