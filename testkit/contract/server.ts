import type { KubeClient } from "../../lib/kube/client.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { WatchEvent } from "../../lib/kube/watch-stream.ts";
import type { FaultTarget } from "../faults.ts";

/** A server under test. It knows widgets. */
export interface ContractServer {
  /** Speaks to the server itself. */
  client(): KubeClient;
  /** The fake, or the proxy in front of a real server; both take plain HTTP without credentials. */
  readonly target: FaultTarget;
  /** A client that speaks through `target`; the caller closes it. */
  faultyClient(): KubeClient;
  /** Serves a kind of the shape of widgets; resolves when it does. */
  define(type: ResourceType): Promise<void>;
  /** Takes the kind away; it may be served for a moment longer. */
  undefine(type: ResourceType): Promise<void>;
  /** Makes the server itself forget all versions but the present one. */
  forgetVersions(): Promise<void>;
  stop(): Promise<void>;
}

/** Cases of one theme; the server is there once the cases run. */
export type ContractCases = (server: () => ContractServer) => void;

/** An object in the namespace that the cases share; each case uses names of its own. */
export const ref = (name: string) => ({ namespace: "default", name });

/** The first events of a watch other than bookmarks. */
export async function collect<T extends KubeObject>(
  watch: AsyncIterable<WatchEvent<T>>,
  count: number,
): Promise<WatchEvent<T>[]> {
  const events: WatchEvent<T>[] = [];
  for await (const event of watch) {
    if (event.type === "BOOKMARK") continue;
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}
