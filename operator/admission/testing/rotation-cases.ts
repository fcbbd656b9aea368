import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { TLSSocket } from "node:tls";
import { afterEach, expect, it } from "@jest/globals";
import { systemClock } from "../../../lib/core/clock.ts";
import { RESOURCES } from "../../../lib/kube/types.ts";
import { fingerprint } from "../../../lib/node/certificates.ts";
import { silentLogger } from "../../../lib/node/logger.ts";
import { eventually } from "../../../testkit/wait.ts";
import { stateOf } from "../certificate-secret.ts";
import { createFileCertificates } from "../file-certificates.ts";
import { ROTATION_POLICY, type RotationPolicy } from "../rotation.ts";
import { type CallerOptions, type RunningCaller, SECRET, type StartCaller } from "./caller.ts";
import { gadget } from "./gadget.ts";
import { injectTrust } from "./gadget-server.ts";
import { startLoad } from "./load.ts";
import { foreignAuthority, loopbackCertificate, mountCertificates } from "./mounted-certificates.ts";

/** How much of it: what an API server on two busy cores gets through differs from what a caller in this process does. */
export interface RotationScale {
  /** Users who do not rest meanwhile. */
  readonly users: number;
  /** How often a new CA is asked for. */
  readonly authorities: number;
  /** How long a bundle takes to be known everywhere. */
  readonly settleMs: number;
  /** Lives so short that certificates and CAs are renewed by themselves, for this long; left out where time is dear. */
  readonly shortLives?: RotationPolicy & { readonly forMs: number };
}

/** A test takes as long as its rotations. */
const TIMEOUT_MS = 110_000;

