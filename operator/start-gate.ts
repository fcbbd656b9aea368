import type { Logger } from "../lib/node/logger.ts";
import type { WaitableView } from "./kube/cache.ts";
import type { ControllerLoop } from "./runtime/controller.ts";

/**
 * Lets the loop of a controller start only once everything that it reads is in memory: what is not listed yet would look
 * deleted to it. So a kind that the server does not have, or does not let us read, stops those controllers alone that
 * watch it, and they begin by themselves when it can be listed.
 */
export function startWhenFilled(
  loop: ControllerLoop,
  view: Pick<WaitableView, "whenFilled" | "missing">,
  log: Logger,
): ControllerLoop {
  return {
    ...loop,
    start: () => {
      const informers = view.missing();
      if (informers.length === 0) return loop.start();
      log.warn({ informers }, "the controller waits for what it cannot list");
      // After an abort the loop does not start any more: who lost the Lease meanwhile stays at rest.
      void view.whenFilled().then(() => {
        log.info({ informers }, "everything is listed");
        loop.start();
      });
    },
  };
}
