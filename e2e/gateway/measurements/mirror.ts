import { backendRefs } from "../routes.ts";
import { CANARY, STABLE, type Stage } from "./stage.ts";

const RATE = 500;
const SECONDS = 6;
/** `undefined`: a mirror without a percentage, which is all of the requests. */
const PERCENTS = [undefined, 10, 25] as const;

/**
 * Whether RequestMirror copies requests, which part of them, whether a match of methods keeps the others out, and whether a slow
 * and broken copy is felt by users.
 */
export async function mirror(stage: Stage): Promise<unknown> {
  const answers: Record<string, unknown> = {};
  for (const percent of PERCENTS) {
    await stage.route([mirrored(percent)]);
    answers[`percent ${percent ?? "left out"}`] = { ...(await copiesOf(stage, "GET")), ...(await conditions(stage)) };
  }
  await stage.route([
    { ...mirrored(undefined), matches: [{ method: "GET" }, { method: "HEAD" }] },
    { backendRefs: backendRefs([[STABLE, 1]]) },
  ]);
  for (const method of ["GET", "POST"]) answers[`safe methods only, ${method}`] = await copiesOf(stage, method);
  await stage.deploy({ name: "broken", version: "broken", env: { ERRORS: "1", LATENCY_MS: "2000" } });
  await stage.route([mirrored(undefined, "broken")]);
  answers["slow and broken copy"] = await copiesOf(stage, "GET");
  return { ...answers, metricsOfCanary: await canaryMetrics(stage) };
}

function mirrored(percent: number | undefined, to = CANARY): object {
  const requestMirror = { backendRef: { name: to, port: 80 }, ...(percent === undefined ? {} : { percent }) };
  return { filters: [{ type: "RequestMirror", requestMirror }], backendRefs: backendRefs([[STABLE, 1]]) };
}

async function copiesOf(stage: Stage, method: string): Promise<object> {
  const total = async () => sum(await canaryMetrics(stage), "http_requests_total");
  const before = await total();
  const load = await stage.load({ rate: RATE, seconds: SECONDS, flags: ["-method", method] });
  const { counts, sent } = await load.ended();
  await load.stop();
  return { sent, counts, copies: (await total()) - before };
}

async function conditions(stage: Stage): Promise<object> {
  const parents = (await stage.readRoute()).status?.parents ?? [];
  const told = parents.flatMap((parent) => parent.conditions ?? []);
  return { conditions: told.map(({ type, status, reason, message }) => [type, status, reason, message].join(" ")) };
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
