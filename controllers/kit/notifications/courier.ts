/**
 * Tells receivers what happened, aside: a reconcile names what its status has in the outbox, reads what came of it, and waits for
 * nothing. Each event goes to each receiver by itself, so that one that does not answer holds up none. It is tried for ten minutes
 * after it happened, with pauses that grow, and once at least by each replica that leads meanwhile.
 *
 * A key is read for each try and kept for none; neither keys nor answers are in messages.
 */
import type { Entry, Receiver } from "../../../crds/notifications.ts";
import { backoffMs, jitter } from "../../../lib/core/backoff.ts";
import { isOperatorError, toOperatorError } from "../../../lib/core/errors.ts";
import { RESOURCES } from "../../../lib/kube/types.ts";
import type { Source, SourceContext } from "../../../operator/runtime/types.ts";
import { createQuestions, type Questions } from "../questions.ts";
import { type Post, type PostQuestion, type Verdict, verdictOf } from "./answers.ts";
import { CLOUD_EVENT_CONTENT_TYPE, cloudEventText, type Occurrence, type Origin } from "./cloud-event.ts";
import type { Delivery } from "./outbox.ts";
import { signatureHeaders, signingKeys } from "./signature.ts";

/** What a resource has to tell. */
export interface Parcel {
  readonly origin: Origin;
  /** The outbox of its status, as the server has taken it. */
  readonly events: readonly Occurrence[];
  readonly receivers: readonly Receiver[];
}

export interface Courier {
  /** Sends what is new, each event once to each receiver; what is not named any more ends. */
  follow(parcel: Parcel): void;
  /** Ends all that is under way for a resource. */
  forget(uid: string): void;
  /** What came of the events that were named last. */
  seen(uid: string): readonly Delivery[];
  readonly source: Source;
}

/** What the courier is built from. */
export interface CourierDeps {
  readonly post: Post;
  /** What is counted. @param seconds since it happened */
  readonly onEnd: (result: End, seconds: number) => void;
}

/** How a delivery ended; `dropped`: newer events took its place, or its receiver is not in the spec any more. */
export type End = "delivered" | "failed" | "dropped";

/** As long as a person waits for a page. */
const TRY_TIMEOUT_MS = 10_000;
/** After it happened; then who would have to act has long seen it elsewhere. */
const TRIED_FOR_MS = 600_000;
const PAUSE = { baseMs: 2_000, capMs: 120_000 };
/** A part of each pause, by which tries of several events and operators drift apart. */
const SPREAD = 0.25;

interface Job {
  readonly origin: Origin;
  readonly event: Occurrence;
  /** As the spec has it now: a key or an address that is mended counts at the next try. */
  receiver: Receiver;
  state: Pick<Delivery, "result" | "message" | "at"> | undefined;
  readonly stop: AbortController;
  isRunning: boolean;
}

export function createCourier({ post, onEnd }: CourierDeps): Courier {
  const followed = new Map<string, Map<string, Job>>();
  const questions = createQuestions();
  let context: SourceContext | undefined;

  const start = (job: Job): void => {
    if (context === undefined || job.isRunning || isOver(job)) return;
    job.isRunning = true;
    void deliver(job, { post, questions, onEnd, context });
  };
  const drop = (job: Job): void => {
    job.stop.abort();
    if (context !== undefined && !isOver(job)) onEnd("dropped", 0);
  };
  const forget = (uid: string): void => {
    for (const { stop } of followed.get(uid)?.values() ?? []) stop.abort();
    followed.delete(uid);
  };

  return {
    forget,
    follow: ({ origin, events, receivers }) => {
      const jobs = followed.get(origin.uid) ?? new Map<string, Job>();
      const wanted = events.flatMap((event) => {
        const to = receivers.filter(({ name }) => event.to.includes(name));
        return to.map((receiver) => ({ name: `${event.id} ${receiver.name}`, event, receiver }));
      });
      const names = new Set(wanted.map(({ name }) => name));
      for (const [name, job] of jobs) {
        if (names.has(name)) continue;
        drop(job);
        jobs.delete(name);
      }
      for (const { name, event, receiver } of wanted) {
        const known = jobs.get(name);
        if (known !== undefined) known.receiver = receiver;
        const job: Job = known ?? {
          origin,
          event,
          receiver,
          state: undefined,
          stop: new AbortController(),
          isRunning: false,
        };
        jobs.set(name, job);
        start(job);
      }
      if (jobs.size === 0) followed.delete(origin.uid);
      else followed.set(origin.uid, jobs);
    },
    seen: (uid) =>
      [...(followed.get(uid)?.values() ?? [])].flatMap(({ event: { id, event }, receiver, state }) =>
        state === undefined ? [] : [{ id, event, receiver: receiver.name, ...state }],
      ),
    source: {
      name: "notifications",
      run: async (given) => {
        context = given;
        for (const jobs of followed.values()) for (const job of jobs.values()) start(job);
        await new Promise<void>((resolve) => {
          if (given.signal.aborted) resolve();
          given.signal.addEventListener("abort", () => resolve(), { once: true });
        });
        context = undefined;
        for (const uid of [...followed.keys()]) forget(uid);
      },
    },
  };
}

function isOver({ state }: Job): boolean {
  return state !== undefined && state.result !== "Retrying";
}

