import type { Logger } from "../lib/node/logger.ts";
import type { WaitableView } from "./kube/cache.ts";
import type { ControllerLoop } from "./runtime/controller.ts";
import type { Controller } from "./runtime/types.ts";

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

/** A key whose namespace is in memory in part only is looked at again after this: its other parts come, or it goes. */
const PARTIAL_LOOK_SECONDS = 5;

/**
 * Keeps a controller away from keys of a watched namespace that is not in memory as a whole: what of it may not be read
 * would look deleted. Where all of it is gone, its keys are dropped; the lists of its return bring them back.
 */
export function reconcileFilledOnly(controller: Controller, view: Pick<WaitableView, "isFilled" | "get">): Controller {
  return {
    ...controller,
    reconcile: async (key, context) => {
      if (view.isFilled(key.namespace)) return controller.reconcile(key, context);
      const isKnown = view.get(controller.resource, key.namespace, key.name) !== undefined;
      return isKnown ? { requeueAfterSeconds: PARTIAL_LOOK_SECONDS } : {};
    },
  };
}
