import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { ANNOTATIONS } from "../../crds/group.ts";
import { canonicalJson } from "../../lib/core/canonical.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { type ConversionOptions, conversionWebhook, convertObject } from "./conversion.ts";
import { parseExactJson } from "./exact-json.ts";
import { GADGET_VERSIONS, gadget, oldGadget } from "./testing/gadget.ts";

// Goal: there and back gives the same object, whatever is in it; what cannot be converted says why.

const V1 = "test.shieldx.dev/v1";
const V2 = "test.shieldx.dev/v2";
const to = (version: string, object: KubeObject): KubeObject => convertObject(GADGET_VERSIONS, object, version);

describe("convertObject", () => {
  it("gives back any object of the hub after a visit to a spoke", () => {
    const json = fc.jsonValue({ maxDepth: 3 });
    const spec = fc
      .record({
        width: fc.integer({ min: 1, max: 9_999 }),
        height: fc.integer({ min: 1, max: 9_999 }),
        finish: fc.option(fc.constantFrom("matt", "glossy"), { nil: undefined }),
        extra: json,
      })
      .map((value) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>);
    const annotations = fc.option(fc.dictionary(fc.constantFrom("a", "b"), fc.string()), { nil: undefined });
    fc.assert(
      fc.property(spec, annotations, json, (body, notes, status) => {
        const made = gadget("a", body);
        const object = {
          ...made,
          status,
          metadata: {
            ...made.metadata,
            uid: "u",
            ...(notes === undefined || Object.keys(notes).length === 0 ? {} : { annotations: notes }),
          },
        };
        const back = to(V2, to(V1, object));
        expect(canonicalJson(back)).toBe(canonicalJson(object));
      }),
    );
  });

  it("leaves an object of the wanted version as it is, but for what was kept in it", () => {
    expect(to(V2, gadget("a"))).toEqual(gadget("a"));
  });

  it("keeps nothing when there is nothing to keep, and forgets what somebody made unreadable", () => {
    expect(to(V1, gadget("a")).metadata.annotations).toBeUndefined();
    const edited = oldGadget("a");
    edited.metadata.annotations = { [ANNOTATIONS.conversionKept]: "{" };
    expect(to(V2, edited)).toEqual(gadget("a"));
  });

  it("cannot change the identity of an object", () => {
    const thief: ConversionOptions = {
      hub: GADGET_VERSIONS.hub,
      spokes: GADGET_VERSIONS.spokes.map((spoke) => ({
        ...spoke,
        fromHub: () => ({ body: { metadata: { name: "other" }, kind: "Other", apiVersion: "other/v1", spec: {} } }),
      })),
    };
    expect(convertObject(thief, gadget("a"), V1)).toEqual({ ...oldGadget("a", {}) });
  });

  it.each([
    ["another kind", { ...gadget("a"), kind: "Widget" }, V1, "Widget is not Gadget, which this path converts"],
    [
      "an unknown version",
      gadget("a"),
      "test.shieldx.dev/v3",
      "test.shieldx.dev/v3 is not a version of Gadget (test.shieldx.dev/v2, test.shieldx.dev/v1)",
    ],
    ["an object of an unknown version", { ...gadget("a"), apiVersion: "b/v1" }, V1, "b/v1 is not a version of Gadget"],
  ])("refuses %s", (_name, object, version, message) => {
    expect(() => to(version, object)).toThrow(message);
  });
});

describe("conversionWebhook", () => {
  const webhook = conversionWebhook(GADGET_VERSIONS);
  const ask = async (review: unknown) => {
    let panics = 0;
    const context = { signal: new AbortController().signal, log: silentLogger, onPanic: () => void (panics += 1) };
    const answer = (await webhook.answer(review, context)) as { response: Record<string, unknown> };
    return { ...answer, panics };
  };
  const reviewOf = (desiredAPIVersion: string, ...objects: readonly unknown[]) => ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "ConversionReview",
    request: { uid: "1", desiredAPIVersion, objects },
  });

  it("converts all objects in their order", async () => {
    const { response } = await ask(reviewOf(V1, gadget("a"), oldGadget("b"), gadget("c")));
    expect(response).toEqual({
      uid: "1",
      result: { status: "Success" },
      convertedObjects: [oldGadget("a"), oldGadget("b"), oldGadget("c")],
    });
  });

  it("keeps every digit of numbers that it does not know", async () => {
    const text = JSON.stringify(reviewOf(V1, gadget("a", { width: 1, height: 2, big: 0 }))).replace(
      '"big":0',
      '"big":9223372036854775807',
    );
    const answer = await webhook.answer(parseExactJson(text), {
      signal: new AbortController().signal,
      log: silentLogger,
      onPanic: () => undefined,
    });
    expect(JSON.stringify(answer)).toContain('"big":9223372036854775807');
  });

  it("fails as a whole with the sentence of the first object that cannot be converted", async () => {
    const { response, panics } = await ask(reviewOf(V2, oldGadget("a"), oldGadget("b", { size: "large" })));
    expect(response).toMatchObject({
      uid: "1",
      convertedObjects: [],
      result: { status: "Failure", message: 'KUBE_INVALID: spec.size "large" is not like 3x4' },
    });
    expect(panics).toBe(0);
  });

  it("counts a handler that breaks, and tells nothing of its words", async () => {
    const { response, panics } = await ask(reviewOf(V2, { ...oldGadget("a"), spec: undefined }));
    expect(response["result"]).toMatchObject({
      code: 500,
      message: expect.stringContaining("WEBHOOK_FAILED: the conversion of Gadget"),
    });
    expect(panics).toBe(1);
  });

  it.each([
    ["an AdmissionReview", { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: {} }],
    ["no object", null],
    ["objects without metadata", reviewOf(V1, { apiVersion: V2, kind: "Gadget" })],
  ])("refuses %s", async (_name, review) => {
    await expect(ask(review)).rejects.toMatchObject({ code: "WEBHOOK_REQUEST_INVALID" });
  });
});
