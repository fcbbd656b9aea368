import { afterEach, describe, expect, it } from "@jest/globals";
import { ANNOTATIONS } from "../../../crds/group.ts";
import { isOperatorError, type OperatorError } from "../../../lib/core/errors.ts";
import type { Caller } from "./caller.ts";
import { DEFAULT_COLOR, type Gadget, gadget, oldGadget } from "./gadget.ts";

/** What users of a kind with webhooks see, whoever asks the webhooks. @param caller the running one, once tests run */
export function describeAdmission(caller: () => Caller): void {
  const made: string[] = [];
  let count = 0;
  /** A name that nobody had yet. */
  const fresh = (): string => {
    const name = `gadget-${(count += 1)}`;
    made.push(name);
    return name;
  };
  const refusal = async (work: Promise<unknown>): Promise<OperatorError> => {
    const outcome = await work.then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!isOperatorError(outcome)) throw new Error(`expected a refusal, got ${String(outcome)}`);
    return outcome;
  };
  afterEach(async () => {
    for (const name of made.splice(0)) {
      await caller()
        .remove(name)
        .catch((error: unknown) => {
          if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
        });
    }
  });

  describe("validating", () => {
    it("refuses with our sentence and our code", async () => {
      const error = await refusal(caller().create(gadget(fresh(), { width: 20, height: 6 })));
      expect(error.message).toContain("denied the request: a gadget of 20x6 has an area of 120: 100 at most");
      expect(error.details["httpStatus"]).toBe(422);
    });

    it("sees the old object on an update", async () => {
      const stored = await caller().create(gadget(fresh(), { width: 1, height: 1, finish: "matt" }));
      const error = await refusal(caller().update({ ...stored, spec: { ...stored.spec, finish: "glossy" } }));
      expect(error.message).toContain("the finish matt cannot be changed");
      expect(error.details["httpStatus"]).toBe(403);
    });

    it("sees the object that is to be deleted", async () => {
      const name = fresh();
      const stored = await caller().create({
        ...gadget(name),
        metadata: { ...gadget(name).metadata, labels: { keep: "true" } },
      });
      expect((await refusal(caller().remove(name))).message).toContain("remove the label first");
      await caller().update({ ...stored, metadata: { ...stored.metadata, labels: {} } });
      await caller().remove(name);
    });

    it("judges an object of the old version in the new one", async () => {
      const error = await refusal(caller().create(oldGadget(fresh(), { size: "20x6" })));
      expect(error.message).toContain("a gadget of 20x6 has an area of 120");
    });

    it("refuses what does not fit the schema of the program, naming the field", async () => {
      const error = await refusal(caller().create(gadget(fresh(), { width: 0, height: 1, finish: "rough" })));
      expect(error.message).toMatch(/denied the request: spec: width: .*; finish: /);
    });
  });

  describe("mutating", () => {
    it("completes the object and leaves fields that it does not know alone", async () => {
      const unknown = { nested: { list: [1, { deep: null }], big: 1.5 } };
      const stored = await caller().create(gadget(fresh(), { width: 3, height: 4, unknown }));
      expect(stored.spec).toEqual({ width: 3, height: 4, unknown, color: DEFAULT_COLOR });
      expect(stored.metadata.labels).toEqual({ "test.shieldx.dev/color": DEFAULT_COLOR });
    });

    it("changes nothing that is complete already", async () => {
      const stored = await caller().create(gadget(fresh(), { width: 3, height: 4, color: "red" }));
      expect(stored.spec).toEqual({ width: 3, height: 4, color: "red" });
      const again = await caller().update(stored);
      expect(again.metadata.resourceVersion).toBe(stored.metadata.resourceVersion);
    });
  });

  describe("conversion", () => {
    it("shows an object in either version, whichever it was made in", async () => {
      const [one, two] = [fresh(), fresh()];
      await caller().create(oldGadget(one, { size: "3x4", color: "red" }));
      await caller().create(gadget(two, { width: 5, height: 6, color: "blue" }));
      expect((await caller().get("v2", one)).spec).toEqual({ width: 3, height: 4, color: "red" });
      expect((await caller().get("v1", two)).spec).toEqual({ size: "5x6", color: "blue" });
      const listed = await caller().list("v1");
      expect(listed.map(({ apiVersion }) => apiVersion)).toEqual(listed.map(() => "test.shieldx.dev/v1"));
      expect(listed.map(({ metadata }) => metadata.name)).toEqual(expect.arrayContaining([one, two]));
    });

    it("keeps what the old version cannot say, and what nobody knows, over a read and a write in the old version", async () => {
      const name = fresh();
      const unknown = { a: [{ b: "c" }], "x/y~z": null };
      await caller().create(gadget(name, { width: 3, height: 4, finish: "matt", unknown }));
      const seen = await caller().get("v1", name);
      expect(seen.spec).toEqual({ size: "3x4", color: DEFAULT_COLOR, unknown });
      expect(seen.metadata.annotations).toEqual({ [ANNOTATIONS.conversionKept]: '{"finish":"matt"}' });
      await caller().update({ ...seen, spec: { ...seen.spec, size: "4x4" } });
      const after: Gadget = await caller().get("v2", name);
      expect(after.spec).toEqual({ width: 4, height: 4, color: DEFAULT_COLOR, finish: "matt", unknown });
      expect(after.metadata.annotations).toBeUndefined();
    });

    it("fails with the sentence of the handler", async () => {
      const error = await refusal(caller().create(oldGadget(fresh(), { size: "large" })));
      expect(error.message).toContain('KUBE_INVALID: spec.size "large" is not like 3x4');
    });
  });

  describe("a handler that gives no answer", () => {
    it("refuses under failure policy Fail: with code and sentence, without the words of a foreign error", async () => {
      const coded = await refusal(caller().create(gadget(fresh(), { width: 1, height: 1, color: "failing" })));
      expect(coded.message).toContain("AGENT_UNREACHABLE: the paint shop does not answer");
      const foreign = await refusal(caller().create(gadget(fresh(), { width: 1, height: 1, color: "broken" })));
      expect(foreign.message).toMatch(/WEBHOOK_FAILED: the validating webhook of Gadget broke; .* uid [0-9a-f-]{36}/);
      expect(foreign.message).not.toContain("TypeError");
      expect(await caller().metrics()).toMatch(/^controller_runtime_webhook_panics_total [1-9]/m);
      await caller().create(gadget(fresh()));
    });

    it("lets through under failure policy Ignore, while a denial still holds", async () => {
      await caller().setFailurePolicy("Ignore");
      try {
        await caller().create(gadget(fresh(), { width: 1, height: 1, color: "broken" }));
        const error = await refusal(caller().create(gadget(fresh(), { width: 20, height: 6 })));
        expect(error.message).toContain("has an area of 120");
      } finally {
        await caller().setFailurePolicy("Fail");
      }
    });

    it("is told on by us before the API server gives up", async () => {
      const error = await refusal(caller().create(gadget(fresh(), { width: 1, height: 1, color: "stuck" })));
      expect(error.message).toMatch(/WEBHOOK_TIMEOUT: no answer within [0-9.]+ s/);
    }, 30_000);
  });
}
