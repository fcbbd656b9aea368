/** What users do to the server and see there: widgets are made, edited, removed; their status and children are watched. */
import { systemClock } from "../../../lib/core/clock.ts";
import { isOperatorError } from "../../../lib/core/errors.ts";
import { type ConfigMapObject, type KubeObject, RESOURCES, type ResourceType } from "../../../lib/kube/types.ts";
import type { Widget } from "../../../testkit/widget.ts";
import type { Stage } from "./stage.ts";

/** The widgets of one kind, as somebody who is not the controller sees them. */
export interface World {
  /** Makes widgets `from` to `to - 1`, spread over the namespaces. */
  create(from: number, to: number): Promise<void>;
  /** Widgets whose status describes their spec. */
  converged(): number;
  /** Resolves with the monotonic time at which that many had converged. @throws Error after `timeoutMs` */
  untilConverged(count: number, timeoutMs: number): Promise<number>;
  /** Writes a new text into a widget's spec. @returns milliseconds until its ConfigMap has it */
  edit(index: number): Promise<number>;
  /** Removes all widgets and their children. */
  clear(): Promise<void>;
  /** ConfigMaps whose text is not that of their widget, and widgets without one. */
  wrong(): Promise<number>;
  close(): Promise<void>;
}

/** Requests of the load at the same time: enough to keep the server busy. */
const PARALLEL = 16;
const EDIT_TIMEOUT_MS = 30_000;
/** A text as long as a small configuration. */
const TEXT = "a widget of the benchmark, with some words of configuration in it; ".repeat(3);

const { ConfigMap, Secret, Deployment } = RESOURCES;

/** Watches a kind and its ConfigMaps from now on. */
export async function openWorld(stage: Stage, kind: ResourceType<Widget>): Promise<World> {
  const { client, namespaces } = stage;
  const stopping = new AbortController();
  const converged = new Set<string>();
  const texts = new Map<string, { readonly text: string; readonly resolve: (at: number) => void }>();
  const waiters: { readonly count: number; readonly resolve: (at: number) => void }[] = [];
  let edits = 0;

  const namespaceOf = (index: number): string => namespaces[index % namespaces.length] as string;
  // Children have the names of their widgets, and both programs work in the same namespaces.
  const nameOf = (index: number): string => `${kind.kind.toLowerCase()}-${String(index).padStart(5, "0")}`;

  const follow = async <T extends KubeObject>(
    type: ResourceType<T>,
    labelSelector: string | undefined,
    see: (type: string, object: T) => void,
  ): Promise<void> => {
    const list = await client.list<T>(type, { labelSelector });
    for (const object of list.items) see("ADDED", object);
    let { resourceVersion } = list;
    const go = async (): Promise<void> => {
      while (!stopping.signal.aborted) {
        const events = client.watch<T>(type, { labelSelector, resourceVersion, signal: stopping.signal });
        for await (const event of events) {
          resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
          if (event.type !== "BOOKMARK") see(event.type, event.object);
        }
      }
    };
    running.push(
      go().catch((error: unknown) => {
        if (!stopping.signal.aborted) throw error;
      }),
    );
  };
  const running: Promise<void>[] = [];

  await follow(kind, undefined, (type, widget) => {
    const id = `${widget.metadata.namespace ?? ""}/${widget.metadata.name}`;
    const described = widget.status?.["observedGeneration"] === widget.metadata.generation;
    if (type === "DELETED" || !described) converged.delete(id);
    else converged.add(id);
    for (const waiter of [...waiters]) {
      if (converged.size < waiter.count) continue;
      waiters.splice(waiters.indexOf(waiter), 1);
      waiter.resolve(systemClock.monotonic());
    }
  });
  await follow<ConfigMapObject>(ConfigMap, `shieldx.dev/kind=${kind.kind}`, (_type, object) => {
    const id = `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
    const awaited = texts.get(id);
    if (awaited === undefined || object.data?.["text"] !== awaited.text) return;
    texts.delete(id);
    awaited.resolve(systemClock.monotonic());
  });

  const deadline = <T>(what: string, timeoutMs: number, promise: Promise<T>): Promise<T> => {
    const timer = new AbortController();
    return Promise.race([
      promise,
      systemClock.sleep(timeoutMs, timer.signal).then(() => {
        throw new Error(`not within ${timeoutMs / 1000} s: ${what}`);
      }),
    ]).finally(() => timer.abort());
  };

  return {
    create: (from, to) =>
      inParallel(from, to, async (index) => {
        await client.create(kind, {
          apiVersion: `${kind.group}/${kind.version}`,
          kind: kind.kind,
          metadata: { namespace: namespaceOf(index), name: nameOf(index), labels: { "bench/widget": "true" } },
          spec: { size: index, text: `${TEXT}${index}` },
        });
      }),
    converged: () => converged.size,
    untilConverged: (count, timeoutMs) => {
      if (converged.size >= count) return Promise.resolve(systemClock.monotonic());
      const reached = new Promise<number>((resolve) => waiters.push({ count, resolve }));
      return deadline(`${count} ${kind.plural} converged`, timeoutMs, reached);
    },
    edit: async (index) => {
      const [namespace, name] = [namespaceOf(index), nameOf(index)];
      const text = `${TEXT}edit ${(edits += 1)}`;
      const seen = new Promise<number>((resolve) => texts.set(`${namespace}/${name}`, { text, resolve }));
      const startedAt = systemClock.monotonic();
      await client.patch(kind, { namespace, name }, { format: "merge", patch: { spec: { text } } });
      return (await deadline(`${namespace}/${name} edited`, EDIT_TIMEOUT_MS, seen)) - startedAt;
    },
    clear: async () => {
      const labelSelector = `shieldx.dev/kind=${kind.kind}`;
      for (const [type, selector] of [
        [kind, undefined],
        ...[ConfigMap, Secret, Deployment].map((each) => [each, labelSelector]),
      ] as [ResourceType, string | undefined][]) {
        const { items } = await client.list(type, { labelSelector: selector });
        await inParallel(0, items.length, async (index) => {
          const { namespace = "", name } = (items[index] as KubeObject).metadata;
          await client.delete(type, { namespace, name }).catch((error: unknown) => {
            if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
          });
        });
      }
    },
    wrong: async () => {
      const maps = await client.list<ConfigMapObject>(ConfigMap, { labelSelector: `shieldx.dev/kind=${kind.kind}` });
      const held = new Map(
        maps.items.map(({ metadata, data }) => [`${metadata.namespace ?? ""}/${metadata.name}`, data]),
      );
      const widgets = await client.list<Widget>(kind);
      return widgets.items.filter(
        ({ metadata, spec }) => held.get(`${metadata.namespace ?? ""}/${metadata.name}`)?.["text"] !== spec?.text,
      ).length;
    },
    close: async () => {
      stopping.abort();
      await Promise.all(running);
    },
  };
}

/** Works on the numbers from `from` to `to - 1`, several at a time. */
async function inParallel(from: number, to: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < to) await work(next++);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}
