import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { type Match, mirrorTrouble, type RuleParts, routeRules, testersTrouble } from "./route-rules.ts";

// Rules are judged by what they do: a small gateway that follows the precedence of the Gateway API leads requests by them.

const STABLE = { name: "web-blue", weight: 10_000 };
const CANARY = { name: "web-green", weight: 0 };
const HEADER = { header: { name: "X-Canary", value: "always" } };
const COOKIE = { cookie: { name: "canary", value: "yes" } };

function parts(given: Partial<RuleParts> = {}): RuleParts {
  return {
    matches: undefined,
    filters: undefined,
    backendRefs: [STABLE, CANARY],
    testers: undefined,
    mirror: undefined,
    ...given,
  };
}

const testers = (known: NonNullable<RuleParts["testers"]>["known"]) => ({ known, backendRef: { name: "web-green" } });
const mirror = (...methods: NonNullable<RuleParts["mirror"]>["methods"]) => ({
  backendRef: { name: "web-green" },
  percent: 25,
  methods,
});

interface Request {
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Rule {
  readonly matches?: readonly (Match & {
    readonly path?: { readonly value: string };
    readonly headers?: readonly { readonly type?: string; readonly name: string; readonly value: string }[];
  })[];
  readonly filters?: readonly { readonly type: string }[];
  readonly backendRefs: readonly { readonly name: string; readonly weight?: number }[];
}

/** Of all matches the longest path, then one with a method, then the most headers, then the first rule. */
function ruleOf(rules: readonly object[], { path, method, headers }: Request): Rule | undefined {
  const found = (rules as readonly Rule[]).flatMap((rule, index) =>
    (rule.matches ?? [{}]).flatMap((match) => {
      const asked = match.headers ?? [];
      const fits =
        path.startsWith(match.path?.value ?? "/") &&
        (match["method"] ?? method) === method &&
        asked.every(({ type, name, value }) => {
          const sent = headers[name.toLowerCase()] ?? "";
          return type === "RegularExpression" ? new RegExp(value).test(sent) : sent === value;
        });
      const rank = [match.path?.value.length ?? 1, match["method"] === undefined ? 0 : 1, asked.length, -index];
      return fits ? [{ rule, rank }] : [];
    }),
  );
  const before = (one: readonly number[], other: readonly number[]): number => {
    const at = one.findIndex((value, index) => value !== other[index]);
    return at === -1 ? 0 : (other[at] ?? 0) - (one[at] ?? 0);
  };
  return found.sort((a, b) => before(a.rank, b.rank))[0]?.rule;
}

function ledTo(rules: readonly object[], request: Partial<Request>): string {
  const rule = ruleOf(rules, { path: "/", method: "GET", headers: {}, ...request });
  if (rule === undefined) return "nobody";
  const copied = rule.filters?.some(({ type }) => type === "RequestMirror") === true ? ", copied" : "";
  return `${rule.backendRefs.map(({ name }) => name).join("+")}${copied}`;
}

const TESTER = { headers: { "x-canary": "always" } };

describe("routeRules", () => {
  it("are one rule with the spec's matches and filters when nothing else is asked for", () => {
    const matches = [{ path: { type: "PathPrefix", value: "/" } }];
    const filters = [{ type: "URLRewrite" }];
    expect(routeRules(parts({ matches, filters }))).toEqual([{ matches, filters, backendRefs: [STABLE, CANARY] }]);
    expect(routeRules(parts())).toEqual([{ backendRefs: [STABLE, CANARY] }]);
  });

  it("[40] lead testers to the canary and nobody else", () => {
    const rules = routeRules(parts({ testers: testers(HEADER), filters: [{ type: "URLRewrite" }] }));
    expect(rules[1]).toEqual({
      matches: [{ headers: [{ type: "Exact", name: "X-Canary", value: "always" }] }],
      filters: [{ type: "URLRewrite" }],
      backendRefs: [{ name: "web-green" }],
    });
    expect(ledTo(rules, TESTER)).toBe("web-green");
    expect(ledTo(rules, { headers: { "x-canary": "never" } })).toBe("web-blue+web-green");
    expect(ledTo(rules, {})).toBe("web-blue+web-green");
  });

  it.each([
    ["canary=yes", "web-green"],
    ["a=b; canary=yes", "web-green"],
    ["a=b;canary=yes; c=d", "web-green"],
    ["canary=yes ;c=d", "web-green"],
    ["xcanary=yes", "web-blue+web-green"],
    ["canary=yes1", "web-blue+web-green"],
    ["canary=no; b=canary=yes", "web-blue+web-green"],
    ["", "web-blue+web-green"],
  ])("know testers by a cookie among others: %s", (cookie, backends) => {
    const rules = routeRules(parts({ testers: testers(COOKIE) }));
    expect(ledTo(rules, { headers: { cookie } })).toBe(backends);
  });

  it("[41] copy requests of the methods that are asked for, and no others", () => {
    const rules = routeRules(parts({ mirror: mirror("GET", "HEAD") }));
    expect(rules[1]).toEqual({
      matches: [{ method: "GET" }, { method: "HEAD" }],
      filters: [{ type: "RequestMirror", requestMirror: { backendRef: { name: "web-green" }, percent: 25 } }],
      backendRefs: [STABLE, CANARY],
    });
    expect(ledTo(rules, { method: "HEAD" })).toBe("web-blue+web-green, copied");
    expect(ledTo(rules, { method: "POST" })).toBe("web-blue+web-green");
  });

  it("say no percentage where all are copied", () => {
    const rules = routeRules(parts({ mirror: { ...mirror("GET"), percent: 100 } }));
    expect(JSON.stringify(rules)).not.toContain("percent");
  });

  it("lead testers to the canary also where their requests would be copied", () => {
    const rules = routeRules(parts({ testers: testers(HEADER), mirror: mirror("GET", "HEAD") }));
    for (const method of ["GET", "HEAD", "POST"]) expect(ledTo(rules, { ...TESTER, method })).toBe("web-green");
    expect(ledTo(rules, {})).toBe("web-blue+web-green, copied");
  });

  it("copy what a match of the spec takes by that very method, and nothing of the others", () => {
    const rules = routeRules(parts({ matches: [{ method: "GET" }, { method: "PUT" }], mirror: mirror("GET") }));
    expect(ledTo(rules, {})).toBe("web-blue+web-green, copied");
    expect(ledTo(rules, { method: "PUT" })).toBe("web-blue+web-green");
    expect(ledTo(rules, { method: "POST" })).toBe("nobody");
  });

  it("never have a rule that takes more than the spec", () => {
    const all = routeRules(parts({ matches: [{ method: "GET" }], mirror: mirror("GET"), testers: testers(HEADER) }));
    expect(all.map((rule) => (rule as Rule).matches?.length)).toEqual([1, 1]);
    expect(all.map((rule) => (rule as Rule).backendRefs.length)).toEqual([2, 1]);
    const none = routeRules(parts({ matches: [{ method: "PUT" }], mirror: mirror("GET") }));
    expect(none).toEqual([{ matches: [{ method: "PUT" }], backendRefs: [STABLE, CANARY] }]);
  });

  const methods = fc.uniqueArray(fc.constantFrom("GET" as const, "HEAD" as const, "POST" as const), { minLength: 1 });
  const match = fc.record(
    {
      path: fc.constantFrom({ value: "/" }, { value: "/a" }, { value: "/a/b" }),
      method: fc.constantFrom("GET", "POST"),
      headers: fc.constantFrom([{ name: "x-shop", value: "1" }]),
    },
    { requiredKeys: [] },
  );
  const request = fc.record({
    path: fc.constantFrom("/", "/a", "/a/b/c"),
    method: fc.constantFrom("GET", "HEAD", "POST", "PUT"),
    headers: fc.constantFrom<Readonly<Record<string, string>>>({}, { "x-shop": "1" }),
  });

  it("take what the spec takes, give testers the canary, and copy by method, whatever the matches are", () => {
    fc.assert(
      fc.property(
        fc.option(fc.array(match, { minLength: 1, maxLength: 3 }), { nil: undefined }),
        methods,
        request,
        (matches, copied, sent) => {
          const isTaken = ledTo(routeRules(parts({ matches })), sent) !== "nobody";
          const rules = routeRules(parts({ matches, testers: testers(HEADER), mirror: mirror(...copied) }));
          const isCopied = copied.some((method) => method === sent.method);
          const usual = isCopied ? "web-blue+web-green, copied" : "web-blue+web-green";
          expect(ledTo(rules, sent)).toBe(isTaken ? usual : "nobody");
          const tested = { ...sent, headers: { ...sent.headers, ...TESTER.headers } };
          expect(ledTo(rules, tested)).toBe(isTaken ? "web-green" : "nobody");
          // Whoever reads the first rule finds the weights there.
          expect((rules[0] as Rule).backendRefs).toEqual([STABLE, CANARY]);
        },
      ),
    );
  });
});

describe("what cannot be said in rules", () => {
  it.each<[string, readonly Match[] | undefined, typeof HEADER | typeof COOKIE, string | undefined]>([
    ["all requests", undefined, HEADER, undefined],
    ["another header", [{ headers: [{ name: "a", value: "b" }] }], HEADER, undefined],
    ["the same header", [{ headers: [{ name: "x-canary", value: "b" }] }], HEADER, "asks for header X-Canary itself"],
    ["cookies of the spec", [{ headers: [{ name: "cookie", value: "b" }] }], COOKIE, "asks for header Cookie itself"],
    [
      "no room for a header",
      [{ headers: Array.from({ length: 16 }, (_, index) => ({ name: `h${String(index)}` })) }],
      HEADER,
      "has 16 headers already",
    ],
  ])("testers with %s", (_, matches, known, trouble) => {
    const said = testersTrouble(matches, known);
    if (trouble === undefined) expect(said).toBeUndefined();
    else expect(said).toContain(trouble);
  });

  it.each([
    ["all requests", { matches: undefined, filters: undefined }, undefined],
    ["other filters", { matches: undefined, filters: [{ type: "URLRewrite" }] }, undefined],
    ["a mirror of the spec", { matches: undefined, filters: [{ type: "RequestMirror" }] }, "a filter RequestMirror"],
    ["other methods", { matches: [{ method: "POST" }], filters: undefined }, "takes requests with GET or HEAD"],
  ])("copies with %s", (_, spec, trouble) => {
    const said = mirrorTrouble(spec, ["GET", "HEAD"]);
    if (trouble === undefined) expect(said).toBeUndefined();
    else expect(said).toContain(trouble);
  });
});
