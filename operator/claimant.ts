import { ANNOTATIONS } from "../crds/group.ts";
import type { Clock } from "../lib/core/clock.ts";
import { toOperatorError } from "../lib/core/errors.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import type { Logger } from "../lib/node/logger.ts";
import type { Metrics } from "../lib/node/metrics.ts";
import { createInstallationWatch } from "./installation-watch.ts";
import {
  type Claim,
  claimAnnotations,
  leadsBeside,
  rivalsOf,
  waitsForOlder,
  waitsForYounger,
} from "./installations.ts";

export interface ClaimantOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  readonly watchNamespaces: readonly string[];
  readonly durationSeconds: number;
  /** Interval of the Lease's renewals. */
  readonly retryMs: number;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Logger;
  /** The installation's own Lease is this replica's. */
  readonly isHeld: () => boolean;
  /** What our Lease says, as the server last answered. */
  readonly annotation: (name: string) => string | undefined;
  /** No other installation comes first. */
  readonly onLeads: () => void;
  /** While it leads: an older installation does, so this one has to end. Never followed by `onLeads`. */
  readonly onYield: (reason: string) => void;
}

/** The part of an installation among others (`installations.ts`), played by the replica that has its Lease. */
export interface Claimant {
  /** Once the Lease is held. */
  start(): void;
  stop(): void;
  /** What our Lease is to say with its next write. */
  annotations(): Record<string, string>;
  leads(): boolean;
  waitsFor(): string | undefined;
}

/** Between two looks at the Leases of others: 5 s. */
const LOOK_RATIO = 2.5;
/** Two looks further apart have an outage between them: 15 s. */
const OUTAGE_RATIO = 3;
/** How long a younger installation that leads has to stop: it needs two looks and its shutdown. 60 s. */
const YOUNGER_RATIO = 30;
/** A look may show a Lease whose annotations somebody just took off; its holder writes them again with the next renewal. */
const LOOKS_TO_YIELD = 2;
/** Until our claim is in the Lease it is looked after this often. */
const CLAIM_RATIO = 0.25;

/** Nothing is sent before `start`. */
export function createClaimant(options: ClaimantOptions): Claimant {
  const { clock, log, watchNamespaces, retryMs } = options;
  const lookMs = retryMs * LOOK_RATIO;
  const others = options.metrics.gauge("shieldx_other_installations");
  others.set({}, 0);
  const watch = createInstallationWatch({ ...options, outageMs: lookMs * OUTAGE_RATIO });
  const stopping = new AbortController();
  let waitsForNamespace: string | undefined;
  let state: { readonly leads: boolean; readonly text?: string } = { leads: false };
  let youngerSince: number | undefined;
  let olderSeen = 0;
  let isRunning = false;

  const wait = (text: string): void => {
    if (state.text !== text) log.warn({ lease: options.name }, text);
    state = { leads: false, text };
  };
  const isClaimWritten = (): boolean =>
    waitsForNamespace === undefined &&
    options.annotation(ANNOTATIONS.installation) === claimAnnotations([], undefined)[ANNOTATIONS.installation];

  const whileLeading = (older: Claim | undefined, younger: Claim | undefined): void => {
    olderSeen = older === undefined ? 0 : olderSeen + 1;
    if (older !== undefined && olderSeen >= LOOKS_TO_YIELD) {
      state = { leads: false, text: waitsForOlder(older) };
      log.warn({ lease: options.name }, waitsForOlder(older));
      return options.onYield(`the installation in namespace ${older.namespace} is older`);
    }
    const text = younger && leadsBeside(younger);
    if (text !== undefined && state.text !== text) log.warn({ lease: options.name }, text);
    state = text === undefined ? { leads: true } : { leads: true, text };
  };

  const lead = (): void => {
    state = { leads: true };
    options.onLeads();
  };

  /** @returns milliseconds until the next step */
  const step = async (): Promise<number> => {
    // A look counts only after the claim: who claims after it will see ours.
    if (!state.leads && waitsForNamespace === undefined && !isClaimWritten()) return retryMs * CLAIM_RATIO;
    const view = await watch.look(stopping.signal);
    if (view === undefined || !options.isHeld()) return retryMs;
    const { older, younger, count } = rivalsOf({ ...view.own, watches: watchNamespaces }, view.others);
    others.set({}, count);
    if (state.leads) whileLeading(older, younger);
    else if (older !== undefined) {
      waitsForNamespace = older.namespace;
      youngerSince = undefined;
      wait(waitsForOlder(older));
    } else if (waitsForNamespace !== undefined) {
      waitsForNamespace = undefined;
      return retryMs * CLAIM_RATIO;
    } else if (
      younger === undefined ||
      clock.monotonic() - (youngerSince ??= clock.monotonic()) >= retryMs * YOUNGER_RATIO
    ) {
      lead();
    } else wait(waitsForYounger(younger));
    return lookMs;
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted && options.isHeld()) {
      let nextMs = retryMs;
      try {
        nextMs = await step();
      } catch (thrown) {
        if (stopping.signal.aborted) return;
        log.warn({ error: toOperatorError(thrown).message }, "other installations cannot be looked for");
      }
      await clock.sleep(nextMs, stopping.signal);
    }
  };

  return {
    start: () => {
      if (isRunning) return;
      isRunning = true;
      void run();
    },
    stop: () => stopping.abort(),
    annotations: () => claimAnnotations(watchNamespaces, waitsForNamespace),
    leads: () => state.leads,
    waitsFor: () => (state.leads ? undefined : state.text),
  };
}
