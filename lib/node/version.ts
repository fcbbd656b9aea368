import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Version of the program, from the package.json above the sources or the compiled code. */
export function programVersion(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (existsSync(file)) return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
    if (folder === dirname(folder)) return "unknown";
  }
}
