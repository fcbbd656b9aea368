import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { deepFreeze } from "../../../lib/core/objects.ts";
import {
  type Adoption,
  adoptedRefs,
  type Original,
  originalOf,
  refsHash,
  returnedRefs,
  sharesNow,
  weightsNow,
} from "./adopted-backends.ts";
import { type BackendRef, findRule, isBackend, type Place, type RouteRule, refsOf } from "./adopted-rule.ts";
import { patchOf } from "./adopted-step.ts";

// Whatever a route of the user's says: only backends of one rule change, all others keep their share exactly, and in the end all is
// as it was.

const PLACE: Place = {
  kind: "HTTPRoute",
  route: "shop",
  rule: undefined,
  namespace: "shop",
  backend: "web",
  colours: { Blue: "web-blue", Green: "web-green" },
};
const PORTS = { Blue: 80, Green: 80 };

const member = fc.constantFrom("matches", "filters", "timeouts", "retry", "x-unknown");
const extras = fc.dictionary(member, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 3 });
const weight = fc.integer({ min: 0, max: 100 });
const other: fc.Arbitrary<BackendRef> = fc.record(
  {
    group: fc.constantFrom("", "traefik.io"),
    kind: fc.constantFrom("Service", "TraefikService"),
    name: fc.constantFrom("old", "images", "web-2", "blue"),
    namespace: fc.constantFrom("shop", "other"),
    port: fc.integer({ min: 1, max: 65_535 }),
    weight,
    filters: fc.array(fc.record({ type: fc.constant("ExtensionRef") }), { maxLength: 2 }),
  },
  { requiredKeys: ["name", "port"] },
);
const own: fc.Arbitrary<BackendRef> = fc.record(
  {
    name: fc.constant("web"),
    port: fc.constant(80),
    weight: fc.integer({ min: 1, max: 100 }),
    namespace: fc.constant("shop"),
    filters: fc.array(fc.record({ type: fc.constant("ExtensionRef") }), { maxLength: 2 }),
  },
  { requiredKeys: ["name", "port"] },
);
const others = fc.array(other, { maxLength: 5 });
const foreignRule: fc.Arbitrary<RouteRule> = fc
  .tuple(extras, others)
  .map(([rest, backendRefs]) => ({ ...rest, backendRefs }));
const ownRule: fc.Arbitrary<RouteRule> = fc
  .tuple(extras, others, own, others)
  .map(([rest, before, ref, after]) => ({ ...rest, backendRefs: [...before, ref, ...after] }));
const rules = fc
  .tuple(fc.array(foreignRule, { maxLength: 3 }), ownRule, fc.array(foreignRule, { maxLength: 3 }))
  // As it comes over the wire.
  .map(([before, rule, after]) => deepFreeze(JSON.parse(JSON.stringify([...before, rule, ...after])) as RouteRule[]));
const shares = fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 1, maxLength: 6 });

function routeOf(list: readonly RouteRule[]) {
  const metadata = { name: "shop", namespace: "shop", uid: "u", resourceVersion: "7", annotations: { team: "shop" } };
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata,
    spec: { hostnames: ["a"], rules: list },
  };
}

/** What the server makes of a patch. */
function patched(list: readonly RouteRule[], index: number, refs: readonly BackendRef[]): readonly RouteRule[] {
  const { spec, ...rest } = patchOf(routeOf(list), { index, refs });
  expect(rest).toEqual({ metadata: { uid: "u", resourceVersion: "7" } });
  expect(spec).toEqual({ rules: expect.anything() });
  // As it goes over the wire.
  return JSON.parse(JSON.stringify((spec as { readonly rules: readonly RouteRule[] }).rules)) as readonly RouteRule[];
}

const weightOf = (ref: BackendRef): number => ref.weight ?? 1;

test("foreign parts of a route never change, and the Service gets back what it had", () => {
  fc.assert(
    fc.property(rules, shares, (before, steps) => {
      const found = findRule(before, PLACE);
      if (typeof found === "string") throw new Error(found);
      const { index } = found;
      const first = refsOf(found.rule);
      const mine = first.find((ref) => isBackend(ref, PLACE)) as BackendRef;
      const sum = first.reduce((all, ref) => all + weightOf(ref), 0);
      let list: readonly RouteRule[] = before;
      let kept: Original & Partial<Adoption> = { backend: mine, others: weightsNow(first, PLACE).others };
      for (const green of steps) {
        const refs = refsOf(list[index] as RouteRule);
        const original = originalOf(refs, PLACE, kept);
        const wanted = adoptedRefs(refs, PLACE, {
          original,
          shares: { Blue: 10_000 - green, Green: green },
          ports: PORTS,
        }) as readonly BackendRef[];
        list = patched(list, index, wanted);
        const now = weightsNow(wanted, PLACE);
        kept = { ...original, writtenOthers: now.others };
        // Every other backend has exactly its share: a/b = c/d as a·d = c·b.
        const total = wanted.reduce((all, ref) => all + weightOf(ref), 0);
        const rest = first.filter((ref) => ref !== mine);
        expect(now.others.map((it) => BigInt(it) * BigInt(sum))).toEqual(
          rest.map((ref) => BigInt(weightOf(ref)) * BigInt(total)),
        );
        expect(Math.max(...wanted.map(weightOf))).toBeLessThanOrEqual(1_000_000);
        expect(sharesNow(wanted, PLACE)).toEqual({ Blue: 10_000 - green, Green: green });
        const { backendRefs: _, ...around } = list[index] as RouteRule;
        const { backendRefs: __, ...aroundBefore } = found.rule;
        expect(around).toEqual(aroundBefore);
        expect(list.filter((_rule, at) => at !== index)).toEqual(before.filter((_rule, at) => at !== index));
        // Asked again there is nothing to do.
        const again = adoptedRefs(wanted, PLACE, {
          original: originalOf(wanted, PLACE, kept),
          shares: { Blue: 10_000 - green, Green: green },
          ports: PORTS,
        });
        expect(refsHash(again ?? [])).toBe(refsHash(wanted));
        expect(findRule(list, PLACE)).toMatchObject({ index });
      }
      const refs = refsOf(list[index] as RouteRule);
      const back = patched(list, index, returnedRefs(refs, PLACE, originalOf(refs, PLACE, kept)));
      const whole = (rule: RouteRule): RouteRule => ({
        ...rule,
        backendRefs: refsOf(rule).map((ref) => ({ ...ref, weight: weightOf(ref) })),
      });
      expect(back.map(whole)).toEqual(before.map(whole));
    }),
    { numRuns: 300 },
  );
});

test("a memory that is lost is found again in the weights", () => {
  fc.assert(
    fc.property(rules, fc.integer({ min: 0, max: 10_000 }), (list, green) => {
      const found = findRule(list, PLACE);
      if (typeof found === "string") throw new Error(found);
      const first = refsOf(found.rule);
      const original = originalOf(first, PLACE, { backend: { name: "web" }, others: [] });
      const wanted =
        adoptedRefs(first, PLACE, { original, shares: { Blue: 10_000 - green, Green: green }, ports: PORTS }) ?? [];
      const guessed = originalOf(wanted, PLACE, { backend: { name: "web", port: 80 }, others: [1, 2, 3] });
      const back = returnedRefs(wanted, PLACE, guessed);
      const sum = (refs: readonly BackendRef[]): number => refs.reduce((all, ref) => all + weightOf(ref), 0);
      expect(back.map((ref) => [ref.name, weightOf(ref) * sum(first)])).toEqual(
        first.map((ref) => [ref.name, weightOf(ref) * sum(back)]),
      );
    }),
  );
});
