/** The process behind `attack`: options come as JSON on standard input, the report goes to standard output. */
import { randomBytes } from "node:crypto";
import { text } from "node:stream/consumers";
import { systemClock } from "../../lib/core/clock.ts";
import {
  ATTACK_KEYS,
  ATTACK_SORTS,
  type AttackCase,
  type AttackKey,
  type AttackOptions,
  type AttackReport,
  type AttackSort,
} from "./attack.ts";
import { openRaw, type RawConnection, requestHead } from "./raw-connection.ts";

const MIB = 1024 * 1024;
/** Sent at once by those who send too much: little, so that the attack leaves the processor to others. */
const PIECE = " ".repeat(1_024);

const PAUSE_MS = 500;

const options = JSON.parse(await text(process.stdin)) as AttackOptions;
const endsAt = systemClock.monotonic() + options.seconds * 1000;
const isOver = (): boolean => systemClock.monotonic() >= endsAt;

const KEYS: Readonly<Record<AttackKey, () => string[]>> = {
  "no key": () => [],
  "wrong key": () => [`authorization: Bearer sxk_${randomBytes(32).toString("base64url")}`],
  "other key": () => [`authorization: Bearer ${options.otherKey}`],
};

/** What is sent at once, and what follows drop by drop. */
const SORTS: Readonly<Record<AttackSort, (headers: string[]) => { first: string; drop?: string }>> = {
  "slow headers": (headers) => ({
    first: ["POST /v1/transfers HTTP/1.1", "host: ledger", ...headers, ""].join("\r\n"),
    drop: "x: y\r\n",
  }),
  "half a body": (headers) => ({
    first: requestHead("POST", "/v1/transfers:bulk", [...headers, `content-length: ${16 * MIB}`]) + PIECE,
  }),
  oversized: (headers) => ({
    first: requestHead("POST", "/v1/transfers:bulk", [...headers, `content-length: ${1_024 * MIB}`]) + PIECE,
  }),
  endless: (headers) => ({
    first: requestHead("POST", "/v1/transfers:bulk", [...headers, "transfer-encoding: chunked"]),
    drop: `400\r\n${PIECE}\r\n`,
  }),
};

const cases: AttackCase[] = ATTACK_SORTS.flatMap((sort) =>
  ATTACK_KEYS.map((key) => ({ sort, key, opened: 0, ends: {}, longestMs: 0 })),
);
const connections = new Set<RawConnection>();
let unopened = 0;
let openMost = 0;

async function once(found: AttackCase): Promise<void> {
  const connection = await openRaw(options).catch(() => undefined);
  if (connection === undefined) {
    unopened += 1;
    return;
  }
  const openedAt = systemClock.monotonic();
  found.opened += 1;
  connections.add(connection);
  openMost = Math.max(openMost, connections.size);
  const { first, drop } = SORTS[found.sort]([...KEYS[found.key](), "content-type: application/json"]);
  connection.send(first);
  const dripping = drop === undefined ? undefined : setInterval(() => connection.send(drop), options.dripMs);
  const answered = await connection.ended;
  clearInterval(dripping);
  connections.delete(connection);
  // What this process ended itself tells nothing of the server.
  if (isOver()) return;
  const status = [...answered.matchAll(/HTTP\/1\.1 (\d+) /g)].at(-1)?.[1] ?? "none";
  found.ends[status] = (found.ends[status] ?? 0) + 1;
  found.longestMs = Math.max(found.longestMs, Math.round(systemClock.monotonic() - openedAt));
}

async function again(index: number): Promise<void> {
  await systemClock.sleep((index / options.perSecond) * 1000);
  while (!isOver()) {
    const nextAt = systemClock.monotonic() + options.everyMs;
    await once(cases[index % cases.length] as AttackCase);
    await systemClock.sleep(Math.max(nextAt - systemClock.monotonic(), PAUSE_MS));
  }
}

const running = Array.from({ length: options.clients }, (_, index) => again(index));
await systemClock.sleep(options.seconds * 1000);
for (const connection of connections) connection.close();
await Promise.race([Promise.all(running), systemClock.sleep(1_000)]);
const report: AttackReport = { cases, openMost, unopened };
process.stdout.write(JSON.stringify(report), () => process.exit(0));
