import { systemClock } from "../../../lib/core/clock.ts";
import { prng } from "../../../lib/core/prng.ts";
import { backendRefs } from "../routes.ts";
import { CANARY, failures, STABLE, type Stage } from "./stage.ts";

const CHANGES = 30;
const RATE = 200;
const EVERY_MS = 1000;

/** Whether changes of weights cost requests. GET is sent again by the client when a kept connection breaks, POST is not. */
export async function changes(stage: Stage): Promise<unknown> {
  const answers: Record<string, unknown> = {};
  const random = prng(1);
  for (const method of ["GET", "POST"]) {
    await stage.route([
      {
        backendRefs: backendRefs([
          [STABLE, 10_000],
          [CANARY, 0],
        ]),
      },
    ]);
    const load = await stage.load({ rate: RATE, seconds: CHANGES + 5, flags: ["-method", method] });
    for (let i = 0; i < CHANGES; i += 1) {
      const bps = Math.floor(random() * 10_001);
      await stage.setWeights([
        [STABLE, 10_000 - bps],
        [CANARY, bps],
      ]);
      await systemClock.sleep(EVERY_MS);
    }
    const { counts, errors, sent } = await load.ended();
    await load.stop();
    answers[method] = { changes: CHANGES, sent, failures: failures(counts), counts, errors };
  }
  return answers;
}
