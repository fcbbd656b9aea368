import { afterEach, describe, expect, it } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { RESOURCES, type SecretObject } from "../../lib/kube/types.ts";
import { isIssuedBy } from "../../lib/node/certificates.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { eventually } from "../../testkit/wait.ts";
import { secretOf, stateOf } from "./certificate-secret.ts";
import type { CertificateSource, ServingCertificate } from "./certificate-source.ts";
import { createOwnCertificates } from "./own-certificates.ts";
import { type CertificateState, ROTATION_POLICY, trustBundle } from "./rotation.ts";
import { carryOut } from "./rotation-steps.ts";
import { SECRET, TARGETS } from "./testing/caller.ts";
import { injectTrust, installGadgets } from "./testing/gadget-server.ts";
import { createMemoryKube, type MemoryKube } from "./testing/memory-kube.ts";
import { createTrustTargets } from "./trust-targets.ts";

// Goal: replicas share one Secret without a leader, write nothing at rest, and heal what others break. The clock is
// moved by hand; keys are made by the real library, so a step is waited for.

const DAY = 86_400_000;
const MINUTE = 60_000;

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

interface Running {
  readonly source: CertificateSource;
  /** All that it handed over. */
  readonly used: ServingCertificate[];
  readonly reads: boolean[];
}

const newWorld = async () => {
  const kube = createMemoryKube();
  await installGadgets(kube, "https://127.0.0.1:1");
  kube.writes.length = 0;
  const clock = createManualClock();
  const start = (): Running => {
    const used: ServingCertificate[] = [];
    const reads: boolean[] = [];
    const abort = new AbortController();
    const source = createOwnCertificates({
      client: kube,
      secret: SECRET,
      targets: TARGETS,
      names: { dnsNames: ["s.ns.svc"], ipAddresses: [] },
      clock,
      random: () => 0.5,
      log: silentLogger,
      onRead: (ok) => reads.push(ok),
    });
    const ended = source.run(abort.signal, (certificate) => used.push(certificate));
    stops.push(() => {
      abort.abort();
      return ended;
    });
    return { source, used, reads };
  };
  /** Lets time pass in looks, until something is so. */
  const until = (what: string, check: () => boolean | Promise<boolean>): Promise<true> =>
    eventually(what, async () => {
      await clock.advance(MINUTE);
      return check();
    });
  return { kube, clock, start, until };
};

const stored = async (kube: MemoryKube): Promise<SecretObject | undefined> => kube.find(RESOURCES.Secret, SECRET);
const stateIn = async (kube: MemoryKube) => {
  const secret = await stored(kube);
  if (secret === undefined) throw new Error("no Secret");
  return stateOf(secret);
};
const bundlesIn = async (kube: MemoryKube): Promise<readonly string[]> => {
  const seen = await createTrustTargets(kube, TARGETS).read(new AbortController().signal);
  return seen.flatMap(({ bundles }) => bundles);
};
const areTrusted = async (kube: MemoryKube): Promise<boolean> => {
  const bundle = trustBundle(await stateIn(kube));
  return (await bundlesIn(kube)).every((held) => held === bundle);
};

