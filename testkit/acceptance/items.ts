import { afterAll, beforeAll, describe } from "@jest/globals";
import type { AcceptanceServer } from "./server.ts";

/**
 * What an operator runtime must show, item by item. The sentence is the title of the item's tests, so that the output of
 * a run is the list with its ticks. Some items have details that a server cannot be made to do; `README.md` says which
 * test runs where.
 */
export const ITEMS = {
  1: "10,000 events on one key while it reconciles cause exactly one further run; the same key never overlaps itself",
  2: "Fail 12 times: delays follow 5 ms·2ⁿ; one success resets them; events do not pass them; a terminal error never requeues; retry-after is honoured",
  3: "A live edit made during a 10,000-object start-up list is reconciled before the backlog ends",
  4: "Watch cut, silent stall, 410 as status, 410 as frame, 429 with Retry-After, garbage line: the cache equals the server again, no duplicate effect, each case counted in a metric",
  5: "A second pass over converged state sends 0 writes; resource versions stay stable for 10 min",
  6: "An operator restart over converged state sends 0 writes",
  7: "Two replicas under partition: no write carries an old epoch; the stand-by takes over within lease + retry",
  8: "Event-loop stall of the leader: no write carries an old epoch",
  9: "A clean stop hands leadership over in under 3 s",
  10: "SIGTERM: no new reconcile starts; running ones get the abort signal and finish inside the grace time; then the Lease is released; then exit 0",
  11: "Finalizer: added before any external effect; removed only after clean-up succeeded; an object without the finalizer is left alone",
  12: "A condition's lastTransitionTime changes only with its status; observedGeneration is the generation that the conditions describe, failures included; kubectl wait terminates",
  13: "Webhook certificate rotated under load with no failed admission",
  14: "Readiness turns false when an informer has been stale for 2 min",
} as const;

/** Number of an item of the acceptance list. */
export type ItemNumber = keyof typeof ITEMS;

/** A run of the list on one kind of server. */
export interface AcceptanceSuite {
  /** A server, or a part of a shared one, for one item; closed after it. */
  start(): Promise<AcceptanceServer>;
  /** Items that have been described so far. */
  readonly covered: Set<ItemNumber>;
}

/** Describes the tests of one item under its number and sentence. */
export function describeCases(suite: Pick<AcceptanceSuite, "covered">, item: ItemNumber, cases: () => void): void {
  suite.covered.add(item);
  describe(`${item}. ${ITEMS[item]}`, cases);
}

/** As `describeCases`, with a server of the item's own. */
export function describeItem(
  suite: AcceptanceSuite,
  item: ItemNumber,
  cases: (server: () => AcceptanceServer) => void,
): void {
  describeCases(suite, item, () => {
    let server: AcceptanceServer | undefined;
    beforeAll(async () => {
      server = await suite.start();
    });
    afterAll(() => server?.close());
    cases(() => {
      if (server === undefined) throw new Error("the server is used before its tests");
      return server;
    });
  });
}
