import { beforeAll, it } from "@jest/globals";
import { type Fixture, openFixture } from "./fixture.ts";
import { type AcceptanceSuite, describeCases, type ItemNumber } from "./items.ts";
import type { AcceptanceServer } from "./server.ts";

/** A case on a server of its own, which is closed after it. */
export type OwnCase = (fixture: Fixture, server: AcceptanceServer) => Promise<void>;

/** Longer than any deadline within. */
const TIMEOUT_MS = 60_000;

/**
 * Describes cases of one item that wait more than they work, for a Lease to end or a process to start: they run all at once,
 * and each is told as a test of its own.
 */
export function describeAtOnce(
  suite: AcceptanceSuite,
  item: ItemNumber,
  cases: Readonly<Record<string, OwnCase>>,
): void {
  describeCases(suite, item, () => {
    /** By name: throws what the case has failed with. */
    const ends = new Map<string, Promise<() => void>>();
    beforeAll(() => {
      for (const [name, run] of Object.entries(cases)) ends.set(name, endOf(carryOut(suite, run)));
    });
    it.each(Object.keys(cases))(
      "%s",
      async (name) => {
        const tell = await ends.get(name);
        if (tell === undefined) throw new Error("the case was not begun");
        tell();
      },
      TIMEOUT_MS,
    );
  });
}

async function carryOut(suite: AcceptanceSuite, run: OwnCase): Promise<void> {
  const server = await suite.start();
  const fixture = openFixture(() => server);
  try {
    await run(fixture, server);
  } finally {
    await fixture.end();
    await server.close();
  }
}

/** A failure that nobody waits for yet must not end the process. */
function endOf(run: Promise<void>): Promise<() => void> {
  return run.then(
    () => () => undefined,
    (error: unknown) => () => {
      throw error;
    },
  );
}
