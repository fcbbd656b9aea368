import { gatewayUrl } from "../gateways.ts";
import { backendRefs } from "../routes.ts";
import { CANARY, STABLE, type Stage } from "./stage.ts";

const RATE = 500;
const SECONDS = 10;
/** `undefined`: a mirror without a percentage, which is all of the requests. */
const PERCENTS = [undefined, 10, 25] as const;

/** Whether RequestMirror copies requests, which part of them, and what the copies look like to the one that gets them. */
export async function mirror(stage: Stage): Promise<unknown> {
  const filter = (percent: number | undefined) => ({
    type: "RequestMirror",
    requestMirror: {
      backendRef: { name: CANARY, port: 80 },
      ...(percent === undefined ? {} : { percent }),
    },
  });
  const rule = (percent: number | undefined) => ({
    filters: [filter(percent)],
    backendRefs: backendRefs([[STABLE, 1]]),
  });
  const scrape = () => canaryMetrics(stage);
  const answers: Record<string, unknown> = {};
  for (const percent of PERCENTS) {
    await stage.route([rule(percent)]);
    const before = await scrape();
    const load = await stage.load({ rate: RATE, seconds: SECONDS });
    const { counts, sent } = await load.ended();
    await load.stop();
    const after = await scrape();
    const copies = sum(after, "http_requests_total") - sum(before, "http_requests_total");
    const conditions = (await stage.readRoute()).status?.parents?.flatMap((parent) => parent.conditions ?? []);
    answers[`percent ${percent ?? "left out"}`] = { sent, counts, copies, share: copies / sent, conditions };
  }
  await stage.route([rule(undefined)]);
  for (const method of ["GET", "POST", "DELETE"]) {
    const load = await stage.load({
      rate: 10,
      seconds: 1,
      url: `${echoUrl(stage)}?${method}`,
      flags: ["-method", method],
    });
    await load.ended();
    await load.stop();
  }
  return { ...answers, metrics: await scrape() };
}

function echoUrl({ gateway }: Stage): string {
  return `${gatewayUrl(gateway)}/echo`;
}

/** Lines of the canary's metrics that count requests. */
async function canaryMetrics({ raw, namespace }: Stage): Promise<string[]> {
  const text = await raw(`/api/v1/namespaces/${namespace}/services/${CANARY}:http/proxy/metrics`);
  return text.split("\n").filter((line) => /^http_(mirrored_)?requests_total/.test(line));
}

function sum(lines: readonly string[], metric: string): number {
  return lines
    .filter((line) => line.startsWith(`${metric}{`))
    .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
}
