/**
 * Asks the sources of counts for all releases that are followed, each by a loop of its own, so that a slow one holds up none, while
 * this replica leads. Questions of one release never overlap. An answer that was under way when the release moved on is thrown
 * away: nobody can tell at which weight it was counted.
 */

import type { RolloutRun } from "../../../crds/rollout-run.ts";
import { assert } from "../../../lib/core/assert.ts";
import { canonicalJson } from "../../../lib/core/canonical.ts";
import { toOperatorError } from "../../../lib/core/errors.ts";
import { PRIORITIES, type Source, type SourceContext } from "../../../operator/runtime/types.ts";
import { createQuestions, type Questions } from "../../kit/questions.ts";
import type { CountSource, Scrape } from "./answer.ts";
import { gatewaySource, type Resolve } from "./gateway.ts";
import { type Pace, quickAtFirst } from "./pace.ts";
import { podSource } from "./pods.ts";
import { prometheusSource } from "./prometheus.ts";
import {
  beginRelease,
  enterPlace,
  type Release,
  type Standing,
  standingOf,
  takeAnswer,
  withTrouble,
} from "./release.ts";
import type { SampleTask } from "./task.ts";

export interface Sampler {
  /**
   * Follows a release; the same task again changes nothing. Another stage or weight begins a new place at once: verdict and
   * measured requests are those of the new one from this call on. Another revision or policy is another run. `undefined` ends it.
   * @param stored a run of the same revision to go on with, for the first call after a change of leader; later ones are not looked at
   */
  follow(uid: string, task: SampleTask | undefined, stored?: RolloutRun): void;
  /** Where a followed release stands. */
  standing(uid: string): Standing | undefined;
  /**
   * Runs the loops while this replica leads, and forgets all releases with that. Asks for a reconcile when verdict or reason change
   * and when trouble begins or ends; for an urgent one when a failure appears.
   */
  readonly source: Source;
}

/** What sampling takes from outside. */
export interface SamplerDeps {
  readonly scrape: Scrape;
  readonly resolve: Resolve;
}

interface Followed {
  task: SampleTask;
  ask: CountSource;
  release: Release;
  /** What was last told by a reconcile. */
  told: string;
  /** Ends the wait, and the question that is under way. */
  wake: () => void;
  isEnded: boolean;
}

/** @param pace when to look again */
export function createSampler(outside: SamplerDeps, pace: Pace = quickAtFirst): Sampler {
  const deps = { ...outside, questions: createQuestions() };
  const followed = new Map<string, Followed>();
  let begin: ((of: Followed) => void) | undefined;

  const end = (uid: string): void => {
    const of = followed.get(uid);
    if (of === undefined) return;
    followed.delete(uid);
    of.isEnded = true;
    of.wake();
  };
  const start = (uid: string, task: SampleTask, stored: RolloutRun | undefined): void => {
    const release = beginRelease(task, stored);
    const told = newsOf(release);
    const of = { task, ask: sourceOf(task, deps), release, told, wake: () => undefined, isEnded: false };
    followed.set(uid, of);
    begin?.(of);
  };

  return {
    follow: (uid, task, stored) => {
      const of = followed.get(uid);
      if (task === undefined) return end(uid);
      if (of === undefined) return start(uid, task, stored);
      // Followed without a sample since before this replica led: what was stored meanwhile is newer.
      const isNewer = of.release.moment === undefined && (stored?.rows.length ?? 0) > of.release.open.run.rows.length;
      if (of.task.revision !== task.revision || isOther(of.task.policy, task.policy) || isNewer) {
        end(uid);
        return start(uid, task, stored);
      }
      moveTo(of, task, deps);
    },
    standing: (uid) => {
      const of = followed.get(uid);
      return of && standingOf(of.release);
    },
    source: {
      name: "samples",
      run: async (context) => {
        const loops = new Set<Promise<void>>();
        begin = (of) => {
          const loop = work(of, context, pace).finally(() => loops.delete(loop));
          loops.add(loop);
        };
        for (const of of followed.values()) begin(of);
        await aborted(context.signal);
        begin = undefined;
        // Another replica goes on with what was stored; what is here is old when it comes back.
        for (const uid of [...followed.keys()]) end(uid);
        await Promise.all(loops);
      },
    },
  };
}

