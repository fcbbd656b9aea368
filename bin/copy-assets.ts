// Copies what the compiler leaves behind (SQL migrations) beside the compiled code.
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";

for (const entry of readdirSync("dataplane", { recursive: true, encoding: "utf8" })) {
  if (entry.endsWith(".sql")) cpSync(join("dataplane", entry), join("dist", "dataplane", entry), { recursive: true });
}
