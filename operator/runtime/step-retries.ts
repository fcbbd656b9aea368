import { contentHash } from "../../lib/core/canonical.ts";
import type { Clock } from "../../lib/core/clock.ts";
import type { OperatorError } from "../../lib/core/errors.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { nameOf } from "./actions.ts";
import { createRetries } from "./retries.ts";
import type { Action } from "./types.ts";

/*
 * The backoff of single steps (docs/adr/0016-failures-of-steps.md). A step that failed is not sent again before its time,
 * so the key need not wait with it: events run the key as ever, and what they ask for is done, while the step that failed
 * answers with what it failed with. It is sent again with its backoff; with an event at least every 150 s; at once when it has
 * another content, or when somebody edited the resource.
 */

/** Which steps failed, with what, and when each of them is sent again. */
export interface StepRetries {
  /** What a step failed with that is not to be sent again yet; `undefined` for one that is. */
  waiting(owner: KubeObject, action: Action): OperatorError | undefined;
  /** @returns seconds after which the step is to be sent again; `undefined` when only another input helps */
  failed(owner: KubeObject, action: Action, error: OperatorError): void;
  succeeded(owner: KubeObject, action: Action): void;
  /** Seconds until the first of these steps is to be sent again; `undefined` when only another input helps. */
  nextSeconds(owner: KubeObject, actions: readonly Action[]): number | undefined;
}

/** A step that failed. */
interface Failed {
  readonly error: OperatorError;
  /** What was asked for, of which resource. */
  readonly input: string;
  /** Monotonic time of the next try; `undefined` when only another input helps. */
  readonly until: number | undefined;
  readonly failedAt: number;
}

/** A failure that asks for a time without naming one. */
const AFTER_DEFAULT_SECONDS = 5;
/** A proxy in maintenance may name a day; this is the cap of the backoff. */
const AFTER_MAX_SECONDS = 1_000;
/** Nobody tells that a quota or a right was changed: what was refused is asked for again this often at least. */
const REFUSED_MAX_MS = 60_000;
/** What undoes something is tried again this often at least, however long it has failed: its cause may end at any moment. */
const URGENT_MAX_MS = 5_000;
/** Nobody asks for a step for so long unless its resource is gone: longer than any backoff. */
const FORGET_AFTER_MS = 2 * AFTER_MAX_SECONDS * 1_000;

/** No step has failed yet. */
export function createStepRetries(clock: Pick<Clock, "monotonic">): StepRetries {
  const retries = createRetries();
  /** By step, in the order of their failures. */
  const failed = new Map<string, Failed>();

  const forget = (id: string): void => {
    failed.delete(id);
    retries.forget(id);
  };
  const sweep = (now: number): void => {
    for (const [id, { failedAt }] of failed) {
      if (now - failedAt < FORGET_AFTER_MS) return;
      forget(id);
    }
  };

  return {
    waiting: (owner, action) => {
      const id = idOf(owner, action);
      const last = failed.get(id);
      if (last === undefined) return undefined;
      if (last.input !== inputOf(owner, action)) return void forget(id);
      const earliest = retries.earliest(id);
      if (earliest !== undefined && earliest > clock.monotonic()) return last.error;
      retries.begin(id);
      return undefined;
    },
    failed: (owner, action, error) => {
      const id = idOf(owner, action);
      const now = clock.monotonic();
      sweep(now);
      const afterMs =
        error.retry === "after"
          ? afterSecondsOf(error) * 1_000
          : retries.failed(id, now, longestWaitMs(error, action.type !== "event" && action.urgent === true));
      if (error.retry === "after") retries.failedUntil(id, { now, until: now + afterMs });
      failed.delete(id);
      failed.set(id, {
        error,
        input: inputOf(owner, action),
        until: error.retry === "terminal" ? undefined : now + afterMs,
        failedAt: now,
      });
    },
    succeeded: (owner, action) => {
      // Nearly always nothing has failed at all.
      if (failed.size > 0) forget(idOf(owner, action));
    },
    nextSeconds: (owner, actions) => {
      const times = actions.flatMap((action) => failed.get(idOf(owner, action))?.until ?? []);
      return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - clock.monotonic()) / 1_000;
    },
  };
}

/**
 * What the error asks for; the default when that is no usable number, as some proxies send it. None at all is not usable
 * either: neither backoff nor pace bounds such a retry, so the key would run without end.
 */
export function afterSecondsOf({ retryAfterSeconds: asked = AFTER_DEFAULT_SECONDS }: OperatorError): number {
  return Number.isFinite(asked) && asked > 0 ? Math.min(asked, AFTER_MAX_SECONDS) : AFTER_DEFAULT_SECONDS;
}

/** The longest that a failure waits, where that is less than the backoff's own. */
export function longestWaitMs({ code }: OperatorError, isUrgent: boolean): number | undefined {
  if (isUrgent) return URGENT_MAX_MS;
  return code === "KUBE_FORBIDDEN" ? REFUSED_MAX_MS : undefined;
}

function idOf({ metadata }: KubeObject, action: Action): string {
  return `${metadata.uid ?? ""} ${action.type} ${nameOf(action)}`;
}

/** Another one is another task: nothing is known of it yet. */
function inputOf({ metadata }: KubeObject, action: Action): string {
  const { generation, labels, annotations, deletionTimestamp } = metadata;
  return contentHash([generation, labels, annotations, deletionTimestamp, action].map((part) => part ?? null));
}
