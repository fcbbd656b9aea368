import { describe, expect, it } from "@jest/globals";
import {
  type CertificatePair,
  createCertificateAuthority,
  isIssuedBy,
  readCertificate,
} from "../../lib/node/certificates.ts";
import {
  adoptTrusted,
  type CertificateState,
  decideRotation,
  ROTATION_POLICY,
  type RotationFacts,
  type RotationStep,
  trustBundle,
} from "./rotation.ts";
import { carryOut } from "./rotation-steps.ts";

// Goal: over the years of a CA, and whatever is lost in between, each certificate that is shown is trusted while it is
// shown. Time is a number; keys are real.

const DAY = 86_400_000;
const START = Date.UTC(2025, 0, 1);
const names = { dnsNames: ["s.ns.svc"], ipAddresses: [] };
const policy = ROTATION_POLICY;
const SETTLED = policy.settleMs;

const facts = (now: number, nextTrustedForMs?: number): RotationFacts => ({ now, names, nextTrustedForMs, policy });
const take = (type: RotationStep["type"], state: CertificateState | undefined, now: number) =>
  carryOut(type, state, { now, names, policy });
const typeOf = (state: CertificateState | undefined, now: number, trusted?: number) =>
  decideRotation(state, facts(now, trusted))?.type;

const made = await take("make", undefined, START);
const announced = await take("announce", made, START);
const switched = await take("switch", announced, START + DAY);

describe("decideRotation", () => {
  it.each([
    { name: "nothing stored", state: undefined, now: START, want: "make" },
    { name: "all fresh", state: made, now: START, want: undefined },
    { name: "a third of the certificate's life is left", state: made, now: START + 61 * DAY, want: "renew" },
    { name: "a little more is left", state: made, now: START + 59 * DAY, want: undefined },
    { name: "the operator was away past the certificate", state: made, now: START + 400 * DAY, want: "renew" },
    { name: "the operator was away past the CA", state: made, now: START + 3651 * DAY, want: "make" },
    {
      name: "the next CA is not trusted everywhere",
      state: announced,
      now: START,
      trusted: undefined,
      want: undefined,
    },
    { name: "it is trusted since a moment", state: announced, now: START, trusted: SETTLED - 1, want: undefined },
    { name: "it is trusted long enough", state: announced, now: START, trusted: SETTLED, want: "switch" },
    { name: "trust of no next CA", state: made, now: START, trusted: SETTLED, want: undefined },
    { name: "a certificate is due while a CA is announced", state: announced, now: START + 61 * DAY, want: "renew" },
    { name: "a retired CA whose certificate lives", state: switched, now: START + 59 * DAY, want: undefined },
    { name: "its certificate has expired", state: { ...switched, serving: made.serving }, now: START, want: "renew" },
  ])("$name: $want", ({ state, now, trusted, want }) => {
    expect(typeOf(state, now, trusted)).toBe(want);
  });

  it("announces a CA when a third of the old one's life is left, and only once", async () => {
    const late = START + 2440 * DAY;
    const renewed = await take("renew", made, late);
    expect(typeOf(renewed, late)).toBe("announce");
    expect(typeOf(await take("announce", renewed, late), late)).toBeUndefined();
  });

  it("switches at once when the signing CA is lost: its certificates are worth nothing any more", () => {
    const lost = { ...announced, signing: { ...announced.signing, keyPem: "garbage" } };
    expect(typeOf(lost, START)).toBe("switch");
    const { next: _next, ...without } = lost;
    expect(typeOf(without, START)).toBe("make");
  });

  it("announces another CA when the next one is damaged", () => {
    const next = { certPem: made.signing.certPem, keyPem: switched.signing.keyPem, usedUntil: 0 };
    const damaged = { ...announced, next };
    expect(typeOf(damaged, START, SETTLED)).toBe("announce");
  });

  it("renews for a name that the certificate lacks, and says which", () => {
    const step = decideRotation(made, {
      ...facts(START),
      names: { dnsNames: ["s.ns.svc", "t.ns.svc"], ipAddresses: [] },
    });
    expect(step).toEqual({ type: "renew", reason: "the serving certificate: it lacks t.ns.svc" });
  });

  it("drops a retired CA when the last certificate that it signed has expired", async () => {
    const usedUntil = readCertificate(made.serving.certPem).notAfter;
    const renewed = await take("renew", switched, usedUntil - 1);
    expect(typeOf(renewed, usedUntil - 1)).toBeUndefined();
    expect(typeOf(renewed, usedUntil)).toBe("retire");
    expect((await take("retire", renewed, usedUntil)).retired).toEqual([]);
  });
});

