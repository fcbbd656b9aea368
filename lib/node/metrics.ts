import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { METRICS, type MetricName } from "../core/metric-names.ts";

type NamesOf<Type extends string> = {
  [Name in MetricName]: (typeof METRICS)[Name]["type"] extends Type ? Name : never;
}[MetricName];

/** The metrics of one process, by the names of the catalogue; each exists once, however often it is asked for. */
export interface Metrics {
  counter<Name extends NamesOf<"counter">>(name: Name): Counter;
  gauge<Name extends NamesOf<"gauge">>(name: Name): Gauge;
  /** @param buckets upper bounds in seconds; controller-runtime's unless told */
  histogram<Name extends NamesOf<"histogram">>(name: Name, buckets?: readonly number[]): Histogram;
  /** Runs before each scrape, for values that are known only when asked. */
  beforeScrape(refresh: () => void): void;
  /** The page in Prometheus' text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** controller-runtime's buckets of reconcile time: 5 ms to 60 s. */
const BUCKETS_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2,
  2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];

/** prom-client's gauges of a histogram that a timer of 10 ms fills. */
const SAMPLED_LAG = ["min", "max", "mean", "stddev", "p50", "p90", "p99"].map(
  (what) => `nodejs_eventloop_lag_${what}_seconds`,
);
/** The longest interval of that timer; the library has no switch for it. */
const NEVER_MS = 2 ** 31 - 1;

/** A registry of its own, with Node's process metrics when `processMetrics` is true. */
export function createMetrics(options: { readonly processMetrics?: boolean } = {}): Metrics {
  const registry = new Registry();
  const counters = new Map<MetricName, Counter>();
  const gauges = new Map<MetricName, Gauge>();
  const histograms = new Map<MetricName, Histogram>();
  const refreshers: (() => void)[] = [];
  if (options.processMetrics === true) addProcessMetrics(registry);

  const definition = (name: MetricName) => ({
    name,
    help: METRICS[name].help,
    labelNames: [...METRICS[name].labels],
    registers: [registry],
  });
  const once = <M>(known: Map<MetricName, M>, name: MetricName, make: () => M): M => {
    const found = known.get(name);
    if (found !== undefined) return found;
    const made = make();
    known.set(name, made);
    return made;
  };

  return {
    counter: (name) => once(counters, name, () => new Counter(definition(name))),
    gauge: (name) => once(gauges, name, () => new Gauge(definition(name))),
    histogram: (name, buckets = BUCKETS_SECONDS) =>
      once(histograms, name, () => new Histogram({ ...definition(name), buckets: [...buckets] })),
    beforeScrape: (refresh) => void refreshers.push(refresh),
    text: async () => {
      for (const refresh of refreshers) refresh();
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}

/**
 * prom-client's defaults without what is sampled: waking a hundred times a second was two thirds of a resting process's
 * time (bench/README.md). `nodejs_eventloop_lag_seconds` is measured at each scrape, without a timer.
 */
function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: NEVER_MS });
  for (const name of SAMPLED_LAG) registry.removeSingleMetric(name);
}
