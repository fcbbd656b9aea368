import { contentHash } from "../../lib/core/canonical.ts";
import { type Clock, rfc3339Micros } from "../../lib/core/clock.ts";
import { isOperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";

/** What to tell about an object. */
export interface EventNote {
  readonly eventType: "Normal" | "Warning";
  /** UpperCamelCase, for machines. */
  readonly reason: string;
  /** For people, with numbers; cut at 1024 characters, the API's limit. */
  readonly note: string;
}

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, "create" | "patch">;
  /** For example `shieldx.dev/shardset-controller`. */
  readonly reportingController: string;
  /** Pod name of this process. */
  readonly reportingInstance: string;
  /** See `RequestOptions`: a replica that does not lead any more has nothing to tell. */
  readonly fence: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Writes events.k8s.io/v1 Events, each situation once. */
export interface EventRecorder {
  /**
   * Tells once per situation (object, reason, note) and ten minutes; a repetition after that raises the series' count.
   * What a condition of `regarding` says in the same words was told by an earlier process and is not told again.
   * Failures are logged: telling is never worth failing for. @returns true when something was written
   */
  record(regarding: KubeObject, note: EventNote, signal: AbortSignal): Promise<boolean>;
}

const REPEAT_MS = 10 * 60_000;
const NOTE_LENGTH_MAX = 1024;
/** Situations in memory; the oldest are forgotten first. */
const MEMORY_SIZE = 5_000;

interface Told {
  readonly at: number;
  readonly count: number;
}

/** A recorder of one controller. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, clock, log, fence } = options;
  const told = new Map<string, Told>();

  const remember = (name: string, entry: Told): void => {
    told.delete(name);
    told.set(name, entry);
    if (told.size > MEMORY_SIZE) told.delete(told.keys().next().value ?? "");
  };

  const write = async (regarding: KubeObject, note: EventNote, signal: AbortSignal): Promise<boolean> => {
    const { namespace = "default", uid = "" } = regarding.metadata;
    // Whatever else this process has to send goes first.
    const how = { signal, fence, priority: "background" } as const;
    const text = note.note.slice(0, NOTE_LENGTH_MAX);
    // The name is made of the situation: a second process that tells the same finds it told.
    const name = `${regarding.metadata.name}.${contentHash([uid, note.reason, text, note.eventType])}`;
    const before = told.get(name);
    if (before !== undefined && clock.monotonic() - before.at < REPEAT_MS) return false;
    const count = (before?.count ?? 0) + 1;
    const now = rfc3339Micros(clock.now());
    remember(name, { at: clock.monotonic(), count });
    if (before !== undefined) {
      try {
        const patch = { series: { count, lastObservedTime: now } };
        await client.patch(RESOURCES.Event, { namespace, name }, { format: "merge", patch, ...how });
        return true;
      } catch (error) {
        // Events live for an hour; a series that outlived its event starts anew.
        if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
      }
    }
    try {
      await client.create(RESOURCES.Event, eventOf(regarding, { ...note, note: text }, { name, namespace, now }), how);
      return true;
    } catch (error) {
      if (isOperatorError(error, "KUBE_ALREADY_EXISTS")) return false;
      throw error;
    }
  };

  const eventOf = (
    regarding: KubeObject,
    note: EventNote,
    at: { readonly name: string; readonly namespace: string; readonly now: string },
  ): KubeObject => ({
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: at.name, namespace: at.namespace },
    eventTime: at.now,
    type: note.eventType,
    reason: note.reason,
    note: note.note,
    action: "Reconcile",
    reportingController: options.reportingController,
    reportingInstance: options.reportingInstance.slice(0, 128),
    regarding: {
      apiVersion: regarding.apiVersion,
      kind: regarding.kind,
      namespace: at.namespace,
      name: regarding.metadata.name,
      uid: regarding.metadata.uid,
      resourceVersion: regarding.metadata.resourceVersion,
    },
  });

  return {
    record: async (regarding, note, signal) => {
      if (isToldByStatus(regarding, note)) return false;
      try {
        return await write(regarding, note, signal);
      } catch (error) {
        log.warn({ reason: note.reason, error: toOperatorError(error).message }, "event not written");
        return false;
      }
    },
  };
}

function isToldByStatus(regarding: KubeObject, note: EventNote): boolean {
  const status = regarding["status"] as { conditions?: readonly { reason?: string; message?: string }[] } | undefined;
  return status?.conditions?.some((it) => it.reason === note.reason && it.message === note.note) === true;
}