describe("carryOut", () => {
  it("shows a certificate of the signing CA after each step, and forgets the key of a retired one", () => {
    for (const { signing, serving } of [made, announced, switched])
      expect(isIssuedBy(serving, signing.certPem)).toBe(true);
    expect(announced.serving).toEqual(made.serving);
    expect(switched.signing.certPem).toBe(announced.next?.certPem);
    expect(switched.retired).toEqual([{ certPem: made.signing.certPem, usedUntil: made.signing.usedUntil }]);
    expect(readCertificate(switched.serving.certPem)).toMatchObject({ dnsNames: ["s.ns.svc"] });
  });

  it("keeps an announced CA over a renewal", async () => {
    expect((await take("renew", announced, START)).next).toEqual(announced.next);
  });
});

describe("trustBundle", () => {
  it("holds the next CA, the signing one and the retired ones, each once", () => {
    const count = (state: CertificateState): number => trustBundle(state).split("BEGIN CERTIFICATE").length - 1;
    expect([made, announced, switched].map(count)).toEqual([1, 2, 2]);
    const twice = { ...switched, retired: [...switched.retired, ...switched.retired] };
    expect(trustBundle(twice)).toBe(trustBundle(switched));
  });
});

describe("adoptTrusted", () => {
  const how = { now: START + 2 * DAY, policy };

  it("adds CAs of ours that callers trust, once, for as long as their certificates can live", () => {
    const adopted = adoptTrusted(made, [trustBundle(switched), trustBundle(switched)], how);
    const usedUntil = how.now + policy.certificate.validityMs;
    expect(adopted).toEqual({ ...made, retired: [{ certPem: switched.signing.certPem, usedUntil }] });
    expect(adoptTrusted(adopted, [trustBundle(switched)], how)).toBe(adopted);
  });

  it("adds neither somebody else's, nor garbage, nor what has expired", async () => {
    const foreign = await createCertificateAuthority("somebody else", START);
    const garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    expect(adoptTrusted(made, ["", foreign.certPem, garbage], how)).toBe(made);
    expect(adoptTrusted(made, [trustBundle(switched)], { ...how, now: START + 4000 * DAY })).toBe(made);
  });
});

describe("thirty years", () => {
  // One look in ten days; now and then the operator is away for longer than a certificate's third.
  it("never shows a certificate that a bundle of that look, or of the one before, does not trust", async () => {
    let state: CertificateState | undefined;
    let trustedForMs: number | undefined;
    let bundles: string[] = [];
    let checked: CertificatePair | undefined;
    const steps = new Map<string, number>();
    for (let day = 0; day < 30 * 365; day += day % 1000 === 0 ? 45 : 10) {
      const now = START + day * DAY;
      for (let rounds = 0; rounds < 10; rounds += 1) {
        const step: RotationStep | undefined = decideRotation(state, facts(now, trustedForMs));
        if (step === undefined) break;
        state = await take(step.type, state, now);
        steps.set(step.type, (steps.get(step.type) ?? 0) + 1);
        trustedForMs = undefined;
      }
      if (state === undefined) throw new Error("nothing was made");
      const { serving, next } = state;
      expect(readCertificate(serving.certPem).notAfter).toBeGreaterThan(now);
      // What is in the bundle today has been trusted for days when we look again.
      trustedForMs = next === undefined ? undefined : SETTLED;
      const bundle = trustBundle(state);
      // Checked twice, so that the bundle of the look before is another one at most once.
      const isChecked = serving === checked && bundles.length === 2 && bundles.every((held) => held === bundle);
      if (isChecked) continue;
      checked = serving;
      bundles = [...bundles.slice(-1), bundle];
      const issuers = bundles.map((held) => held.split(/(?<=-----END CERTIFICATE-----\n)/).filter((pem) => pem !== ""));
      for (const pems of issuers) expect(pems.some((pem) => isIssuedBy(serving, pem))).toBe(true);
    }
    expect(Object.fromEntries(steps)).toMatchObject({ make: 1, announce: 4, switch: 4, retire: 4 });
  }, 60_000);
});
