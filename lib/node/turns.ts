import { setImmediate as nextTurn } from "node:timers/promises";

/**
 * Lets those who wait go on one after the other, each in a turn of the event loop of its own: between long synchronous work of
 * many, timers and sockets of all others get to run.
 */
export function createTurns(): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return () => {
    last = last.then(() => nextTurn());
    return last;
  };
}
