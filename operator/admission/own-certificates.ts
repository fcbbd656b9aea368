/**
 * Certificates of the operator's own making: no other program has to be there. CA and serving certificate live in one
 * Secret; every replica runs this loop and any of them may take a step, for each write is refused by the API server when
 * somebody else wrote first. No leader is needed, so no replica ever waits for another one to be able to serve.
 *
 * A pass reads the targets first and the Secret second, and writes into a target only while it is as it was read. So a
 * bundle that another replica wrote is never replaced by an older one: whoever wrote it had stored its state before.
 *
 * A Secret that is deleted or damaged is written again from memory, with a new CA announced: to delete the Secret is how
 * an administrator asks for a new CA, and no request fails for it.
 */
import { FIELD_MANAGER } from "../../crds/group.ts";
import { backoffMs, jitter } from "../../lib/core/backoff.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { isOperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { RESOURCES, type SecretObject } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { secretOf, stateOf } from "./certificate-secret.ts";
import { type CertificateSource, type ServingCertificate, servingCertificate } from "./certificate-source.ts";
import { watchObjects } from "./object-watch.ts";
import {
  adoptTrusted,
  type CertificateState,
  decideRotation,
  ROTATION_POLICY,
  type RotationPolicy,
  type RotationStep,
  type ServerNames,
  trustBundle,
} from "./rotation.ts";
import { carryOut } from "./rotation-steps.ts";
import { sleepUntil } from "./sleep.ts";
import { createTrustTargets, type SeenTarget, TARGET_TYPES, type TrustTarget } from "./trust-targets.ts";

export interface OwnCertificatesOptions {
  readonly client: Pick<KubeClient, "find" | "create" | "replace" | "apply" | "pages" | "watch">;
  readonly secret: { readonly namespace: string; readonly name: string };
  /** What must trust the certificate. */
  readonly targets: readonly TrustTarget[];
  /** For a Service `s` in `ns`: `s.ns.svc`, which the API server asks for. */
  readonly names: ServerNames;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Each look at the Secret: did it give a certificate? */
  readonly onRead: (ok: boolean) => void;
  /** Shorter lives, for tests. */
  readonly policy?: RotationPolicy;
  readonly lookMs?: number;
}

/** Watches tell of what others do; this is for what only time does. */
const LOOK_MS = 300_000;
/** After news: several come together, and a program that undoes our work must not be answered at its own pace. */
const NEWS_MS = 250;
const LOOK_JITTER = 0.1;
const RETRY = { baseMs: 500, capMs: 60_000 };
/** Between two steps, and after a race that another replica won. */
const NEXT_STEP_MS = 50;
/** Steps and races in a row; more would be two programs that undo each other's work. */
const STEPS_IN_A_ROW = 20;