/** The same run, maybe at another place or from another source. */
function moveTo(of: Followed, task: SampleTask, deps: SourceDeps): void {
  const sourceOfTask = ({ analysis, route, services }: SampleTask) => ({ source: analysis.source, route, services });
  const isOtherSource = isOther(sourceOfTask(of.task), sourceOfTask(task));
  const isElsewhere = of.task.stage !== task.stage || of.task.weightBps !== task.weightBps;
  of.task = task;
  if (isOtherSource) of.ask = sourceOf(task, deps);
  if (!isOtherSource && !isElsewhere) return;
  of.release = enterPlace(of.release, task);
  of.told = newsOf(of.release);
  of.wake();
}

/** Samples one release until it is ended. */
async function work(of: Followed, context: SourceContext, pace: Pace): Promise<void> {
  const { clock, log } = context;
  let [place, since] = [of.release.place, clock.monotonic()];
  while (!of.isEnded && !context.signal.aborted) {
    const controller = new AbortController();
    of.wake = () => controller.abort();
    const began = clock.monotonic();
    if (place !== of.release.place) [place, since] = [of.release.place, began];
    try {
      await sampleOnce(of, context, controller.signal);
    } catch (error) {
      const { namespace, name } = of.task.key;
      const { message } = toOperatorError(error);
      log.error({ rollout: `${namespace}/${name}`, error: message }, "a release could not be sampled");
      tell(of, withTrouble(of.release, message, clock.now()), context);
    }
    const now = clock.monotonic();
    const left = began + pace(of.task, now - since, now - began) - now;
    await clock.sleep(Math.max(0, left), controller.signal);
  }
}

async function sampleOnce(of: Followed, context: SourceContext, signal: AbortSignal): Promise<void> {
  const { clock } = context;
  const now = { wallMs: clock.now(), monotonicMs: clock.monotonic() };
  const answer = await of.ask(of.task, signal);
  if (signal.aborted) return;
  tell(of, takeAnswer(of.release, answer, now), context);
}

function tell(of: Followed, release: Release, { add }: SourceContext): void {
  const isFailed = of.release.failure === undefined && release.failure !== undefined;
  of.release = release;
  const news = newsOf(release);
  if (news === of.told) return;
  of.told = news;
  add(of.task.key, isFailed ? PRIORITIES.urgent : PRIORITIES.live);
}

/** What a reconcile should hear of at once. */
function newsOf({ verdict, failure, trouble, shareTrouble }: Release): string {
  const troubles = [trouble !== undefined, shareTrouble !== undefined];
  return [verdict?.verdict, verdict?.reason, failure !== undefined, ...troubles].join(" ");
}

interface SourceDeps extends SamplerDeps {
  readonly questions: Questions;
}

/** Never throws: a spec that no source can be made of is a trouble of its release, not of the reconcile that follows it. */
function sourceOf(task: SampleTask, deps: SourceDeps): CountSource {
  try {
    return sourceIn(task, deps);
  } catch (error) {
    return () => Promise.reject(toOperatorError(error));
  }
}

function sourceIn({ key, analysis: { source, latency } }: SampleTask, deps: SourceDeps): CountSource {
  const release = `${key.namespace}/${key.name}`;
  const scrape: Scrape = (request) =>
    deps.questions(release, async () => {
      request.signal?.throwIfAborted();
      return deps.scrape(request);
    });
  const resolve: Resolve = (name, timeoutMs) => deps.questions(release, () => deps.resolve(name, timeoutMs));
  if (source.gateway !== undefined) return gatewaySource({ scrape, resolve }, source.gateway, latency !== undefined);
  if (source.prometheus !== undefined) return prometheusSource(scrape, source.prometheus);
  assert(source.pods !== undefined, "an analysis has a source");
  return podSource(scrape, source.pods);
}

function isOther(one: unknown, other: unknown): boolean {
  return one !== other && canonicalJson(one) !== canonicalJson(other);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
