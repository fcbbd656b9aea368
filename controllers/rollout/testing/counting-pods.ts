/** Pods that answer requests and tell what they have counted, for tests of the sampler. */
import { rolloutAnalysis } from "../../../crds/rollout-analysis.ts";
import { rolloutPolicy } from "../../../crds/rollout-policy.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import type { Scrape } from "../sampling/answer.ts";
import type { SampleTask, ScrapeTarget } from "../sampling/task.ts";

export interface CountingPod {
  readonly target: ScrapeTarget;
  /** Answers requests. @param errors how many of them fail */
  serve(requests: number, errors?: number): void;
  /** Its program begins anew, as after a crash. */
  restart(): void;
  /** "refuses": nobody listens; "hangs": it takes the question and never answers. */
  state: "tells" | "refuses" | "hangs";
  /** Lets go of questions that hang: they are answered as if they were asked now. */
  release(): void;
  /** What it tells in place of its counters. */
  page: string | undefined;
  /** All that it has answered, over restarts. */
  readonly answered: { requests: number; errors: number };
}

/** A scraper of pods by their address. */
export interface CountingPods {
  readonly scrape: Scrape;
  pod(name: string): CountingPod;
  /** Questions under way, and the most that one pod had at once. */
  readonly load: { now: number; most: number };
}

interface FakePod extends CountingPod {
  readonly counted: { ok: number; failed: number };
  hanging(signal: AbortSignal | undefined): Promise<void>;
}

export function createCountingPods(): CountingPods {
  const pods = new Map<string, FakePod>();
  const load = { now: 0, most: 0 };
  return {
    load,
    pod: (name) => {
      const ip = `10.0.0.${pods.size + 1}`;
      const counted = { ok: 0, failed: 0 };
      const answered = { requests: 0, errors: 0 };
      const waiting: (() => void)[] = [];
      const pod: FakePod = {
        release: () => {
          for (const answer of waiting.splice(0)) answer();
        },
        hanging: (signal) =>
          new Promise((resolve, reject) => {
            waiting.push(resolve);
            signal?.addEventListener("abort", () => reject(silence(ip, "aborted")), { once: true });
          }),
        target: { name, uid: `uid-${name}`, ip, isReady: true },
        counted,
        answered,
        state: "tells",
        page: undefined,
        serve: (requests: number, errors = 0) => {
          counted.ok += requests - errors;
          counted.failed += errors;
          answered.requests += requests;
          answered.errors += errors;
        },
        restart: () => {
          counted.ok = 0;
          counted.failed = 0;
        },
      };
      pods.set(ip, pod);
      return pod;
    },
    scrape: async ({ host, signal }) => {
      const pod = pods.get(host);
      load.now += 1;
      load.most = Math.max(load.most, load.now);
      try {
        if (pod === undefined || pod.state === "refuses") throw silence(host, "ECONNREFUSED");
        if (pod.state === "hangs") await pod.hanging(signal);
        else await Promise.resolve();
        return pod.page ?? pageOf(pod.counted);
      } finally {
        load.now -= 1;
      }
    },
  };
}

/** Series appear with their first event, as in most client libraries. */
function pageOf({ ok, failed }: { readonly ok: number; readonly failed: number }): string {
  const series = [
    ok > 0 ? [`http_requests_total{code="200"} ${ok}`] : [],
    failed > 0 ? [`http_requests_total{code="500"} ${failed}`] : [],
  ];
  return ["# TYPE http_requests_total counter", ...series.flat(), ""].join("\n");
}

function silence(host: string, reason: string): OperatorError {
  return new OperatorError("METRICS_UNREACHABLE", `${host}:8080: ${reason}`);
}

/** A release with one pod of each version, at 1 %. */
export function taskOf(
  { canary, stable }: { readonly canary: readonly CountingPod[]; readonly stable: readonly CountingPod[] },
  changes: Partial<SampleTask> = {},
): SampleTask {
  return {
    key: { namespace: "shop", name: "web" },
    revision: "web-2",
    policy: rolloutPolicy.parse({}),
    analysis: rolloutAnalysis.parse({}),
    stage: 0,
    weightBps: 100,
    canary: canary.map(({ target }) => target),
    stable: stable.map(({ target }) => target),
    services: { canary: "web-blue", stable: "web-green" },
    route: "web",
    ...changes,
  };
}
