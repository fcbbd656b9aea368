import { backoffMs } from "../../lib/core/backoff.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import type { Source, SourceContext } from "./types.ts";

/** A source that broke is begun again after this. */
const BACKOFF = { baseMs: 800, capMs: 30_000 };
/** As for a watch: whoever ran for this long was well, and what breaks it now is another trouble. */
const HEALTHY_MS = 120_000;

/**
 * Runs a source until it ends or the signal aborts; one that breaks is begun again, after a pause that grows until the
 * source has run for two minutes.
 */
export async function feed(source: Source, context: SourceContext): Promise<void> {
  const { clock, signal, log } = context;
  let failures = 0;
  while (!signal.aborted) {
    const startedAt = clock.monotonic();
    try {
      return await source.run(context);
    } catch (error) {
      if (clock.monotonic() - startedAt > HEALTHY_MS) failures = 0;
      log.error({ source: source.name, failures, error: toOperatorError(error).message }, "source broke");
      await clock.sleep(backoffMs(failures++, BACKOFF), signal);
    }
  }
}
