import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ConvertOptions } from "../frame.ts";

/** What the documents do not say. */
export const OPTIONS: ConvertOptions = { gateway: { namespace: "infra", name: "public" }, service: undefined };

/** Documents of other projects, by their names. */
export const EXAMPLES: Readonly<Record<string, string>> = Object.fromEntries(
  readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => [file.replace(".yaml", ""), readFileSync(join(import.meta.dirname, file), "utf8")]),
);
