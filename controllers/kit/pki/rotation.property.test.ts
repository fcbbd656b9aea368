// A CA that is replaced while everything happens in any order: nobody ever refuses a certificate that is shown.
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { certificateDigest, certificatesIn } from "../../../lib/core/trust-bundle.ts";
import { plainCertificates } from "../testing/certificates.ts";
import { createPkiModel, MODEL_NAMES } from "../testing/pki-model.ts";

const SHARDS = [0, 1, 2];
const OPERATOR = "bank-operator-tls";
const shardTls = (shard: number): string => `bank-${String(shard)}-tls`;
/** A kubelet brings a Secret into a pod within this time. */
const KUBELET_MS = 90_000;

/** One event. */
type Step =
  | { readonly does: "reconcile"; readonly writes: number }
  | { readonly does: "read"; readonly shard: number; readonly what: "bundle" | "certificate" }
  | { readonly does: "wait"; readonly seconds: number }
  | { readonly does: "lose"; readonly names: readonly string[] }
  | { readonly does: "ask" };

const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      does: fc.constant("reconcile" as const),
      writes: fc.oneof(fc.constant(99), fc.integer({ min: 0, max: 9 })),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant("read" as const),
      shard: fc.constantFrom(...SHARDS),
      what: fc.constantFrom("bundle" as const, "certificate" as const),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ does: fc.constant("wait" as const), seconds: fc.constantFrom(1, 30, 60, 80, 200, 700) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant("lose" as const),
      names: fc.constantFrom(
        [MODEL_NAMES.caKey],
        [MODEL_NAMES.ca],
        [MODEL_NAMES.caNext],
        [MODEL_NAMES.caKey, MODEL_NAMES.ca],
        Object.values(MODEL_NAMES),
      ),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ does: "ask" as const }) },
);

/** The operator, pods of three shards, and a client that says nothing of what it trusts. */
function createCluster(tells: boolean) {
  const model = createPkiModel(plainCertificates, {
    [OPERATOR]: { commonName: "operator", usage: "client" },
    ...Object.fromEntries(SHARDS.map((shard) => [shardTls(shard), { commonName: shardTls(shard), usage: "server" }])),
  });
  const { text } = model;
  let now = 1_735_689_600_000;
  let asked = 0;
  const pods = SHARDS.map(() => ({ bundle: "", certPem: "", bundleSince: now, certSince: now }));
  const client = { bundle: "", since: now };

  /** One reconcile that dies after some writes. */
  const reconcile = (writes: number): Promise<boolean> => {
    // Two CAs that are made at one time would be the same text.
    now += 1_000;
    const trusters = pods.map(({ bundle, certPem }, shard) => ({
      what: `shard ${String(shard)}`,
      secret: shardTls(shard),
      answers: true,
      trusts: tells ? certificatesIn(bundle).map(certificateDigest) : undefined,
      shows: tells ? certificateDigest(certPem) : undefined,
    }));
    return model.reconcile({ now, trusters, writes, request: asked === 0 ? undefined : String(asked) });
  };

  const read = (shard: number, what: "bundle" | "certificate"): void => {
    const pod = pods[shard];
    if (pod === undefined) return;
    // A Secret that is gone leaves the file as it was.
    if (what === "bundle")
      Object.assign(pod, { bundle: text(MODEL_NAMES.ca, "ca.crt") || pod.bundle, bundleSince: now });
    else Object.assign(pod, { certPem: text(shardTls(shard), "tls.crt") || pod.certPem, certSince: now });
  };
  const readClient = (): void =>
    void Object.assign(client, { bundle: text(MODEL_NAMES.ca, "ca.crt") || client.bundle, since: now });

  /** Time passes; whoever says nothing reads within the kubelet's time, before anything else happens. */
  const wait = (seconds: number): void => {
    now += seconds * 1_000;
    if (now - client.since >= KUBELET_MS) readClient();
    if (tells) return;
    pods.forEach((pod, shard) => {
      if (now - pod.bundleSince >= KUBELET_MS) read(shard, "bundle");
      if (now - pod.certSince >= KUBELET_MS) read(shard, "certificate");
    });
  };

  const issuer = (certPem: string): string => certPem.split(" | ")[0] ?? "?";
  /** Plain checks: `expect` would take most of the time. */
  const expectNobodyRefused = (): void => {
    const operator = model.trusted();
    const refused = (who: string, bundle: string, certPem: string): void => {
      if (!certificatesIn(bundle).includes(issuer(certPem)))
        throw new Error(`${who} refuses ${certPem}, trusts ${bundle}`);
    };
    pods.forEach(({ bundle, certPem }, shard) => {
      const shown = text(OPERATOR, "tls.crt");
      if (shown !== "") refused(`shard ${String(shard)}`, bundle, shown);
      refused("the operator", operator, certPem);
      refused("a client", client.bundle, certPem);
    });
  };

  return {
    expectNobodyRefused,
    start: async () => {
      for (let turn = 0; turn < 4; turn += 1) await reconcile(99);
      for (const shard of SHARDS) for (const what of ["bundle", "certificate"] as const) read(shard, what);
      readClient();
    },
    take: async (step: Step) => {
      switch (step.does) {
        case "reconcile":
          await reconcile(step.writes);
          return;
        case "read":
          read(step.shard, step.what);
          return;
        case "wait":
          wait(step.seconds);
          return;
        case "lose":
          for (const name of step.names) model.secrets.delete(name);
          return;
        case "ask":
          asked += 1;
      }
    },
    /** Everybody does his part until nothing changes. */
    settle: async () => {
      for (let turn = 0; turn < 40; turn += 1) {
        await reconcile(99);
        for (const shard of SHARDS) for (const what of ["bundle", "certificate"] as const) read(shard, what);
        readClient();
        expectNobodyRefused();
        wait(120);
      }
      expect(await reconcile(99)).toBe(false);
      return {
        trusted: certificatesIn(text(MODEL_NAMES.ca, "ca.crt")),
        issuers: [...new Set([OPERATOR, ...SHARDS.map(shardTls)].map((name) => issuer(text(name, "tls.crt"))))],
        signing: text(MODEL_NAMES.caKey, "tls.crt").trim(),
        hasNext: model.secrets.has(MODEL_NAMES.caNext),
      };
    },
  };
}

test.each([
  ["that say what they trust and show, whenever they read it", true],
  ["that say nothing, and read within the kubelet's time", false],
])("agents %s: nobody is refused at any moment, whoever dies where, and it comes to its end", async (_name, tells) => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { minLength: 20, maxLength: 100 }), async (steps) => {
      const cluster = createCluster(tells);
      await cluster.start();
      cluster.expectNobodyRefused();
      for (const step of steps) {
        await cluster.take(step);
        cluster.expectNobodyRefused();
      }
      const { trusted, issuers, signing, hasNext } = await cluster.settle();
      expect({ trusted, issuers, hasNext }).toEqual({ trusted: [signing], issuers: [signing], hasNext: false });
    }),
    { numRuns: 60 },
  );
});

test("the property can fail: a CA that signs as soon as it is made is refused", async () => {
  const cluster = createCluster(true);
  await cluster.start();
  await cluster.take({ does: "lose", names: [MODEL_NAMES.caKey, MODEL_NAMES.ca, OPERATOR] });
  for (let turn = 0; turn < 3; turn += 1) await cluster.take({ does: "reconcile", writes: 99 });
  expect(cluster.expectNobodyRefused).toThrow();
});
