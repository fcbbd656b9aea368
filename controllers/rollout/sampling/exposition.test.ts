import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { Counter, Histogram, type OpenMetricsContentType, Registry } from "prom-client";
import { isOperatorError } from "../../../lib/core/errors.ts";
import { numberOf, parseExposition } from "./exposition.ts";

// Goal: every page that Prometheus would read is read the same, and nothing else is taken for metrics.

const read = (text: string, ...wanted: string[]) =>
  parseExposition(text, new Set(wanted.length === 0 ? ["m"] : wanted));
const series = (text: string, ...wanted: string[]) =>
  read(text, ...wanted).samples.map(({ name, labels, value }) => [name, Object.fromEntries(labels), value]);

function messageOf(text: string): string {
  try {
    read(text);
  } catch (error) {
    if (isOperatorError(error, "METRICS_INVALID")) return error.message;
    throw error;
  }
  return "read";
}

describe("a page of metrics", () => {
  it.each<[string, string, Record<string, string>, number]>([
    ["a series without labels", "m 3", {}, 3],
    ["with a timestamp", "m 3 1395066363000", {}, 3],
    ["with a timestamp before 1970", "m 3 -3982045", {}, 3],
    ["with labels", 'm{code="200",path="/a"} 1027', { code: "200", path: "/a" }, 1027],
    ["with a comma after the last label", 'm{code="200",} 1', { code: "200" }, 1],
    ["with empty braces", "m{} 1", {}, 1],
    ["with spaces and tabs", ' \tm { code = "200" , a="b" }\t 1 ', { code: "200", a: "b" }, 1],
    ["with an escaped quote, backslash and newline", 'm{a="q\\"b\\\\n\\n"} 1', { a: 'q"b\\n\n' }, 1],
    ["with a backslash that escapes nothing", 'm{a="C:\\DIR\\d"} 1', { a: "C:\\DIR\\d" }, 1],
    ["with braces, commas and marks in a value", 'm{a="},b=\\"# {",c="d"} 1', { a: '},b="# {', c: "d" }, 1],
    ["with an empty value", 'm{a=""} 1', { a: "" }, 1],
    ["with letters of the world", 'm{a="žluťoučký 🐎"} 1', { a: "žluťoučký 🐎" }, 1],
    ["with an exemplar", 'm{a="b"} 17 # {trace_id="oHg5"} 9.8 1520879607.789', { a: "b" }, 17],
    ["with a time and an exemplar", 'm 17 1520879607.789 # {trace_id="}"} 9.8', {}, 17],
    ["in exponents", "m 1.458255915e9", {}, 1_458_255_915],
    ["whose name is in quotes", '{"m",a="b"} 2', { a: "b" }, 2],
    ["whose label is in quotes", 'm{"a.b\\""="c"} 2', { 'a.b"': "c" }, 2],
  ])("reads %s", (_, text, labels, value) => {
    expect(series(text)).toEqual([["m", labels, value]]);
  });

  it.each<[string, number]>([
    ["+Inf", Number.POSITIVE_INFINITY],
    ["-Inf", Number.NEGATIVE_INFINITY],
    ["inf", Number.POSITIVE_INFINITY],
    ["NaN", Number.NaN],
    ["-1.5E-3", -0.0015],
    [".5", 0.5],
    ["5.", 5],
  ])("reads %s as a number", (text, value) => {
    expect(numberOf(text)).toBe(value);
  });

  it.each(["", "0x10", "1_000", "1,5", "one", "Infinit", "1e", "--1", "."])("does not take %j for a number", (text) => {
    expect(numberOf(text)).toBeUndefined();
  });

  it("keeps what is asked for, and knows what is announced", () => {
    const page =
      '# HELP m What\\nit is.\n# TYPE m counter\nm 1\n\n#comment\n# TYPE other gauge\nother{a="b"} 2\nm_more 3\n';
    expect(series(page)).toEqual([["m", {}, 1]]);
    expect([...read(page).families]).toEqual(["m", "other"]);
  });

  it("ends at the end mark", () => {
    expect(series("m 1\n# EOF\nm 2\n")).toEqual([["m", {}, 1]]);
  });

  it("needs no newline at its end", () => {
    expect(series("a 1\nm 2")).toEqual([["m", {}, 2]]);
  });

  it.each([
    ["a page of HTML", "<html><body>m 1</body></html>"],
    ["JSON", '{"m": 1}'],
    ["JSON in lines", '{\n  "m": 1\n}'],
    ["a word", "ok"],
    ["a name without a value", "m"],
    ["labels without a value", 'm{a="b"}'],
    ["an open brace", 'm{a="b" 1'],
    ["an open quote", 'm{a="b} 1'],
    ["a label without quotes", "m{a=b} 1"],
    ["a label that begins with a digit", 'm{1a="b"} 1'],
    ["a label twice", 'm{a="1",a="2"} 1'],
    ["two commas", 'm{a="1",,b="2"} 1'],
    ["two names", 'm{"n"} 1'],
    ["two numbers and a word", "m 1 2 x"],
    ["a value that is none", "m one"],
    ["a return at the end of the line", "m 1\r"],
  ])("refuses %s", (_, text) => {
    expect(messageOf(`# TYPE m counter\n${text}`)).toBe("metrics: line 2 is not in the text format of Prometheus");
  });

  it("refuses what has no end", () => {
    expect(messageOf("")).toBe("metrics: the page is empty");
    expect(messageOf(`m{a="${"x".repeat(70_000)}"} 1`)).toContain("line 1 is longer than");
    expect(messageOf("a 1\n".repeat(200_001))).toContain("more than 200000 lines");
    expect(messageOf(Array.from({ length: 20_001 }, (_, index) => `m{a="${index}"} 1\n`).join(""))).toContain(
      "more than 20000 series of m",
    );
  });
});

