// One vocabulary of misbehaviour for the fake API server and for the proxy in front of a real one, so that a test of a
// fault is written once and runs on both.

/** What to do to a request instead of, before or after answering it. */
export type FaultAction =
  | {
      /** An answer that the server did not give; the server does nothing. */
      readonly type: "answer";
      readonly status: number;
      readonly retryAfterSeconds?: number | undefined;
      /** A `Status` object with the reason that goes with the code unless told. */
      readonly body?: string | undefined;
      /** The answer leaves only then. */
      readonly until?: Promise<unknown> | undefined;
      /** The answer leaves that much later, milliseconds of the machine's clock. */
      readonly afterMs?: number | undefined;
    }
  /** The connection breaks before the server does anything. */
  | { readonly type: "reset" }
  /** The server does it, and the connection breaks before the answer. */
  | { readonly type: "lose-answer" }
  /** The server does it, and the connection breaks in the middle of the answer. For a watch: of its first line. */
  | { readonly type: "cut-answer" }
  /** No answer ever; the server does nothing. */
  | { readonly type: "hang" }
  /** Carried out only then. */
  | { readonly type: "wait"; readonly until: Promise<unknown> }
  /** Latency: carried out that much later, milliseconds of the machine's clock. */
  | { readonly type: "delay"; readonly ms: number };

/** A fault for the next requests that match. */
export interface Fault {
  readonly method?: string | undefined;
  /** Tested against path and query. */
  readonly path?: RegExp | undefined;
  /** Only watches, or only other requests; both when left out. */
  readonly watch?: boolean | undefined;
  /** 1 unless told; Infinity for always. */
  readonly times?: number | undefined;
  /** How likely a matching request is hit, 0 to 1; always unless told. Drawn from the target's seed. */
  readonly chance?: number | undefined;
  readonly action: FaultAction;
}

/** How lines of watches are treated on their way to the client. */
export type WatchTrouble =
  /** The connection drips: so many bytes, then a pause. */
  | { readonly type: "slow"; readonly bytes: number; readonly everyMs: number }
  /** The client's picture lags: a line comes that much later while reads show the present. */
  | { readonly type: "late"; readonly ms: number }
  /** A line comes twice in a row. */
  | { readonly type: "duplicate" }
  /**
   * A line is overtaken by the next one. `across-objects` swaps lines of different objects only: rare, and no client may
   * care. `within-object` swaps two states of one object, which no API server does: it shows that we survive a broken one.
   */
  | { readonly type: "reorder"; readonly what: "across-objects" | "within-object" };

/** Which lines the trouble befalls. */
export interface WatchTroubleScope {
  /** Tested against path and query of the watch; all watches when left out. */
  readonly path?: RegExp | undefined;
  /** How likely a line is hit by duplication or reordering; always unless told. Drawn from the target's seed. */
  readonly chance?: number | undefined;
}

/** A request as the server saw it, before any fault. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly userAgent: string;
  readonly body: string;
}

/** Something between a client and the objects of an API server that can misbehave. */
export interface FaultTarget {
  /** `http://127.0.0.1:port` */
  readonly server: string;
  /** Adds a fault; the first one that matches is used. @returns a function that takes it away */
  inject(fault: Fault): () => void;
  /** Treats lines of open and future watches so, until undone. @returns the function that undoes it */
  troubleWatches(trouble: WatchTrouble, scope?: WatchTroubleScope): () => void;
  /** Number of open watches. */
  watches(): number;
  /** Breaks each watch's connection; `half` sends the beginning of a line before that. */
  cutWatches(how?: { readonly half?: boolean }): void;
  /** Ends each watch in order, as a server does after `timeoutSeconds`. */
  endWatches(): void;
  /** From now on the watches that are open receive nothing and stay open. */
  stallWatches(): void;
  /**
   * Silent death of the network, as of a NAT that forgets: on connections that are open now nothing arrives any more, in
   * either direction, and they stay open; new ones work.
   */
  silenceConnections(): void;
  /** Sends a line to each watch that is not stalled. */
  sendLine(line: string): void;
  /**
   * Compaction: watches from older versions, and further pages of older lists, answer 410, as HTTP status or as a frame
   * (pages always as status), until the client has listed again through this target.
   */
  compact(as: "status" | "frame"): void;
  /** Takes away all faults and troubles. Watches that are stalled stay so: cut them. */
  heal(): void;
  /** All requests since the start or the last `forgetRequests`. */
  requests(): readonly SeenRequest[];
  /** Those that can change something: POST, PUT, PATCH, DELETE. */
  writes(): readonly SeenRequest[];
  forgetRequests(): void;
}
