/** Bad clients by the thousand, in a process of their own, so that their work is not the server's or the good client's. */
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { join, resolve } from "node:path";
import { trackChild } from "../../lib/node/testing/leftovers.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const NODE = join(ROOT, "node_modules/.bin/node");
const PROGRAM = join(import.meta.dirname, "attack-main.ts");

/** What a connection does: see attack-main.ts. */
export const ATTACK_SORTS = ["slow headers", "half a body", "oversized", "endless"] as const;
export type AttackSort = (typeof ATTACK_SORTS)[number];
/** What it shows: nothing, a key that is not known, the key of some other client. */
export const ATTACK_KEYS = ["no key", "wrong key", "other key"] as const;
export type AttackKey = (typeof ATTACK_KEYS)[number];

export interface AttackOptions {
  readonly url: string;
  readonly caPem: string;
  /** A key that may write, for a third of the clients. */
  readonly otherKey: string;
  /** Bad clients. Each has one connection at a time, and opens the next one when the last one has ended and `everyMs` are over. */
  readonly clients: number;
  /** Clients that begin a second. */
  readonly perSecond: number;
  readonly everyMs: number;
  /** Between two pieces of what is sent slowly. */
  readonly dripMs: number;
  readonly seconds: number;
}

/** What became of the connections of one sort and key. */
export interface AttackCase {
  readonly sort: AttackSort;
  readonly key: AttackKey;
  opened: number;
  /** Ends by the status of the last answer; "none" for an end without a word. */
  readonly ends: Record<string, number>;
  /** The longest that one of them was open before the server ended it. */
  longestMs: number;
}

export interface AttackReport {
  readonly cases: readonly AttackCase[];
  /** Most connections that were open at the same time. */
  readonly openMost: number;
  /** Connections that failed before their handshake was over. */
  readonly unopened: number;
}

/** Runs for `seconds`. @throws Error when the process breaks */
export function attack(options: AttackOptions): Promise<AttackReport> {
  // In a session of its own, which Linux gives a share of its own of the processors.
  const child = spawn(NODE, [PROGRAM], { stdio: ["pipe", "pipe", "inherit"], detached: true });
  trackChild(child);
  if (child.pid !== undefined) goLast(child.pid);
  child.stdin.end(JSON.stringify(options));
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("close", (code) => {
      if (code === 0) done(JSON.parse(text) as AttackReport);
      else failed(new Error(`the attack ended with code ${code}`));
    });
  });
}

/** In life attackers work on machines of their own: on the server's they take what is left. */
function goLast(pid: number): void {
  setPriority(pid, constants.priority.PRIORITY_LOW);
  // Where sessions are weighed before their processes, the priority of a process counts within its session only.
  const autogroup = `/proc/${pid}/autogroup`;
  if (existsSync(autogroup)) writeFileSync(autogroup, String(constants.priority.PRIORITY_LOW));
}
