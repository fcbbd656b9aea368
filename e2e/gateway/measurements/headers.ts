import { backendRefs } from "../routes.ts";
import { byVersion, CANARY, STABLE, type Stage } from "./stage.ts";

const WEIGHTED = {
  backendRefs: backendRefs([
    [STABLE, 1],
    [CANARY, 0],
  ]),
};
const MATCHED = {
  matches: [{ headers: [{ name: "x-canary", value: "always" }] }],
  backendRefs: backendRefs([[CANARY, 1]]),
};

/** Whether a rule that matches a header goes before one that matches all, in whichever order they are written. */
export async function headers(stage: Stage): Promise<unknown> {
  const answers: Record<string, unknown> = {};
  for (const [order, rules] of Object.entries({ matchFirst: [MATCHED, WEIGHTED], matchLast: [WEIGHTED, MATCHED] })) {
    await stage.route(rules);
    for (const [name, flags] of Object.entries({
      without: [],
      with: ["-header", "x-canary=always"],
      withOtherValue: ["-header", "x-canary=never"],
    })) {
      const load = await stage.load({ rate: 100, seconds: 3, flags });
      const { counts } = await load.ended();
      await load.stop();
      answers[`${order}/${name}`] = byVersion(counts);
    }
  }
  return answers;
}
