import type { Priority } from "./flow-control.ts";

/** What every request takes. */
export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** For the whole call, waits and retries included; 30 s unless told. */
  readonly timeoutMs?: number | undefined;
  /** Attempts after the first; 3 unless told. 0 for callers with a schedule of their own. */
  readonly retries?: number | undefined;
  /** Who goes first while there are more requests than connections; `normal` unless told. `urgent` waits for nobody. */
  readonly priority?: Priority | undefined;
  /**
   * Called at each attempt, at the moment when the request is written to its connection; when it throws, nothing is sent
   * and the call rejects with that error. A write under a right that may end (a Lease) carries one. Such a call takes
   * at most 5 s here, and once the server has read it, at most 5 s there (see ADR 0013).
   */
  readonly fence?: (() => void) | undefined;
}

/** One finished HTTP exchange, for metrics. */
export interface RequestRecord {
  /** HTTP status, or `<error>` when there was no answer (as client-go counts). */
  readonly code: string;
  readonly method: string;
  readonly host: string;
  readonly seconds: number;
  /** See `RequestOptions`; of long reads `normal`. */
  readonly priority: Priority;
  /** Time that it waited for a connection before. */
  readonly queuedSeconds: number;
  /** The `Audit-ID` under which the server's audit log shows it. */
  readonly requestId: string;
}
