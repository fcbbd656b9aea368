/** Counts from the gateway: each of its pods counts what the Services of both versions answered through it. */
import type { GatewaySource } from "../../../crds/rollout-analysis.ts";
import { toOperatorError } from "../../../lib/core/errors.ts";
import { ANSWER_TIMEOUT_MS, type Answer, type CountSource, type Scrape, sideOf } from "./answer.ts";
import { parseExposition, type Sample } from "./exposition.ts";
import { type CountNames, type Reading, readingOf, seriesOf } from "./reading.ts";
import type { SampleTask } from "./task.ts";

/** All addresses of a name; `lib/node/addresses.ts` has this shape. @throws OperatorError METRICS_UNREACHABLE */
export type Resolve = (name: string, timeoutMs: number) => Promise<readonly string[]>;

/** How a gateway names what it counts. */
interface Flavour {
  readonly names: CountNames & Required<Pick<CountNames, "latency">>;
  /** Whether a series is about a Service of the route. */
  readonly isOf: (task: SampleTask, service: string) => (labels: Sample["labels"]) => boolean;
}

const FLAVOURS: Readonly<Record<GatewaySource["flavour"], Flavour>> = {
  // `httproute-<ns>-<route>-gw-<ns>-<gateway>-ep-<entry point>-<rule>-svc-<ns>-<service>-<index>@kubernetesgateway`
  // (pkg/provider/kubernetes/gateway/httproute.go of Traefik 3.5 and later)
  Traefik: {
    names: {
      requests: "traefik_service_requests_total",
      errors: { label: "code", pattern: "5.." },
      latency: { histogram: "traefik_service_request_duration_seconds", unitMs: 1_000 },
    },
    isOf: ({ key: { namespace }, route }, service) => {
      const end = new RegExp(`-svc-${namespace}-${service}-[0-9]+@kubernetesgateway$`);
      return (labels) => {
        const name = labels.get("service") ?? "";
        return name.startsWith(`httproute-${namespace}-${route}-gw-`) && end.test(name);
      };
    },
  },
  // `<ns>_<service>_<port>` (AltStatName of internal/envoy/cluster.go of Contour); time in milliseconds.
  Envoy: {
    names: {
      requests: "envoy_cluster_upstream_rq",
      errors: { label: "envoy_response_code", pattern: "5.." },
      latency: { histogram: "envoy_cluster_upstream_rq_time", unitMs: 1 },
    },
    isOf: ({ key: { namespace } }, service) => {
      const whole = new RegExp(`^${namespace}_${service}_[0-9]+$`);
      return (labels) => whole.test(labels.get("envoy_cluster_name") ?? "");
    },
  },
};

/** Counts of both versions in one process of the gateway. */
interface Pair {
  readonly canary: Reading;
  readonly stable: Reading;
}

/** @param hasLatency whether latency is judged */
export function gatewaySource(
  { scrape, resolve }: { readonly scrape: Scrape; readonly resolve: Resolve },
  { flavour, service, port, path }: GatewaySource,
  hasLatency: boolean,
): CountSource {
  const { isOf, names: all } = FLAVOURS[flavour];
  const names: CountNames = hasLatency ? all : { requests: all.requests, errors: all.errors };
  const wanted = seriesOf(names);
  const askOne = async (host: string, task: SampleTask, signal: AbortSignal): Promise<Pair | string> => {
    try {
      const page = parseExposition(await scrape({ host, port, path, timeoutMs: ANSWER_TIMEOUT_MS, signal }), wanted);
      const of = (name: string): Reading => readingOf(page, names, isOf(task, name));
      return { canary: of(task.services.canary), stable: of(task.services.stable) };
    } catch (error) {
      return `gateway ${toOperatorError(error).message}`;
    }
  };
  return async (task, signal) => {
    try {
      const hosts = await resolve(`${service.name}.${service.namespace}.svc`, ANSWER_TIMEOUT_MS);
      return answerOf(await Promise.all(hosts.map(async (host) => [host, await askOne(host, task, signal)] as const)));
    } catch (error) {
      return answerOf([["", `gateway ${toOperatorError(error).message}`]]);
    }
  };
}

function answerOf(answers: readonly (readonly [host: string, answer: Pair | string])[]): Answer {
  const side = (of: keyof Pair) =>
    sideOf(answers.map(([host, answer]) => [host, typeof answer === "string" ? answer : answer[of]]));
  return { canary: side("canary"), stable: side("stable") };
}