describe("createOwnCertificates", () => {
  it("makes a CA and a certificate, has them trusted, and then writes nothing", async () => {
    const { kube, clock, start, until } = await newWorld();
    const { used, source } = start();
    await until("a certificate is used", () => used.length === 1);
    const state = await stateIn(kube);
    expect(used[0]?.certPem).toBe(state.serving.certPem);
    expect(await areTrusted(kube)).toBe(true);
    expect(await bundlesIn(kube)).toHaveLength(3);
    expect(source.trouble()).toBeUndefined();
    const writes = kube.writes.length;
    expect(writes).toBe(4);
    for (let looks = 0; looks < 120; looks += 1) await clock.advance(MINUTE);
    expect(kube.writes).toHaveLength(writes);
  });

  it("gives one certificate to all replicas that begin at once", async () => {
    const { kube, start, until } = await newWorld();
    const replicas = [start(), start(), start()];
    await until("all use one", () => replicas.every(({ used }) => used.length > 0));
    await until("it is trusted", () => areTrusted(kube));
    const { serving } = await stateIn(kube);
    for (const { used } of replicas) expect(used.at(-1)?.certPem).toBe(serving.certPem);
    expect(kube.writes.filter((key) => key.startsWith("Secret"))).toHaveLength(1);
  });

  it("renews at two thirds of the life, once among all replicas", async () => {
    const { kube, clock, start, until } = await newWorld();
    const replicas = [start(), start()];
    await until("both use one", () => replicas.every(({ used }) => used.length === 1));
    const { writes } = kube;
    writes.length = 0;
    clock.jumpWallClock(61 * DAY);
    await until("both use the next", () => replicas.every(({ used }) => used.length === 2));
    expect(writes).toEqual(["Secret/gadget-webhooks"]);
  });

  it("makes a new CA when the Secret is deleted, and shows nothing of it before it was trusted for five minutes", async () => {
    const { kube, clock, start, until } = await newWorld();
    const { used } = start();
    await until("one is used", () => used.length === 1);
    const before = await stateIn(kube);
    await kube.delete(RESOURCES.Secret, SECRET);
    await until("a CA is announced", async () => (await stored(kube)) !== undefined && (await areTrusted(kube)));
    const announced = await stateIn(kube);
    expect(announced.serving).toEqual(before.serving);
    expect(announced.next).toBeDefined();
    await clock.advance(ROTATION_POLICY.settleMs - 2 * MINUTE);
    expect((await stateIn(kube)).signing).toEqual(before.signing);
    await until("the next one is used", () => used.length === 2);
    const after = await stateIn(kube);
    expect(isIssuedBy(after.serving, announced.next?.certPem ?? "")).toBe(true);
    expect(await areTrusted(kube)).toBe(true);
    expect((await bundlesIn(kube))[0]).toContain(before.signing.certPem.trim());
  });

  it("does not count the time in which one target had lost the bundle", async () => {
    const { kube, clock, start, until } = await newWorld();
    const { used } = start();
    await until("one is used", () => used.length === 1);
    await kube.delete(RESOURCES.Secret, SECRET);
    await until("a CA is announced", async () => (await stored(kube)) !== undefined && (await areTrusted(kube)));
    await clock.advance(3 * MINUTE);
    const signal = new AbortController().signal;
    const [target] = await createTrustTargets(kube, TARGETS).read(signal);
    if (target === undefined) throw new Error("no target");
    await createTrustTargets(kube, TARGETS).write(target, "somebody else's", signal);
    await until("it is healed", () => areTrusted(kube));
    await clock.advance(3 * MINUTE);
    expect((await stateIn(kube)).next).toBeDefined();
    await until("the next one is used", () => used.length === 2);
  });

  it("heals a lost bundle and a deleted Secret when it happens, not when it looks next", async () => {
    const { kube, clock, start, until } = await newWorld();
    const { used } = start();
    await until("one is used", () => used.length === 1);
    const soon = (what: string, check: () => Promise<boolean>): Promise<true> =>
      eventually(what, async () => {
        await clock.advance(100);
        return check();
      });
    const before = clock.monotonic();
    await injectTrust(kube, "somebody else's");
    await soon("it is healed", () => areTrusted(kube));
    await kube.delete(RESOURCES.Secret, SECRET);
    await soon("it is written again", async () => (await stored(kube)) !== undefined);
    expect(clock.monotonic() - before).toBeLessThan(MINUTE);
  });

  it("does not answer a program that undoes its work at that program's pace", async () => {
    const { kube, clock, start, until } = await newWorld();
    const { used } = start();
    await until("one is used", () => used.length === 1);
    const before = kube.writes.length;
    const rounds = 100;
    for (let round = 0; round < rounds; round += 1) {
      await injectTrust(kube, "somebody else's");
      await clock.advance(10);
    }
    const undone = rounds * TARGETS.length;
    // One second has gone by: four passes of three writes at most, and one that was due.
    expect(kube.writes.length - before - undone).toBeLessThanOrEqual(15);
  });

  it("never puts an older bundle in the place of a newer one", async () => {
    const { kube, start, until } = await newWorld();
    const { used } = start();
    await until("one is used", () => used.length === 1);
    const old = trustBundle(await stateIn(kube));
    // The replica has looked and is about to write; meanwhile another one announces a CA and tells everybody.
    const signal = new AbortController().signal;
    const targets = createTrustTargets(kube, TARGETS);
    const [seen] = await targets.read(signal);
    if (seen === undefined) throw new Error("no target");
    await targets.write(seen, `${old}and a newer one`, signal);
    await expect(targets.write(seen, old, signal)).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
  });

  it("heals a damaged Secret from memory and leaves members alone that are not ours", async () => {
    const { kube, start, until } = await newWorld();
    const { used, reads } = start();
    await until("one is used", () => used.length === 1);
    const secret = (await stored(kube)) as SecretObject;
    await kube.replace(RESOURCES.Secret, {
      ...secret,
      data: { ...secret.data, "authorities.json": "eA==", mine: "eA==" },
    });
    await until("it is readable again", async () => (await stored(kube))?.data?.["authorities.json"] !== "eA==");
    expect((await stateIn(kube)).serving.certPem).toBe(used[0]?.certPem);
    expect((await stored(kube))?.data?.["mine"]).toBe("eA==");
    expect(reads).toContain(false);
  });

  it("trusts what came after its memory, when it is the one that writes the Secret again", async () => {
    const { kube, clock, start, until } = await newWorld();
    const { used } = start();
    await until("one is used", () => used.length === 1);
    // Another replica rotates twice and dies with the Secret; this one has seen nothing of it.
    const old = await stateIn(kube);
    const rotate = async (state: CertificateState): Promise<CertificateState> => {
      const how = { now: clock.now(), names: { dnsNames: ["s.ns.svc"], ipAddresses: [] }, policy: ROTATION_POLICY };
      return carryOut("switch", await carryOut("announce", state, how), how);
    };
    const newest = await rotate(await rotate(old));
    await injectTrust(kube, trustBundle(newest));
    await kube.delete(RESOURCES.Secret, SECRET);
    await until("it is written again", async () => (await stored(kube)) !== undefined && (await areTrusted(kube)));
    const restored = await stateIn(kube);
    expect(restored.serving).toEqual(old.serving);
    const [bundle = ""] = await bundlesIn(kube);
    const authorities = [newest.signing, ...newest.retired, old.signing];
    for (const { certPem } of authorities) expect(bundle).toContain(certPem.trim());
    expect(restored.retired).toHaveLength(2);
  });

  it("does not touch a Secret that is somebody else's", async () => {
    const { kube, start, until } = await newWorld();
    const theirs = { apiVersion: "v1", kind: "Secret", metadata: { ...SECRET }, data: { a: "eA==" } };
    await kube.create(RESOURCES.Secret, theirs);
    const { used, source } = start();
    await until("it says so", () => source.trouble()?.includes("is not ours") === true);
    expect(used).toEqual([]);
    expect((await stored(kube))?.data).toEqual({ a: "eA==" });
  });

  it("goes on with what it has while the API server does not answer", async () => {
    const { kube, start, until } = await newWorld();
    const { used, source, reads } = start();
    await until("one is used", () => used.length === 1);
    const answerAgain = kube.fail("find", new OperatorError("KUBE_UNREACHABLE", "no answer"));
    await until("it is noticed", () => source.trouble() === "no answer");
    answerAgain();
    await until("it is over", () => source.trouble() === undefined);
    expect(used).toHaveLength(1);
    expect(reads).toContain(false);
  });

  it("serves also when a bundle cannot be written, and says whose", async () => {
    const { kube, start, until } = await newWorld();
    kube.fail("apply", new OperatorError("KUBE_FORBIDDEN", "patch of validatingwebhookconfigurations is not allowed"));
    const { used, source } = start();
    await until("one is used", () => used.length === 1);
    expect(source.trouble()).toContain("validatingwebhookconfigurations");
  });

  it("names a target that does not exist, and does not wait for its trust", async () => {
    const { kube, start, until } = await newWorld();
    for (const { target } of await createTrustTargets(kube, TARGETS).read(new AbortController().signal)) {
      if (target.role === "conversion") await kube.delete(RESOURCES.CustomResourceDefinition, { name: target.name });
    }
    const { used, source } = start();
    await until("one is used", () => used.length === 1);
    expect(source.trouble()).toBe("nobody is told to trust the certificate: no gadgets.test.shieldx.dev");
    await kube.delete(RESOURCES.Secret, SECRET);
    await until("another CA's is used", () => used.length === 2);
  });
});

describe("secretOf and stateOf", () => {
  it("say the same", async () => {
    const { kube, start, until } = await newWorld();
    const { used } = start();
    await until("one is used", () => used.length === 1);
    const state = await stateIn(kube);
    expect(stateOf(secretOf(SECRET, state))).toEqual(state);
  });

  it.each([["authorities.json"], ["tls.crt"]])(
    "refuses a Secret without %s and quotes nothing of it",
    async (member) => {
      const { kube, start, until } = await newWorld();
      const { used } = start();
      await until("one is used", () => used.length === 1);
      const secret = secretOf(SECRET, await stateIn(kube));
      const { [member]: _gone, ...data } = secret.data ?? {};
      expect(() => stateOf({ ...secret, data })).toThrow(
        "Secret default/gadget-webhooks does not hold what we once wrote",
      );
    },
  );
});
