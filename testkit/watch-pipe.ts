import type { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { WatchTrouble, WatchTroubleScope } from "./faults.ts";

/** A trouble with its scope, for as long as it lasts. */
export interface ActiveTrouble {
  readonly trouble: WatchTrouble;
  readonly scope: WatchTroubleScope;
}

/** An accepted watch on its way to the client. */
export interface WatchPipe {
  /** Path and query. */
  readonly url: string;
  readonly isStalled: () => boolean;
  /** One line without its end; dropped once the watch is stalled or closed. */
  line(text: string): void;
  /** Ends in order, after what is still under way. */
  end(): void;
  /** Breaks the connection; `half` sends the beginning of a line before that. */
  cut(half: boolean): void;
  /** Nothing is sent from now on. */
  stall(): void;
  /** Called once, when the watch is over for any reason. */
  onClose(listener: () => void): void;
}

interface PipeOptions {
  readonly url: string;
  readonly response: Writable;
  /** Those that are active now, for any watch. */
  readonly troubles: () => readonly ActiveTrouble[];
  /** In [0, 1). */
  readonly random: () => number;
  /** Cuts the connection in the middle of the first line. */
  readonly cutFirstLine: boolean;
}

/** A line waits so long to be overtaken; then it goes alone. */
const OVERTAKE_MS = 200;
const HALF_LINE = '{"type":"MODIFIED","obj';

/** Lines pass in the same turn while there is no trouble. */
export function createWatchPipe(options: PipeOptions): WatchPipe {
  const { response } = options;
  let stalled = false;
  /** No further line is taken. */
  let ended = false;
  /** The connection is gone. */
  let over = false;
  let busy = false;
  let held: { readonly text: string; readonly timer: NodeJS.Timeout } | undefined;
  const queue: { readonly text: string; readonly dueAt: number }[] = [];
  const listeners: (() => void)[] = [];
  response.on("close", () => {
    over = true;
    clearTimeout(held?.timer);
    for (const listener of listeners) listener();
  });

  /** The first active trouble of a type for this watch. */
  const find = <Type extends WatchTrouble["type"]>(type: Type) => {
    const active = options
      .troubles()
      .find(({ trouble, scope }) => trouble.type === type && (scope.path?.test(options.url) ?? true));
    if (active === undefined) return undefined;
    return { trouble: active.trouble as Extract<WatchTrouble, { type: Type }>, chance: active.scope.chance ?? 1 };
  };
  const hits = (chance: number): boolean => chance >= 1 || options.random() < chance;

  const write = async (text: string): Promise<void> => {
    if (options.cutFirstLine) return cut(text.slice(0, Math.ceil(text.length / 2)));
    const slow = find("slow")?.trouble;
    const bytes = Buffer.from(`${text}\n`);
    if (slow === undefined) return void response.write(bytes);
    for (let from = 0; from < bytes.length && !over; from += slow.bytes) {
      response.write(bytes.subarray(from, from + slow.bytes));
      await sleep(slow.everyMs);
    }
  };

  const pump = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    for (let next = queue.shift(); next !== undefined && !over; next = queue.shift()) {
      const waitMs = next.dueAt - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      if (!stalled && !over) await write(next.text);
    }
    busy = false;
  };

  const idle = async (): Promise<void> => {
    while (busy && !over) await sleep(1);
  };

  const send = (text: string): void => {
    const late = find("late")?.trouble.ms ?? 0;
    if (late === 0 && !busy && find("slow") === undefined) return void write(text);
    queue.push({ text, dueAt: performance.now() + late });
    void pump();
  };

  const release = (): void => {
    if (held === undefined) return;
    clearTimeout(held.timer);
    const { text } = held;
    held = undefined;
    send(text);
  };

  const cut = (rest: string | undefined): void => {
    over = true;
    if (rest !== undefined) response.write(rest);
    // A turn later, so that the rest is on its way.
    setImmediate(() => response.destroy());
  };

  return {
    url: options.url,
    isStalled: () => stalled,
    line: (text) => {
      if (stalled || ended || over) return;
      const duplicate = find("duplicate");
      const copies = duplicate !== undefined && hits(duplicate.chance) ? [text, text] : [text];
      const reorder = find("reorder");
      if (held !== undefined) {
        const object = objectOf(text);
        const isSame = objectOf(held.text) === object;
        const mayPass = object !== undefined && (reorder?.trouble.what === "within-object" ? isSame : !isSame);
        if (!mayPass) release();
        for (const copy of copies) send(copy);
        return release();
      }
      if (reorder !== undefined && objectOf(text) !== undefined && hits(reorder.chance)) {
        held = { text, timer: setTimeout(release, OVERTAKE_MS) };
        return;
      }
      for (const copy of copies) send(copy);
    },
    end: () => {
      if (over || ended) return;
      release();
      ended = true;
      if (!busy) return void response.end();
      void idle().then(() => {
        if (!over) response.end();
      });
    },
    cut: (half) => cut(half ? HALF_LINE : undefined),
    stall: () => {
      stalled = true;
    },
    onClose: (listener) => void listeners.push(listener),
  };
}

/** Which object a line is about; `undefined` for bookmarks, errors and garbage: nothing passes those. */
function objectOf(line: string): string | undefined {
  const [, type] = /^\{"type":"(ADDED|MODIFIED|DELETED)"/.exec(line) ?? [];
  if (type === undefined) return undefined;
  const { object } = JSON.parse(line) as { object: { metadata: { namespace?: string; name: string } } };
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}
