/** Counts from the gateway: each of its pods counts what the Services of both versions answered through it. */
import type { GatewaySource } from "../../../crds/rollout-analysis.ts";
import { toOperatorError } from "../../../lib/core/errors.ts";
import {
  ANSWER_TIMEOUT_MS,
  type Answer,
  type CountSource,
  type Scrape,
  SHARED_PAGE_BYTES_MAX,
  sideOf,
} from "./answer.ts";
import { parseExposition, type Sample } from "./exposition.ts";
import { type CountNames, type Reading, readingOf, seriesOf } from "./reading.ts";
import { type SampleTask, TARGETS_MAX } from "./task.ts";

/** All addresses of a name; `lib/node/addresses.ts` has this shape. @throws OperatorError METRICS_UNREACHABLE */
export type Resolve = (name: string, timeoutMs: number) => Promise<readonly string[]>;

/** How a gateway names what it counts. */
interface Flavour {
  readonly requests: string;
  /** Label of the answer's code. */
  readonly label: string;
  readonly latency: NonNullable<CountNames["latency"]>;
  /** Whether a series is about a Service of the route. */
  readonly isOf: (task: SampleTask, service: string) => (labels: Sample["labels"]) => boolean;
}

const FLAVOURS: Readonly<Record<GatewaySource["flavour"], Flavour>> = {
  // `httproute-<ns>-<route>-gw-<ns>-<gateway>-ep-<entry point>-<rule>-<hash>-svc-<ns>-<service>-<place>@kubernetesgateway`;
  // of gRPC it begins with `grpcroute-`, and the code is the status of gRPC (e2e/gateway/README.md).
  Traefik: {
    requests: "traefik_service_requests_total",
    label: "code",
    latency: { histogram: "traefik_service_request_duration_seconds", unitMs: 1_000 },
    isOf: ({ key: { namespace }, route }, service) => {
      const begin = new RegExp(`^(?:http|grpc)route-${namespace}-${route}-gw-`);
      const end = new RegExp(`-svc-${namespace}-${service}-[0-9]+@kubernetesgateway$`);
      return (labels) => {
        const name = labels.get("service") ?? "";
        return begin.test(name) && end.test(name);
      };
    },
  },
  // `<ns>_<service>_<port>` (AltStatName of internal/envoy/cluster.go of Contour); time in milliseconds.
  Envoy: {
    requests: "envoy_cluster_upstream_rq",
    label: "envoy_response_code",
    latency: { histogram: "envoy_cluster_upstream_rq_time", unitMs: 1 },
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
  { flavour, failures, service, port, path }: GatewaySource,
  hasLatency: boolean,
): CountSource {
  const { requests, label, latency, isOf } = FLAVOURS[flavour];
  const names: CountNames = { requests, errors: { label, pattern: failures }, ...(hasLatency ? { latency } : {}) };
  const wanted = seriesOf(names);
  const askOne = async (host: string, task: SampleTask, signal: AbortSignal): Promise<Pair | string> => {
    try {
      const limits = { timeoutMs: ANSWER_TIMEOUT_MS, bytesMax: SHARED_PAGE_BYTES_MAX, isLocalRefused: true };
      const page = parseExposition(await scrape({ host, port, path, ...limits, signal }), wanted);
      const of = (name: string): Reading => readingOf(page, names, isOf(task, name));
      return { canary: of(task.services.canary), stable: of(task.services.stable) };
    } catch (error) {
      return `gateway ${toOperatorError(error).message}`;
    }
  };
  return async (task, signal) => {
    try {
      const all = await resolve(`${service.name}.${service.namespace}.svc`, ANSWER_TIMEOUT_MS);
      const hosts = all.slice(0, TARGETS_MAX);
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