interface Work extends CourierDeps {
  readonly questions: Questions;
  readonly context: SourceContext;
}

/** Tries until it is over, or nobody wants it any more. */
async function deliver(job: Job, work: Work): Promise<void> {
  const { clock, random, add, log } = work.context;
  const { signal } = job.stop;
  const { origin, event } = job;
  const began = clock.monotonic();
  // By the wall clock once, for another replica may have seen it happen; the rest is measured here.
  const triedForMs = Math.min(TRIED_FOR_MS, Date.parse(event.at) + TRIED_FOR_MS - clock.now());
  const end = (result: "Delivered" | "Failed", message: string): void => {
    job.state = { result, message, at: new Date(clock.now()).toISOString() };
    const seconds = Math.max(0, clock.now() - Date.parse(event.at)) / 1_000;
    work.onEnd(result === "Delivered" ? "delivered" : "failed", seconds);
    const line = { object: `${origin.namespace}/${origin.name}`, event: event.event, receiver: job.receiver.name };
    if (result === "Failed") log.warn({ ...line, id: event.id, why: message }, "a notification was not delivered");
    add(origin);
  };
  for (let tries = 1; ; tries += 1) {
    const verdict = await work.questions(origin.uid, () => attempt(job, work));
    if (signal.aborted) return;
    const { message } = verdict;
    if (verdict.type === "delivered") return end("Delivered", `${message}, try ${String(tries)}`);
    if (verdict.type === "final") return end("Failed", `${message}, try ${String(tries)}`);
    const pauseMs = Math.max(jitter(backoffMs(tries - 1, PAUSE), SPREAD, random()), verdict.afterMs);
    const passedMs = clock.monotonic() - began;
    if (passedMs + pauseMs > triedForMs) return end("Failed", `${message}, ${givenUp(verdict, tries, passedMs)}`);
    if (job.state?.message !== message) {
      job.state = { result: "Retrying", message, at: job.state?.at ?? new Date(clock.now()).toISOString() };
      add(origin);
    }
    await clock.sleep(pauseMs, signal);
    if (signal.aborted) return;
  }
}

function givenUp({ afterMs }: Extract<Verdict, { type: "again" }>, tries: number, passedMs: number): string {
  const asked = afterMs === 0 ? "" : `, and another one only after ${secondsText(afterMs)}`;
  return `given up after ${tries === 1 ? "1 try" : `${String(tries)} tries in ${secondsText(passedMs)}`}${asked}`;
}

function secondsText(ms: number): string {
  return `${String(Math.round(ms / 1_000))} s`;
}

/** One try. Never fails: what cannot be sent now is tried again. */
async function attempt({ origin, event, receiver, stop }: Job, { post, context }: Work): Promise<Verdict> {
  const { clock } = context;
  if (stop.signal.aborted) return { type: "final", message: "it was stopped" };
  try {
    const keys = await keysOf(receiver, origin.namespace, { ...context, signal: stop.signal });
    if (typeof keys === "string") return { type: "again", message: keys, afterMs: 0 };
    const where = targetOf(receiver);
    if (where === undefined) return { type: "final", message: "its url is no address" };
    const body = cloudEventText(origin, event);
    const signed = signatureHeaders({ id: event.id, body, keys }, clock.now());
    const headers = { "content-type": CLOUD_EVENT_CONTENT_TYPE, "user-agent": "shieldx", ...signed };
    const how = { method: "POST", isLocalRefused: true, timeoutMs: TRY_TIMEOUT_MS, signal: stop.signal } as const;
    return verdictOf(await post({ ...where, ...how, headers, body }), clock.now());
  } catch (error) {
    return { type: "again", message: toOperatorError(error).message, afterMs: 0 };
  }
}

/** Asked of the server each time: no memory has the key, and one that was replaced counts at once. */
async function keysOf(
  { secretRef: { name, key } }: Receiver,
  namespace: string,
  { live, signal }: Pick<SourceContext, "live" | "signal">,
): Promise<readonly Uint8Array[] | string> {
  try {
    const { items } = await live.list(RESOURCES.Secret, { namespace, fieldSelector: `metadata.name=${name}`, signal });
    const [secret] = items;
    if (secret === undefined) return `Secret ${name} is not there`;
    const value = secret.data?.[key];
    if (value === undefined) return `Secret ${name} has no key ${key}`;
    const keys = signingKeys(Buffer.from(value, "base64").toString("utf8"));
    return typeof keys === "string" ? `key ${key} of Secret ${name} ${keys}` : keys;
  } catch (error) {
    if (!isOperatorError(error)) throw error;
    return `Secret ${name} cannot be read: ${error.code}`;
  }
}

function targetOf({ url }: Receiver): Pick<PostQuestion, "host" | "port" | "path" | "isTls"> | undefined {
  // No pattern says all that makes an address invalid, 256.1.1.1 for one.
  if (!URL.canParse(url)) return undefined;
  const { protocol, hostname: host, port, pathname, search } = new URL(url);
  const isTls = protocol === "https:";
  return { host, port: Number(port) || (isTls ? 443 : 80), path: `${pathname}${search}`, isTls };
}

/** The members of an entry that all kinds have, apart. */
export function occurrenceOf<E extends Entry>(entry: E, subject: string): Occurrence {
  const { id, event, at, to, ...facts } = entry;
  return { id, event, at, to, subject, facts };
}
