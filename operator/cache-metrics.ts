import { REFLECTOR_FAULTS, type ReflectorFault } from "../lib/kube/reflector.ts";
import type { Metrics } from "../lib/node/metrics.ts";
import type { KubeCache, NamedInformerState } from "./kube/cache.ts";

/** What the informers of a process count and show. */
export interface CacheMetrics {
  /** Counts an interruption of an informer's watch. */
  fault(informer: string, fault: ReflectorFault): void;
  /** Shows the state of every informer at each scrape. */
  show(cache: Pick<KubeCache, "states">): void;
}

/** Metrics of the caches; every label set starts at 0 with `show`. */
export function createCacheMetrics(metrics: Metrics): CacheMetrics {
  const faults = metrics.counter("shieldx_informer_faults_total");
  const objects = metrics.gauge("shieldx_informer_objects");
  const served = metrics.gauge("shieldx_informer_served");
  const silence = metrics.gauge("shieldx_informer_silence_seconds");
  const relists = metrics.counter("shieldx_informer_relists_total");
  const missed = metrics.counter("shieldx_informer_missed_changes_total");
  /** What the counters have been told so far. */
  const counted = new Map<string, NamedInformerState>();
  return {
    fault: (informer, fault) => faults.inc({ informer, fault }),
    show: (cache) => {
      for (const { informer } of cache.states()) {
        for (const fault of REFLECTOR_FAULTS) faults.inc({ informer, fault }, 0);
      }
      metrics.beforeScrape(() => {
        for (const state of cache.states()) {
          const { informer } = state;
          objects.set({ informer }, state.objects);
          served.set({ informer }, state.served ? 1 : 0);
          silence.set({ informer }, state.silentMs / 1000);
          relists.inc({ informer }, state.relists - (counted.get(informer)?.relists ?? 0));
          missed.inc({ informer }, state.missed - (counted.get(informer)?.missed ?? 0));
          counted.set(informer, state);
        }
      });
    },
  };
}
