import { type Backend, backendRefs, namedBackendRefs } from "../routes.ts";
import { STABLE, type Stage } from "./stage.ts";

/**
 * What requests get when half of them go to a Service that has no ready pod, no pod at all, or does not exist; and whether a
 * filter on each backend makes a difference.
 */
export async function unready(stage: Stage): Promise<unknown> {
  await stage.deploy({ name: "not-ready", version: "not-ready", env: { READY: "false" } }, { wait: false });
  await stage.deploy({ name: "no-pods", version: "no-pods", replicas: 0 });
  const answers: Record<string, unknown> = {};
  for (const service of ["not-ready", "no-pods", "missing"]) {
    const half: readonly Backend[] = [
      [STABLE, 1],
      [service, 1],
    ];
    for (const [name, refs] of Object.entries({ plain: backendRefs(half), named: namedBackendRefs(half) })) {
      await stage.route([{ backendRefs: refs }]);
      const load = await stage.load({ rate: 100, seconds: 5 });
      const { counts } = await load.ended();
      await load.stop();
      answers[`${service}/${name}`] = counts;
    }
  }
  return answers;
}
