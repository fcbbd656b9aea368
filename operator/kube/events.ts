import { contentHash } from "../../lib/core/canonical.ts";
import { type Clock, rfc3339Micros } from "../../lib/core/clock.ts";
import { isOperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { createPace } from "../../lib/core/pace.ts";
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
   * Whether an earlier process has told it already is for the caller to know, from the status. The events of one object are
   * bounded, and what goes beyond is dropped. Failures are logged: telling is never worth failing
   * for. @returns true when something was written
   */
  record(regarding: KubeObject, note: EventNote, signal: AbortSignal): Promise<boolean>;
}

const REPEAT_MS = 10 * 60_000;
const NOTE_LENGTH_MAX = 1024;
/** Of the name of an event, without the hash; the API takes 253 characters in all. */
const NAME_LENGTH_MAX = 200;
/** Situations in memory; the oldest are forgotten first. */
const MEMORY_SIZE = 5_000;
/** client-go's bound for the events of one object: 25 in a row, then one in five minutes. */
const OBJECT_PACE = { burst: 25, intervalSeconds: 300 };

interface Told {
  readonly at: number;
  readonly count: number;
}

/** One thing to tell, under the name that its event has. */
interface Telling {
  readonly regarding: KubeObject;
  readonly note: EventNote;
  readonly name: string;
  readonly namespace: string;
  /** RFC 3339 with microseconds. */
  readonly now: string;
}

/** A recorder of one controller. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { clock, log } = options;
  const told = new Map<string, Told>();
  const pace = createPace(OBJECT_PACE, clock);

  const remember = (name: string, entry: Told | undefined): void => {
    told.delete(name);
    if (entry === undefined) return;
    told.set(name, entry);
    if (told.size > MEMORY_SIZE) told.delete(told.keys().next().value ?? "");
  };

  return {
    record: async (regarding, note, signal) => {
      const telling = tellingOf(regarding, note, clock);
      const before = told.get(telling.name);
      const at = clock.monotonic();
      if (before !== undefined && at - before.at < REPEAT_MS) return false;
      const { uid = telling.name } = regarding.metadata;
      if (pace.earliest(uid) > at) {
        log.debug({ reason: note.reason, object: regarding.metadata.name }, "event dropped: too many of this object");
        return false;
      }
      pace.spend(uid);
      const count = (before?.count ?? 0) + 1;
      // Before the write, so that a second reconcile meanwhile does not tell it too.
      remember(telling.name, { at, count });
      try {
        return await write(telling, count, { ...options, signal });
      } catch (error) {
        // Nor will anybody ever be told in a namespace that goes.
        if (isOperatorError(error, "KUBE_NAMESPACE_ENDING")) return false;
        remember(telling.name, before);
        log.warn({ reason: note.reason, error: toOperatorError(error).message }, "event not written");
        return false;
      }
    },
  };
}

/** The name is a hash of the situation: for a second process that tells the same, the event exists already. */
function tellingOf(regarding: KubeObject, { eventType, reason, note: text }: EventNote, clock: Clock): Telling {
  const { namespace = "default", name, uid = "" } = regarding.metadata;
  const note = text.slice(0, NOTE_LENGTH_MAX);
  const hash = contentHash([uid, reason, note, eventType]);
  const stem = name.slice(0, NAME_LENGTH_MAX).replace(/[^a-z0-9]+$/, "");
  const now = rfc3339Micros(clock.now());
  return { regarding, note: { eventType, reason, note }, name: `${stem}.${hash}`, namespace, now };
}

async function write(
  telling: Telling,
  count: number,
  options: Pick<EventRecorderOptions, "client" | "fence" | "reportingController" | "reportingInstance"> & {
    readonly signal: AbortSignal;
  },
): Promise<boolean> {
  const { client, fence, signal } = options;
  const { namespace, name, now } = telling;
  // Whatever else this process has to send goes first.
  const how = { signal, fence, priority: "background" } as const;
  if (count > 1) {
    try {
      const patch = { series: { count, lastObservedTime: now } };
      await client.patch(RESOURCES.Event, { namespace, name }, { format: "merge", patch, ...how });
      return true;
    } catch (error) {
      // The server forgets events after an hour; then a new series begins.
      if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
    }
  }
  try {
    await client.create(RESOURCES.Event, eventOf(telling, options), how);
    return true;
  } catch (error) {
    if (isOperatorError(error, "KUBE_ALREADY_EXISTS")) return false;
    throw error;
  }
}

function eventOf(
  { regarding, note, name, namespace, now }: Telling,
  by: Pick<EventRecorderOptions, "reportingController" | "reportingInstance">,
): KubeObject {
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name, namespace },
    eventTime: now,
    type: note.eventType,
    reason: note.reason,
    note: note.note,
    action: "Reconcile",
    reportingController: by.reportingController,
    reportingInstance: by.reportingInstance.slice(0, 128),
    regarding: {
      apiVersion: regarding.apiVersion,
      kind: regarding.kind,
      namespace,
      name: regarding.metadata.name,
      uid: regarding.metadata.uid,
      resourceVersion: regarding.metadata.resourceVersion,
    },
  };
}
