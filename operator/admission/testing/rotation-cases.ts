import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { TLSSocket } from "node:tls";
import { afterEach, expect, it } from "@jest/globals";
import { RESOURCES } from "../../../lib/kube/types.ts";
import { fingerprint } from "../../../lib/node/certificates.ts";
import { eventually } from "../../../testkit/wait.ts";
import { stateOf } from "../certificate-secret.ts";
import { ROTATION_POLICY, type RotationPolicy } from "../rotation.ts";
import { type CallerOptions, type RunningCaller, SECRET, type StartCaller } from "./caller.ts";
import { startLoad } from "./load.ts";

/** How much of it: what an API server on two busy cores gets through differs from what a caller in this process does. */
export interface RotationScale {
  /** Users who do not rest meanwhile. */
  readonly users: number;
  /** How often a new CA is asked for. */
  readonly authorities: number;
  /** How long a bundle takes to be known everywhere. */
  readonly settleMs: number;
  /** Lives so short that certificates and CAs are renewed by themselves; left out where time is dear. */
  readonly shortLives?: RotationPolicy;
}

/** A test takes as long as its rotations. */
const TIMEOUT_MS = 110_000;

/** Certificates and CAs change under load, and no admission fails. */
export function describeRotation(start: StartCaller, scale: RotationScale): void {
  let running: RunningCaller | undefined;
  afterEach(async () => {
    await running?.stop();
    running = undefined;
  });
  const begin = async (options: CallerOptions): Promise<RunningCaller> => (running = await start(options));

  it(
    "a new CA again and again",
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
      "lives of seconds: a certificate is renewed, a CA replaced and then forgotten, when each is due",
      async () => {
        const caller = await begin({ policy: shortLives });
        /** Certificates that each CA has signed, in the order of the CAs. */
        const signed = new Map<string, Set<string>>();
        await underLoad(caller, scale, async () => {
          await eventually(
            "the first CA is forgotten",
            async () => {
              const secret = await caller.kube.find(RESOURCES.Secret, SECRET);
              if (secret === undefined) return false;
              const { signing, serving, retired } = stateOf(secret);
              const authority = fingerprint(signing.certPem);
              signed.set(authority, (signed.get(authority) ?? new Set()).add(fingerprint(serving.certPem)));
              return signed.size > 1 && retired.length === 0;
            },
            // Two lives: it is replaced after two thirds of its own, and forgotten after one of its last certificate.
            2 * (shortLives.authority.validityMs + shortLives.certificate.validityMs),
          );
        });
        const [first] = signed.values();
        expect(first?.size).toBeGreaterThan(1);
      },
      TIMEOUT_MS,
    );
  }
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
