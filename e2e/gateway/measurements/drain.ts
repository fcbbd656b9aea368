import { backendRefs } from "../routes.ts";
import { failures, STABLE, type Stage } from "./stage.ts";

const RATE = 200;
/** A rolling change of two pods needs a few seconds, and the drain on top. */
const SECONDS = 40;

/** Requests that fail while a Deployment goes from one image to another, with and without some time to drain. */
export async function drain(stage: Stage): Promise<unknown> {
  const answers: Record<string, unknown> = {};
  await stage.route([{ backendRefs: backendRefs([[STABLE, 1]]) }]);
  for (const drainMs of ["0", "5000"]) {
    const application = { name: STABLE, version: STABLE, replicas: 2, env: { DRAIN_MS: drainMs } };
    for (const method of ["GET", "POST"]) {
      await stage.deploy(application);
      const load = await stage.load({ rate: RATE, seconds: SECONDS, flags: ["-method", method] });
      await stage.deploy({ ...application, image: stage.images.next });
      await stage.deploy(application);
      const { counts, errors, sent } = await load.ended();
      await load.stop();
      answers[`drain ${drainMs} ms, ${method}`] = { sent, failures: failures(counts), counts, errors };
    }
  }
  await stage.deploy({ name: STABLE, version: STABLE });
  return answers;
}
