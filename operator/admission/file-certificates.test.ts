import { createSecureContext } from "node:tls";
import { afterEach, describe, expect, it } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { fingerprint } from "../../lib/node/certificates.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { eventually } from "../../testkit/wait.ts";
import type { ServingCertificate } from "./certificate-source.ts";
import { createFileCertificates } from "./file-certificates.ts";
import { foreignAuthority, loopbackCertificate, mountCertificates } from "./testing/mounted-certificates.ts";

// Goal: what the kubelet and others do to files: each whole pair is used once, anything else leaves the old one in use.

const ca = await foreignAuthority();
const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

interface How {
  readonly directory?: string;
  /** What the server does with a certificate before it is in use; nothing unless told. */
  readonly show?: (certificate: ServingCertificate) => void;
}

const start = async (how: How = {}) => {
  const first = await loopbackCertificate(ca);
  const mounted = await mountCertificates(first);
  cleanUps.push(() => mounted.remove());
  // Its time stands still unless a test moves it: what is found without that was told by the kernel.
  const clock = createManualClock(systemClock.now());
  const used: string[] = [];
  const reads = { ok: 0, failed: 0 };
  const abort = new AbortController();
  const source = createFileCertificates({
    directory: how.directory ?? mounted.directory,
    clock,
    log: silentLogger,
    onRead: (ok) => {
      reads[ok ? "ok" : "failed"] += 1;
    },
  });
  const ended = source.run(abort.signal, (certificate) => {
    how.show?.(certificate);
    used.push(certificate.fingerprint);
  });
  cleanUps.push(() => {
    abort.abort();
    return ended;
  });
  return { mounted, clock, source, used, reads, first: fingerprint(first.certPem) };
};

describe("createFileCertificates", () => {
  it("uses what is there, and what the kubelet swaps in, without waiting for the poll", async () => {
    const { mounted, used, first } = await start();
    await eventually("the first is used", () => used.length === 1);
    const second = await loopbackCertificate(ca);
    await mounted.swap(second);
    await eventually("the second is used", () => used.length === 2);
    expect(used).toEqual([first, fingerprint(second.certPem)]);
  });

  it("looks every 10 s, and uses the same certificate once", async () => {
    const { clock, used, reads } = await start();
    await eventually("the first is used", () => used.length === 1);
    const before = reads.ok;
    for (let count = 1; count <= 3; count += 1) {
      await eventually("it sleeps", () => clock.pendingSleeps() === 1);
      await clock.advance(10_000);
      await eventually("it looked", () => reads.ok >= before + count);
    }
    expect(used).toHaveLength(1);
    expect(reads.failed).toBe(0);
  });

  it.each([
    ["a missing key", (pem: string) => ({ "tls.crt": pem }), /tls.crt or tls.key cannot be read/],
    ["half a certificate", (pem: string) => ({ "tls.crt": pem.slice(0, 99), "tls.key": "" }), /not readable PEM/],
    ["nothing", () => ({}), /cannot be read/],
  ])("keeps the old one over %s, counts it, and recovers", async (_name, filesOf, message) => {
    const { mounted, used, reads, source } = await start();
    await eventually("the first is used", () => used.length === 1);
    const next = await loopbackCertificate(ca);
    await mounted.swapFiles(filesOf(next.certPem));
    await eventually("it is counted", () => reads.failed > 0 && source.trouble() !== undefined);
    expect(source.trouble()).toMatch(message);
    expect(used).toHaveLength(1);
    await mounted.swap(next);
    await eventually("the next is used", () => used.length === 2);
    expect(source.trouble()).toBeUndefined();
  });

  it("keeps the old one over a key that does not fit, and over an expired certificate", async () => {
    const { mounted, used, source } = await start();
    await eventually("the first is used", () => used.length === 1);
    const [one, two] = [await loopbackCertificate(ca), await loopbackCertificate(ca)];
    await mounted.swap({ certPem: one.certPem, keyPem: two.keyPem });
    await eventually("it is noticed", () => source.trouble()?.endsWith("do not fit each other") === true);
    await mounted.swap(await loopbackCertificate(ca, { validityMs: -60_000, backdateMs: 120_000 }));
    await eventually("it is noticed", () => source.trouble()?.includes("the certificate expired at") === true);
    expect(used).toHaveLength(1);
  });

  it("says that the old one is still in use for as long as TLS refuses the new one", async () => {
    const { mounted, clock, used, reads, source } = await start({
      show: ({ certPem, keyPem }) => void createSecureContext({ cert: certPem, key: keyPem }),
    });
    await eventually("the first is used", () => used.length === 1);
    const next = await loopbackCertificate(ca);
    // The first certificate can be read; the chain behind it cannot.
    const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    await mounted.swap({ ...next, certPem: `${next.certPem}${broken}` });
    await eventually("it is counted", () => reads.failed > 0);
    const failed = reads.failed;
    await eventually("it looked again", async () => {
      await clock.advance(10_000);
      return reads.failed > failed;
    });
    expect(source.trouble()).toBeDefined();
    expect(used).toHaveLength(1);
    await mounted.swap(next);
    await eventually("the next is used", () => used.length === 2);
    expect(source.trouble()).toBeUndefined();
  });

  it("waits for a folder that is not there yet", async () => {
    const { source, used, mounted, clock } = await start({ directory: "/nonexistent/shieldx" });
    await eventually("it says so", () => source.trouble()?.startsWith("/nonexistent/shieldx: ") === true);
    await clock.advance(60_000);
    expect(used).toEqual([]);
    expect(mounted.directory).toBeDefined();
  });
});
