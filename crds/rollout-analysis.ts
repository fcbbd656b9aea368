/**
 * `spec.analysis` of a Rollout: where the counts of both versions come from, and how sure the judge must be. Shares are in
 * hundredths of a percent and ratios in percent, for a CRD has no fractions; the judge's own policy has plain numbers.
 */
import { z } from "zod";
import { dnsLabel, withRules } from "./common.ts";
import { rolloutDryRun } from "./rollout-dry-run.ts";
import type { RolloutPolicy } from "./rollout-policy.ts";
import { promoteRatioPercent, rateBps, ratioPercent } from "./rollout-rates.ts";

/** A metric as Prometheus names it, without the suffixes of a histogram's series. */
const metricName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/);

const port = z.int().min(1).max(65_535);
const path = z
  .string()
  .min(1)
  .max(512)
  .regex(/^\/[!-~]*$/);

const labelName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/);

/** Without a repetition: it is asked of labels that other programs choose. */
const failurePattern = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[A-Za-z0-9_.-]+(\|[A-Za-z0-9_.-]+)*$/);

const errorSeries = z.strictObject({
  label: labelName
    .meta({ description: "Label of the requests' counter that tells failed requests from others." })
    .default("code"),
  pattern: failurePattern
    .meta({
      description:
        "Values of the label that mean failure, whole: '.' stands for any one character, '|' parts alternatives; all else stands for itself.",
    })
    .default("5.."),
});

const ERROR_SERIES = { label: "code", pattern: "5.." };

const metrics = z.strictObject({
  requests: metricName
    .meta({ description: "Counter of the requests that a pod has answered, summed over all its labels." })
    .default("http_requests_total"),
  errors: errorSeries.meta({ description: "Which of these requests failed." }).default(ERROR_SERIES),
  latency: metricName
    .meta({
      description:
        "Histogram of the time that requests took, without '_bucket'; needed for analysis.latency. Its bounds are seconds, or milliseconds when the name ends in _milliseconds or _ms.",
    })
    .exactOptional(),
});
/** Names of what a pod counts. */
export type PodMetrics = z.output<typeof metrics>;

const METRICS = { requests: "http_requests_total", errors: ERROR_SERIES };

const pods = z.strictObject({
  port: port
    .meta({ description: "Port of each pod on which it tells its metrics by HTTP; no Service is needed." })
    .default(8080),
  path: path.meta({ description: "Path of the metrics." }).default("/metrics"),
  metrics: metrics.meta({ description: "Names of what the pods count." }).default(METRICS),
});

/** HTTP; and UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS of gRPC. */
const GATEWAY_FAILURES = "5..|2|4|12|13|14|15";

const gateway = z.strictObject({
  flavour: z.enum(["Traefik", "Envoy"]).meta({
    description:
      "Whose metrics they are: Traefik counts by Service of the route, Envoy, as Contour runs it, by cluster.",
  }),
  failures: failurePattern
    .meta({
      description:
        "Codes of answers that are failures, whole, as errors.pattern of source pods: 5xx, and of gRPC those that the server is to blame for. A client that gave up waiting is 499 for Traefik.",
    })
    .default(GATEWAY_FAILURES),
  service: z
    .strictObject({
      namespace: dnsLabel("Namespace of the Service.", 63),
      name: dnsLabel("Name of the Service.", 63),
    })
    .meta({
      description:
        "Headless Service (clusterIP None) whose name resolves to all pods of the gateway: each counts what it has passed on itself.",
    }),
  port: port.meta({ description: "Port of the gateway's pods on which they tell their metrics by HTTP." }),
  path: path.meta({ description: "Path of the metrics: /metrics of Traefik, /stats/prometheus of Envoy." }),
});
/** Where a gateway's counters are found. */
export type GatewaySource = z.output<typeof gateway>;

