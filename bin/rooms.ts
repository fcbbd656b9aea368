/**
 * Tells how often a decision goes into another file and comes back; bin/lib/rooms.ts says what counts.
 *
 *   bin/rooms.ts FILE:FUNCTION...   for example controllers/shardset/shardset.plan.ts:planShardSet
 */
import { join } from "node:path";
import { routesOf } from "./lib/rooms.ts";

const ROOT = join(import.meta.dirname, "..");

function main(args: readonly string[]): number {
  const places = args.map((arg) => arg.split(":")).map(([file = "", name = ""]) => ({ file, name }));
  if (places.length === 0 || places.some(({ name }) => name === "")) {
    console.error("usage: bin/rooms.ts FILE:FUNCTION...");
    return 2;
  }
  const routes = routesOf(ROOT, places);
  for (const { name, stays, returns } of routes) {
    const files = new Set(stays).size;
    console.log(`${name}: ${String(files)} files, entered ${String(stays.length)} times, ${String(returns)} returns`);
  }
  console.log(`all: ${String(routes.reduce((sum, { returns }) => sum + returns, 0))} returns`);
  return 0;
}

process.exitCode = main(process.argv.slice(2));
