import { backendRefs } from "../routes.ts";
import { CANARY, STABLE, type Stage } from "./stage.ts";

/** What half of the requests get when the canary's Service has no ready pod, no pod at all, or does not exist. */
export async function unready(stage: Stage): Promise<unknown> {
  const rules = (canary: string) => [
    {
      backendRefs: backendRefs([
        [STABLE, 1],
        [canary, 1],
      ]),
    },
  ];
  const counted = async (): Promise<unknown> => {
    const load = await stage.load({ rate: 100, seconds: 5 });
    const { counts, errors } = await load.ended();
    await load.stop();
    return { counts, errors };
  };
  await stage.deploy({ name: "not-ready", version: "not-ready", env: { READY: "false" } }, { wait: false });
  await stage.deploy({ name: "no-pods", version: "no-pods", replicas: 0 });
  const answers: Record<string, unknown> = {};
  for (const service of ["not-ready", "no-pods", "missing"]) {
    await stage.route(rules(service));
    answers[service] = await counted();
  }
  await stage.route(rules(CANARY));
  return answers;
}
