// The catalogue of metrics: names in Prometheus' style, and each of them is set by some program.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { METRICS } from "./metric-names.ts";

const ROOT = join(import.meta.dirname, "../..");

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && !file.endsWith("metric-names.ts"))
    .map((file) => readFileSync(join(ROOT, folder, file), "utf8"));
}

describe("METRICS", () => {
  test("every metric of the catalogue is set by some program", () => {
    const text = ["lib", "operator", "controllers", "dataplane"].flatMap(sources).join("\n");
    expect(Object.keys(METRICS).filter((name) => !text.includes(`"${name}"`))).toEqual([]);
  });

  test.each(Object.entries(METRICS))("%s is named by what it counts", (name, { type, help, labels }) => {
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
    expect(name.endsWith("_total")).toBe(type === "counter");
    if (type === "histogram") expect(name).toMatch(/_seconds$|_events$|_bytes$|_rows$/);
    expect(help).toMatch(/^\S.*\.$/);
    for (const label of labels) expect(label).toMatch(/^[a-z_]+$/);
  });
});