/** Certificates and CAs change under load, and no admission fails. */
export function describeRotation(start: StartCaller, scale: RotationScale): void {
  let running: RunningCaller | undefined;
  let cleanUp: () => Promise<void> = () => Promise.resolve();
  afterEach(async () => {
    await running?.stop();
    running = undefined;
    await cleanUp();
    cleanUp = () => Promise.resolve();
  });
  const begin = async (options: CallerOptions): Promise<RunningCaller> => (running = await start(options));
  /** A server under a mounted certificate of somebody else's CA. */
  const beginMounted = async (ca: Awaited<ReturnType<typeof foreignAuthority>>) => {
    const mounted = await mountCertificates(await loopbackCertificate(ca));
    const { directory } = mounted;
    cleanUp = () => mounted.remove();
    const source: NonNullable<CallerOptions["foreign"]>["source"] = (onRead) =>
      createFileCertificates({ directory, clock: systemClock, log: silentLogger, onRead });
    return { mounted, caller: await begin({ foreign: { caPem: ca.certPem, source } }) };
  };

  it(
    "own certificates: a new CA again and again",
    async () => {
      const caller = await begin({ policy: { ...ROTATION_POLICY, settleMs: scale.settleMs } });
      const signing = async (): Promise<string | undefined> => {
        const secret = await caller.kube.find(RESOURCES.Secret, SECRET);
        return secret === undefined ? undefined : fingerprint(stateOf(secret).signing.certPem);
      };
      await underLoad(caller, scale, async (shown) => {
        for (let count = 0; count < scale.authorities; count += 1) {
          const before = await signing();
          // How an administrator asks for it.
          await caller.kube.delete(RESOURCES.Secret, SECRET);
          await eventually("another CA signs", async () => ![undefined, before].includes(await signing()));
          await shown.another();
        }
      });
      const secret = await caller.kube.find(RESOURCES.Secret, SECRET);
      expect(secret === undefined ? 0 : stateOf(secret).retired.length).toBe(scale.authorities);
    },
    TIMEOUT_MS,
  );

  const { shortLives } = scale;
  if (shortLives !== undefined) {
    it(
      "own certificates: lives of seconds, renewed when they are due",
      async () => {
        const caller = await begin({ policy: shortLives });
        const authorities = new Set<string>();
        await underLoad(caller, scale, async () => {
          const endsAt = systemClock.monotonic() + shortLives.forMs;
          while (systemClock.monotonic() < endsAt) {
            const secret = await caller.kube.find(RESOURCES.Secret, SECRET);
            if (secret !== undefined) authorities.add(fingerprint(stateOf(secret).signing.certPem));
            await systemClock.sleep(100);
          }
        });
        // From the end of one renewal to the next it is two thirds of a life.
        expect(authorities.size).toBeGreaterThanOrEqual(
          Math.floor(shortLives.forMs / shortLives.authority.validityMs) + 1,
        );
      },
      TIMEOUT_MS,
    );
  }

  it(
    "certificates of somebody else's, mounted as files: new ones, new CAs, and broken ones in between",
    async () => {
      let ca = await foreignAuthority();
      const { mounted, caller } = await beginMounted(ca);
      await underLoad(caller, scale, async (shown) => {
        for (let count = 0; count < scale.authorities; count += 1) {
          await mounted.swap(await loopbackCertificate(ca));
          await shown.another();
          await mounted.swapFiles({ "tls.crt": (await loopbackCertificate(ca)).certPem });
          await mounted.swapFiles({ "tls.crt": "half a certif", "tls.key": "" });
          const next = await foreignAuthority();
          await injectTrust(caller.kube, `${next.certPem}${ca.certPem}`);
          // cert-manager's injector, too, gives API servers time before the certificate follows.
          await systemClock.sleep(scale.settleMs);
          await mounted.swap(await loopbackCertificate(next));
          await shown.another();
          ca = next;
        }
      });
      expect(await caller.metrics()).toMatch(/^certwatcher_read_certificate_errors_total [1-9]/m);
      expect(caller.server.ready()).toEqual({ ok: true, reasons: [] });
    },
    TIMEOUT_MS,
  );

  it(
    "an expired certificate is not taken, and one that expires turns readiness off",
    async () => {
      const ca = await foreignAuthority();
      const { mounted, caller } = await beginMounted(ca);
      const brief = await loopbackCertificate(ca, { validityMs: 3_000, backdateMs: 0 });
      await mounted.swap(brief);
      await eventually("it is shown", () => caller.server.fingerprint() === fingerprint(brief.certPem));
      await mounted.swap(await loopbackCertificate(ca, { validityMs: -60_000, backdateMs: 120_000 }));
      await eventually("it has expired", () => !caller.server.ready().ok);
      expect(caller.server.ready().reasons?.[0]).toMatch(/^the certificate expired at .*Z$/);
      expect(caller.server.fingerprint()).toBe(fingerprint(brief.certPem));
      // Connections of before end with an answer each; a new one is refused.
      await eventually("callers refuse it", () =>
        caller.create(gadget("refused")).then(
          async () => {
            await caller.remove("refused").catch(() => undefined);
            return false;
          },
          (error: unknown) => (error as Error).message.includes("expired"),
        ),
      );
      await mounted.swap(await loopbackCertificate(ca));
      await eventually("a good one is taken", () => caller.server.ready().ok);
      await eventually("callers accept it", () =>
        caller.create(gadget("accepted")).then(
          () => true,
          () => false,
        ),
      );
    },
    TIMEOUT_MS,
  );
}

/** Certificates that requests met, in the order in which they first did. */
interface Shown {
  /** Waits until requests meet one that none has met before. */
  another(): Promise<void>;
}

/** Runs the work while users do not rest; no request of theirs may fail, and each certificate must have been met. */
async function underLoad(caller: RunningCaller, { users }: RotationScale, work: (shown: Shown) => Promise<void>) {
  const met = new Set<string>();
  let waitedFor = 0;
  const onRequest = (message: unknown): void => {
    const { socket } = message as { readonly socket: unknown };
    if (!(socket instanceof TLSSocket)) return;
    met.add((socket.getCertificate() as { readonly fingerprint256: string }).fingerprint256);
  };
  subscribe("http.server.request.start", onRequest);
  const load = startLoad(caller, users);
  try {
    await eventually("the load runs", () => load.done() > users);
    waitedFor = met.size;
    await work({
      another: async () => {
        await eventually("requests meet another certificate", () => met.size > waitedFor);
        waitedFor = met.size;
      },
    });
  } finally {
    const failures = await load.stop();
    unsubscribe("http.server.request.start", onRequest);
    expect(failures).toEqual([]);
    // For whoever reads the run.
    process.stdout.write(`      ${load.done()} requests, ${met.size} certificates, 0 failed\n`);
  }
}
