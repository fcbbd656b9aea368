import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { parse } from "yaml";
import { SHARD_SET, shardSetSpec } from "../../crds/shardset.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { allow, deny, mutatingWebhook, validatingWebhook } from "./admission.ts";
import { GADGET_WEBHOOKS, gadget } from "./testing/gadget.ts";
import type { Webhook } from "./webhook.ts";

// Goal: a webhook answers every review that is one, and gives a coded error for everything else; handlers get what the
// types promise.

const context = { signal: new AbortController().signal, log: silentLogger, onPanic: () => undefined };

const request = (more: object): object => ({
  uid: "1",
  kind: { group: "test.shieldx.dev", version: "v2", kind: "Gadget" },
  operation: "CREATE",
  userInfo: { username: "user" },
  ...more,
});
const review = (more: object): object => ({
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  request: request(more),
});
const ask = async (webhook: Webhook, body: unknown) =>
  ((await webhook.answer(body, context)) as { response: Record<string, unknown> }).response;

describe("any JSON", () => {
  const nearly = fc.record(
    {
      apiVersion: fc.constantFrom("admission.k8s.io/v1", "apiextensions.k8s.io/v1", "admission.k8s.io/v1beta1"),
      kind: fc.constantFrom("AdmissionReview", "ConversionReview"),
      request: fc.oneof(
        fc.jsonValue(),
        fc.record(
          {
            uid: fc.constantFrom("1", "", 1),
            kind: fc.constantFrom({ group: "", version: "v1", kind: "Gadget" }, null),
            operation: fc.constantFrom("CREATE", "UPDATE", "DELETE", "CONNECT", "PATCH"),
            userInfo: fc.constantFrom({}, { username: "u", groups: ["g"] }, { groups: 1 }),
            object: fc.oneof(fc.jsonValue(), fc.constant(gadget("a"))),
            oldObject: fc.oneof(fc.jsonValue(), fc.constant(gadget("a"))),
            desiredAPIVersion: fc.constantFrom("test.shieldx.dev/v1", "v1"),
            objects: fc.oneof(fc.jsonValue(), fc.array(fc.oneof(fc.jsonValue(), fc.constant(gadget("a"))))),
          },
          { requiredKeys: [] },
        ),
      ),
    },
    { requiredKeys: [] },
  );

  it.each(GADGET_WEBHOOKS.map((webhook) => [webhook.role, webhook] as const))(
    "gets an answer with its uid, or a coded error: %s",
    async (_role, webhook) => {
      await fc.assert(
        fc.asyncProperty(fc.oneof(fc.jsonValue(), nearly), async (body) => {
          const outcome = await ask(webhook, body).catch((error: unknown) => error);
          if (isOperatorError(outcome)) expect(["WEBHOOK_REQUEST_INVALID", "WEBHOOK_FAILED"]).toContain(outcome.code);
          else expect(outcome).toMatchObject({ uid: "1" });
        }),
        { numRuns: 500 },
      );
    },
  );
});

describe("a kind of ours", () => {
  it("is judged by its zod schema and a typed handler", async () => {
    const webhook = validatingWebhook({
      kind: { type: SHARD_SET, spec: shardSetSpec },
      validate: ({ spec, metadata }, { old }) =>
        spec.shards < (old?.spec.shards ?? 0) ? deny(`${metadata.name} cannot shrink`) : allow("as you like"),
    });
    expect(webhook.path).toBe("/validate-shieldx-dev-v1alpha1-shardset");
    const file = join(import.meta.dirname, "../../crds/samples/shardset-minimal.yaml");
    const sample = parse(await readFile(file, "utf8")) as KubeObject;
    const spec = shardSetSpec.parse(sample["spec"]);
    const object = { ...sample, spec };
    expect(await ask(webhook, review({ object }))).toEqual({ uid: "1", allowed: true, warnings: ["as you like"] });
    const oldObject = { ...object, spec: { ...spec, shards: spec.shards + 1 } };
    expect(await ask(webhook, review({ operation: "UPDATE", object, oldObject }))).toMatchObject({
      allowed: false,
      status: { code: 403, reason: "Forbidden", message: `${sample.metadata.name} cannot shrink` },
    });
    const broken = { ...object, spec: { ...spec, shards: "three" } };
    expect(await ask(webhook, review({ object: broken }))).toMatchObject({
      allowed: false,
      status: { code: 422, reason: "Invalid", message: expect.stringMatching(/^spec: shards: /) },
    });
  });
});

describe("what is not there", () => {
  const [validating, mutating] = GADGET_WEBHOOKS;

  it("is refused by a validating webhook and let through by a mutating one", async () => {
    if (validating === undefined || mutating === undefined) throw new Error("no webhooks");
    expect(await ask(validating, review({}))).toMatchObject({
      allowed: false,
      status: { code: 400, reason: "BadRequest", message: "the review of CREATE has no object" },
    });
    expect(await ask(mutating, review({}))).toEqual({ uid: "1", allowed: true });
  });

  it("does not keep an object from being deleted that no schema fits any more", async () => {
    if (validating === undefined) throw new Error("no webhook");
    const oldObject = gadget("a", { width: "wide" });
    expect(await ask(validating, review({ operation: "DELETE", oldObject }))).toEqual({ uid: "1", allowed: true });
  });
});

describe("a mutating handler", () => {
  it("has a copy of its own: what it does to it before it throws changes nothing", async () => {
    const webhook = mutatingWebhook({
      kind: { type: SHARD_SET, spec: shardSetSpec.partial() },
      mutate: (object) => {
        object.spec.shards = 7;
        throw new TypeError("no");
      },
    });
    const object = { ...gadget("a"), spec: { shards: 3 } };
    await expect(ask(webhook, review({ object }))).rejects.toMatchObject({ code: "WEBHOOK_FAILED" });
    expect(object.spec).toEqual({ shards: 3 });
  });
});