describe("what a client library writes", () => {
  it("is read as it was meant", async () => {
    const registry = new Registry();
    const counter = new Counter({
      name: "m",
      help: 'quotes " and\nlines \\',
      labelNames: ["a"],
      registers: [registry],
    });
    const histogram = new Histogram({ name: "h", help: "h", buckets: [0.1, 1], registers: [registry] });
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme", maxLength: 20 }), fc.nat(1e6), async (label, value) => {
        counter.reset();
        counter.inc({ a: label }, value);
        expect(series(await registry.metrics())).toEqual([["m", { a: label }, value]]);
      }),
      { numRuns: 200 },
    );
    histogram.observe(0.5);
    expect(series(await registry.metrics(), "h_bucket")).toEqual([
      ["h_bucket", { le: "0.1" }, 0],
      ["h_bucket", { le: "1" }, 1],
      ["h_bucket", { le: "+Inf" }, 1],
    ]);
  });

  it("is read in OpenMetrics, too", async () => {
    const registry = new Registry<OpenMetricsContentType>();
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    new Counter({ name: "m_total", help: "m", labelNames: ["code"], registers: [registry] }).inc({ code: "500" }, 4);
    const page = await registry.metrics();
    expect(page).toContain("# EOF");
    expect(series(page, "m_total")).toEqual([["m_total", { code: "500" }, 4]]);
  });
});

describe("any text at all", () => {
  it("is read or refused, never anything else", () => {
    const scraps = fc.constantFrom(
      "m",
      "{",
      "}",
      '"',
      "\\",
      "=",
      ",",
      " ",
      "\t",
      "\n",
      "#",
      "1",
      "e",
      "+Inf",
      "a",
      "le",
    );
    fc.assert(
      fc.property(fc.array(scraps, { maxLength: 40 }), (parts) => {
        expect(typeof messageOf(parts.join(""))).toBe("string");
      }),
      { numRuns: 2_000 },
    );
  });
});
