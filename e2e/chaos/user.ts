import { systemClock } from "../../lib/core/clock.ts";
import { prng } from "../../lib/core/prng.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { WIDGET, widget } from "../../testkit/widget.ts";

/** Somebody who works with widgets while everything breaks. */
export interface User {
  /** Creates the first widgets. */
  prepare(): Promise<void>;
  /** Works until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Edits every widget at once, so that the leader is in the middle of many writes. */
  burst(): Promise<void>;
  /** Texts of widgets whose last edit was answered; `undefined` for a deletion. Uncertain ones are missing. */
  wanted(): ReadonlyMap<string, string | undefined>;
  /** When each text was answered, monotonic milliseconds. */
  editedAt(): ReadonlyMap<string, number>;
  readonly counts: { creates: number; edits: number; deletions: number; damages: number; failed: number };
}

export interface UserOptions {
  readonly client: KubeClient;
  readonly seed: number;
  readonly widgets: number;
}

const NAMESPACE = "default";
const { ConfigMap } = RESOURCES;
/** A user does not wait longer, and does not try again by itself. */
const PATIENCE = { timeoutMs: 3_000, retries: 0 };
const PAUSE_MS = { min: 40, spread: 160 };

/** Of the operations on a widget that is there; the rest are damages. One that is not there is created. */
const SHARES = { edit: 0.7, remove: 0.1 };

/** A user whose operations follow from the seed, given the same answers. */
export function createUser({ client, seed, widgets }: UserOptions): User {
  const random = prng(seed);
  const names = Array.from({ length: widgets }, (_, index) => `w${index}`);
  const wanted = new Map<string, string | undefined>();
  const editedAt = new Map<string, number>();
  const counts = { creates: 0, edits: 0, deletions: 0, damages: 0, failed: 0 };
  let serial = 0;

  const refOf = (name: string) => ({ namespace: NAMESPACE, name });
  const pick = (): string => names[Math.floor(random() * names.length)] ?? "";
  const newText = (): string => `text-${(serial += 1)}`;
  /** After a failure nobody knows whether it was carried out. */
  const attempt = async (name: string, work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch {
      counts.failed += 1;
      wanted.delete(name);
      return false;
    }
  };

  const edit = async (name: string): Promise<void> => {
    const text = newText();
    const patch = { spec: { text } };
    if (!(await attempt(name, () => client.patch(WIDGET, refOf(name), { format: "merge", patch, ...PATIENCE }))))
      return;
    wanted.set(name, text);
    editedAt.set(text, systemClock.monotonic());
    counts.edits += 1;
  };
  const create = async (name: string): Promise<void> => {
    const text = newText();
    if (!(await attempt(name, () => client.create(WIDGET, widget(name, { size: serial, text }), PATIENCE)))) return;
    wanted.set(name, text);
    editedAt.set(text, systemClock.monotonic());
    counts.creates += 1;
  };
  const remove = async (name: string): Promise<void> => {
    if (!(await attempt(name, () => client.delete(WIDGET, refOf(name), PATIENCE)))) return;
    wanted.set(name, undefined);
    counts.deletions += 1;
  };
  /** Takes away what the operator made: the child, a field of it, or the mark of what was applied. */
  const damage = async (name: string): Promise<void> => {
    const patches = [{ data: { text: null } }, { metadata: { annotations: null } }];
    const patch = patches[Math.floor(random() * (patches.length + 1))];
    try {
      if (patch === undefined) await client.delete(ConfigMap, refOf(name), PATIENCE);
      else await client.patch(ConfigMap, refOf(name), { format: "merge", patch, ...PATIENCE });
      counts.damages += 1;
    } catch {
      counts.failed += 1;
    }
  };
  /** What became of it, after an operation whose outcome is not known. */
  const look = (name: string): Promise<boolean> =>
    attempt(name, async () => {
      const found = await client.find(WIDGET, refOf(name), PATIENCE);
      const isThere = found !== undefined && found.metadata.deletionTimestamp === undefined;
      wanted.set(name, isThere ? found.spec?.text : undefined);
    });
  const step = async (): Promise<void> => {
    const [draw, name] = [random(), pick()];
    if (!wanted.has(name) && !(await look(name))) return;
    if (wanted.get(name) === undefined) await create(name);
    else if (draw < SHARES.edit) await edit(name);
    else if (draw < SHARES.edit + SHARES.remove) await remove(name);
    else await damage(name);
  };

  return {
    prepare: async () => void (await Promise.all(names.map(create))),
    run: async (signal) => {
      while (!signal.aborted) {
        await step();
        await systemClock.sleep(PAUSE_MS.min + random() * PAUSE_MS.spread, signal);
      }
    },
    burst: async () => {
      await Promise.all(names.filter((name) => wanted.get(name) !== undefined).map(edit));
    },
    wanted: () => wanted,
    editedAt: () => editedAt,
    counts,
  };
}