/** A source; nothing is read before `run`. */
export function createOwnCertificates(options: OwnCertificatesOptions): CertificateSource {
  const { client, secret, names, clock, random, log, onRead } = options;
  const policy = options.policy ?? ROTATION_POLICY;
  const lookMs = options.lookMs ?? LOOK_MS;
  const targets = createTrustTargets(client, options.targets);
  const objects = [
    { type: RESOURCES.Secret, ...secret },
    ...options.targets.map(({ role, name }) => ({ type: TARGET_TYPES[role], name })),
  ];
  const where = `Secret ${secret.namespace}/${secret.name}`;
  let remembered: CertificateState | undefined;
  let trusted: { readonly certPem: string; readonly since: number } | undefined;
  let shown: string | undefined;
  let failure: string | undefined;
  let missing: readonly string[] = [];

  const read = async (signal: AbortSignal): Promise<{ live: SecretObject | undefined; stored?: CertificateState }> => {
    const live = await client.find(RESOURCES.Secret, secret, { signal });
    if (live === undefined) return { live };
    try {
      return { live, stored: stateOf(live) };
    } catch (error) {
      if (!isOperatorError(error, "CERTIFICATE_INVALID")) throw error;
      log.error({ code: error.code }, error.message);
      return { live };
    }
  };

  /** For how long all targets have been seen to hold the next CA. One that does not exist breaks nothing. */
  const observeTrust = (seen: readonly SeenTarget[], state: CertificateState | undefined): number | undefined => {
    missing = seen.flatMap(({ target, bundles }) => (bundles.length === 0 ? [target.name] : []));
    const certPem = state?.next?.certPem;
    const holds = (bundle: string): boolean => certPem !== undefined && bundle.includes(certPem.trim());
    if (certPem === undefined || !seen.every(({ bundles }) => bundles.every(holds))) {
      trusted = undefined;
      return undefined;
    }
    if (trusted?.certPem !== certPem) trusted = { certPem, since: clock.monotonic() };
    return clock.monotonic() - trusted.since;
  };

  const decide = (state: CertificateState | undefined, isStored: boolean, seen: readonly SeenTarget[]) => {
    const nextTrustedForMs = observeTrust(seen, isStored ? state : undefined);
    const step = decideRotation(state, { now: clock.now(), names, nextTrustedForMs, policy });
    if (isStored || step?.type === "make") return step;
    return { type: "announce", reason: `${where} is gone or damaged` } satisfies RotationStep;
  };

  const store = async (live: SecretObject | undefined, state: CertificateState, signal: AbortSignal): Promise<void> => {
    const object = secretOf(secret, state, live);
    const how = { fieldManager: FIELD_MANAGER, signal };
    if (live === undefined) await client.create(RESOURCES.Secret, object, how);
    else await client.replace(RESOURCES.Secret, object, how);
  };

  /** Writes to all that it can; then fails if one of them failed. */
  const publish = async (state: CertificateState, seen: readonly SeenTarget[], signal: AbortSignal): Promise<void> => {
    const bundle = trustBundle(state);
    const stale = seen.filter(({ bundles }) => !bundles.every((held) => held === bundle));
    const outcomes = await Promise.allSettled(
      stale.map(async (target) => {
        await targets.write(target, bundle, signal);
        log.info({ target: target.target.name }, "the CA bundle of a webhook was written");
      }),
    );
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  };

  /** @returns true when another pass should follow at once */
  const pass = async (signal: AbortSignal, use: (certificate: ServingCertificate) => void): Promise<boolean> => {
    const seen = await targets.read(signal);
    const { live, stored } = await read(signal);
    onRead(stored !== undefined);
    const state = stored ?? remembered;
    const step = decide(state, stored !== undefined, seen);
    if (step !== undefined) {
      const now = clock.now();
      const next = await carryOut(step.type, state, { now, names, policy });
      const bundles = stored === undefined ? seen.flatMap((target) => target.bundles) : [];
      await store(live, adoptTrusted(next, bundles, { now, policy }), signal);
      log.info({ step: step.type, reason: step.reason, secret: secret.name }, "webhook certificates: a step was taken");
      return true;
    }
    if (state === undefined) return true;
    remembered = state;
    try {
      await publish(state, seen, signal);
    } finally {
      // Also when the bundle could not be written: an older replica may have, and callers that know us can be answered.
      const certificate = servingCertificate(where, state.serving, clock.now());
      if (certificate.fingerprint !== shown) {
        use(certificate);
        shown = certificate.fingerprint;
      }
    }
    return false;
  };

  /** As `pass`; what another replica was faster with is looked at again. */
  const attempt = async (signal: AbortSignal, use: (certificate: ServingCertificate) => void): Promise<boolean> => {
    try {
      return await pass(signal, use);
    } catch (error) {
      if (isOperatorError(error, "KUBE_CONFLICT") || isOperatorError(error, "KUBE_ALREADY_EXISTS")) return true;
      throw error;
    }
  };

  const pauseMs = (): number => {
    const look = jitter(lookMs, LOOK_JITTER, random());
    if (trusted === undefined) return look;
    return Math.max(NEXT_STEP_MS, Math.min(look, trusted.since + policy.settleMs - clock.monotonic()));
  };

  return {
    trouble: () =>
      failure ??
      (missing.length === 0 ? undefined : `nobody is told to trust the certificate: no ${missing.join(", ")}`),
    run: async (signal, use) => {
      let news = new AbortController();
      const watching = watchObjects({ ...options, objects }, signal, () => news.abort());
      let failures = 0;
      let inARow = 0;
      while (!signal.aborted) {
        let waitMs: number;
        // Before the pass: what happens during it is worth another one.
        news = new AbortController();
        try {
          const isAgain = await attempt(signal, use);
          failures = 0;
          failure = undefined;
          inARow = isAgain ? inARow + 1 : 0;
          waitMs = isAgain && inARow < STEPS_IN_A_ROW ? jitter(NEXT_STEP_MS, 1, random()) : pauseMs();
        } catch (thrown) {
          if (signal.aborted) break;
          const { code, message } = toOperatorError(thrown);
          onRead(false);
          if (failure !== message) log.error({ code, error: message }, "webhook certificates cannot be looked after");
          failure = message;
          waitMs = jitter(Math.min(lookMs, backoffMs(failures, RETRY)), LOOK_JITTER, random());
          failures += 1;
        }
        await sleepUntil(clock, waitMs, [signal, news.signal]);
        if (news.signal.aborted) await clock.sleep(Math.min(waitMs, NEWS_MS), signal);
      }
      await watching;
    },
  };
}