/** Plain HTTP, without name and password or a query; ports are 1 to 65535. */
const PROMETHEUS_URL =
  /^http:\/\/[A-Za-z0-9.-]+(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(\/[A-Za-z0-9._~\/-]*)?$/;

const prometheus = z.strictObject({
  url: z.string().max(512).regex(PROMETHEUS_URL).meta({
    description:
      "Address of the Prometheus, for example http://prometheus.monitoring.svc:9090; with a path when it serves below one.",
  }),
  namespaceLabel: labelName
    .meta({ description: "Label by which its series tell the pod's namespace." })
    .default("namespace"),
  podLabel: labelName.meta({ description: "Label by which its series tell the pod's name." }).default("pod"),
  metrics: metrics.meta({ description: "Names of what the pods count." }).default(METRICS),
});
/** Where a Prometheus is asked for what pods have told it. */
export type PrometheusSource = z.output<typeof prometheus>;

/** Of the sources, those in which pods are named by what they count. */
const NAMED = ["pods", "prometheus"] as const;

const source = withRules(
  z.strictObject({
    pods: pods
      .meta({ description: "The pods of both versions count by themselves, and are asked directly." })
      .exactOptional(),
    gateway: gateway
      .meta({ description: "The gateway counts what each version answered; its pods are asked directly." })
      .exactOptional(),
    prometheus: prometheus
      .meta({
        description:
          "A Prometheus is asked for what the pods of both versions have told it: as old as its scrapes are, so that a bad version is seen later.",
      })
      .exactOptional(),
  }),
  [
    {
      rule: "[has(self.pods), has(self.gateway), has(self.prometheus)].exists_one(x, x)",
      message: "counts come from exactly one of pods, gateway and prometheus",
      check: (of) => [of.pods, of.gateway, of.prometheus].filter((one) => one !== undefined).length === 1,
    },
  ],
);

const SOURCE = { pods: { port: 8080, path: "/metrics", metrics: METRICS } };

const errors = z.strictObject({
  ratioPercent: ratioPercent(
    "A canary with up to this many times the stable version's share of failed requests is a good release (θ0).",
  ).default(125),
  promoteRatioPercent: promoteRatioPercent.default(200),
});

const latency = z.strictObject({
  quantileBps: z
    .int()
    .min(1)
    .max(9_999)
    .meta({
      description:
        "Quantile of the stable version's latency above which a request counts as slow, in hundredths of a percent: 9500 counts one of twenty.",
    })
    .default(9_500),
  ratioPercent: ratioPercent(
    "A canary with up to this many times the stable version's share of slow requests is a good release (θ0).",
  ).default(150),
  promoteRatioPercent: promoteRatioPercent.default(200),
  required: z
    .boolean()
    .meta({
      description:
        "Whether a stage waits for this metric's verdict. With false it passes without; a failure counts all the same.",
    })
    .default(true),
});

/** `spec.analysis`, after defaulting. */
export const rolloutAnalysis = withRules(
  z.strictObject({
    source: source
      .meta({ ...source.meta(), description: "Where counts come from; one of its members." })
      .default(SOURCE),
    intervalSeconds: z
      .int()
      .min(1)
      .max(60)
      .meta({
        description:
          "Time between two looks at the counters. What is answered within one such time never fails a release by itself; two can. Soon after a change of weight few pods are asked more often, every 500 ms: that shows sooner what is answered, and makes no more of it.",
      })
      .default(5),
    falseRollbackRateBps: rateBps
      .meta({
        description:
          "Probability that a good release is rolled back, over the whole run, however often one looks (α). In hundredths of a percent.",
      })
      .default(100),
    falsePromotionRateBps: rateBps
      .meta({
        description:
          "Probability that a stage of a release at promoteRatioPercent or worse passes before its hold is over (β). In hundredths of a percent.",
      })
      .default(500),
    errors: errors
      .meta({ description: "How the share of failed requests is judged." })
      .default({ ratioPercent: 125, promoteRatioPercent: 200 }),
    latency: latency.meta({ description: "How latency is judged; not at all when absent." }).exactOptional(),
    dryRun: rolloutDryRun
      .meta({
        description:
          "Another policy: the counts of each release are judged by it too, and those of the last one at once. It decides nothing; status.dryRun says what it would have done.",
      })
      .exactOptional(),
  }),
  [
    {
      rule: "!has(self.dryRun) || !has(self.dryRun.latency) || has(self.latency)",
      message: "dryRun.latency needs latency: without it nobody counts slow requests",
      check: ({ dryRun, latency: judged }) => dryRun?.latency === undefined || judged !== undefined,
    },
    ...NAMED.map((name) => ({
      rule: `!has(self.source.${name}) || has(self.latency) == has(self.source.${name}.metrics.latency)`,
      message: `latency and source.${name}.metrics.latency go together: how it is judged, and the histogram's name`,
      check: ({
        source: of,
        latency: judged,
      }: {
        readonly source: z.output<typeof source>;
        readonly latency?: unknown;
      }) => of[name] === undefined || (judged === undefined) === (of[name].metrics.latency === undefined),
    })),
  ],
);
export type RolloutAnalysis = z.output<typeof rolloutAnalysis>;

/** One step of the ladder, as a spec has it. */
export interface AnalysisStage {
  readonly weightBps: number;
  readonly holdSeconds: number;
  readonly minSamples: number;
  /** Largest share of failed requests, in hundredths of a percent. */
  readonly maxErrorRateBps: number;
}

/** What the judge is asked to guarantee, by the words of a spec. @param stages with weights that ascend */
export function policyOf(analysis: RolloutAnalysis, stages: readonly AnalysisStage[]): RolloutPolicy {
  const { falseRollbackRateBps, falsePromotionRateBps, intervalSeconds, errors: of, latency: slow } = analysis;
  return {
    falseRollbackRate: falseRollbackRateBps / 10_000,
    falsePromotionRate: falsePromotionRateBps / 10_000,
    intervalSeconds,
    stages: stages.map(({ weightBps, holdSeconds, minSamples, maxErrorRateBps }) => ({
      weightBps,
      holdSeconds,
      minSamples,
      maxErrorRate: maxErrorRateBps / 10_000,
    })),
    errors: ratiosOf(of),
    ...(slow === undefined
      ? {}
      : { latency: { ...ratiosOf(slow), quantile: slow.quantileBps / 10_000, required: slow.required } }),
  };
}

function ratiosOf(of: { readonly ratioPercent: number; readonly promoteRatioPercent: number }) {
  return { ratio: of.ratioPercent / 100, promoteRatio: of.promoteRatioPercent / 100 };
}
