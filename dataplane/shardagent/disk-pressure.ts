import type { AgentDiskLevel } from "../../crds/agent-status.ts";
import { formatBytes, GIB, MIB } from "./byte-sizes.ts";
import { WAL_SEGMENT_BYTES } from "./derived-settings.ts";

/*
 * How full the volume is, and what follows from it; pure.
 *
 *   enough ─► low ─► full (writes are refused while there is still room) ─► enough
 *                     └─ nothing left, or the server is down: the ballast is given up
 *
 * PostgreSQL ends when it finds no room for its log, and cannot begin without room either. So writes of clients are
 * refused while a segment of the log and a checkpoint still fit, and a file of zeros (the ballast) keeps room that
 * others on the same volume cannot take: it is emptied when even that is used up, so that recovery, checkpoints and
 * the DROP that frees the volume work.
 */

/** What the volume shows. */
export interface VolumeFacts {
  readonly totalBytes: number;
  /** What the agent's user may still write. */
  readonly freeBytes: number;
  /** 0 where the file system does not count them. */
  readonly totalInodes: number;
  readonly freeInodes: number;
  /** Size of the ballast: 0 when it was given up, `undefined` when there never was one. */
  readonly ballastBytes: number | undefined;
}

/** How the last small write to the volume failed. */
export interface WriteFailure {
  /** Code of the operating system, for example "EDQUOT". */
  readonly code: string;
  readonly message: string;
}

/** What was last said about the volume. */
export interface DiskState {
  readonly level: AgentDiskLevel;
  /** With numbers, and what to do. */
  readonly message: string;
  readonly totalBytes: number;
  /** As shown: it follows what is free in steps, so that a status at rest is not written again. */
  readonly freeBytes: number;
  /** What to do with the ballast. */
  readonly ballast: "keep" | "make" | "release";
}

/** Limits of a volume, in bytes. */
export interface DiskLimits {
  /** Size of the ballast. */
  readonly ballast: number;
  /** With less than this, writes are refused. */
  readonly floor: number;
  /** With this much again, they are accepted. */
  readonly resume: number;
  /** With less than this, people are told. */
  readonly low: number;
}

/** Four segments of the log: recovery, its checkpoint and a VACUUM of what was dropped took less than two. */
const BALLAST_BYTES = 64 * MIB;
/** Two segments: one that is begun, and room for what commits that are under way extend. */
const FLOOR_BYTES = 32 * MIB;
/** No more of a small volume than this for each of the two. */
const RESERVED_SHARE = 1 / 8;
const LOW_SHARE = 0.15;
/** On a volume of terabytes 15 % is nothing that anybody should be woken for. */
const LOW_BYTES_MAX = 32 * GIB;
/** With less than this, the server may end at its next segment. */
const LAST_ROOM_BYTES = WAL_SEGMENT_BYTES + 4 * MIB;

const LOW_INODES_SHARE = 0.05;
const FULL_INODES = 64;

/** A volume that was low stays so until this much more is free: no flutter at the limit. */
const HYSTERESIS = 1.1;
/** Shown numbers follow in steps of this part of the volume. */
const SHOWN_STEP = 0.01;

/** Errors that say "no room", of whoever counts it. */
const NO_ROOM = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** @param totalBytes size of the volume */
export function diskLimits(totalBytes: number): DiskLimits {
  const reserved = Math.floor(totalBytes * RESERVED_SHARE);
  const floor = Math.min(FLOOR_BYTES, reserved);
  const resume = Math.floor(floor * 1.5);
  const low = Math.max(Math.min(Math.floor(totalBytes * LOW_SHARE), LOW_BYTES_MAX), 2 * floor);
  return { ballast: Math.min(BALLAST_BYTES, reserved), floor, resume, low };
}

/**
 * What is so with the volume.
 * @param seen its facts, how the last small write failed, and whether no server runs
 * @param before what was said last
 */
export function assessDisk(
  seen: VolumeFacts & { readonly failure: WriteFailure | undefined; readonly serverDown: boolean },
  before: DiskState | undefined,
): DiskState {
  const limits = diskLimits(seen.totalBytes);
  const level = levelOf(seen, limits, before?.level);
  const step = seen.totalBytes * SHOWN_STEP;
  const isNews = before?.level !== level || Math.abs(seen.freeBytes - before.freeBytes) >= step;
  const freeBytes = isNews ? seen.freeBytes : before.freeBytes;
  const shown = { ...seen, freeBytes };
  return {
    level,
    message: messageOf(shown, limits, level),
    totalBytes: seen.totalBytes,
    freeBytes,
    ballast: ballastOf(seen, limits, level),
  };
}

/** What is missing from a ballast that was given up counts as used: otherwise giving it up would look like room. */
function owed({ ballastBytes }: VolumeFacts, limits: DiskLimits): number {
  return ballastBytes === undefined ? 0 : Math.max(limits.ballast - ballastBytes, 0);
}

type Seen = Parameters<typeof assessDisk>[0];

function levelOf(seen: Seen, limits: DiskLimits, before: AgentDiskLevel | undefined): AgentDiskLevel {
  const { failure, totalInodes, freeInodes } = seen;
  if (failure !== undefined) return NO_ROOM.has(failure.code) ? "full" : "unwritable";
  const spare = seen.freeBytes - owed(seen, limits);
  const countsInodes = totalInodes > 0;
  const wasFull = before === "full";
  if (spare < (wasFull ? limits.resume : limits.floor)) return "full";
  if (countsInodes && freeInodes < (wasFull ? 2 * FULL_INODES : FULL_INODES)) return "full";
  const wasLow = before !== undefined && before !== "enough";
  if (spare < (wasLow ? limits.low * HYSTERESIS : limits.low)) return "low";
  return countsInodes && freeInodes < totalInodes * LOW_INODES_SHARE ? "low" : "enough";
}

function ballastOf(seen: Seen, limits: DiskLimits, level: AgentDiskLevel): DiskState["ballast"] {
  const { ballastBytes = 0, freeBytes, failure, serverDown } = seen;
  if (level === "full") {
    const isNeeded = serverDown || failure !== undefined || freeBytes < LAST_ROOM_BYTES;
    return isNeeded && ballastBytes > 0 ? "release" : "keep";
  }
  const hasRoom = freeBytes - limits.ballast >= limits.resume;
  return level !== "unwritable" && ballastBytes < limits.ballast && hasRoom ? "make" : "keep";
}

const WAY_OUT =
  "raise storage.size, or free space: DROP or TRUNCATE in a session that begins with SET default_transaction_read_only = off";

function messageOf(seen: Seen, limits: DiskLimits, level: AgentDiskLevel): string {
  const { totalBytes, freeBytes, freeInodes, totalInodes, failure } = seen;
  const used = totalBytes === 0 ? 100 : Math.floor((1 - freeBytes / totalBytes) * 100);
  const usage = `${used}% of ${formatBytes(totalBytes)} used, ${formatBytes(freeBytes)} free`;
  const inodes = `${freeInodes} of ${totalInodes} inodes are free`;
  const isInodes = totalInodes > 0 && freeInodes < totalInodes * LOW_INODES_SHARE;
  switch (level) {
    case "unwritable":
      return `the volume takes no writes: ${failure?.message ?? "unknown"}; see the log of its node and of its storage driver`;
    case "full": {
      if (failure !== undefined) {
        return `the volume is full (${usage}; a write fails: ${failure.message}): writes are refused until one succeeds; ${WAY_OUT}`;
      }
      const until = formatBytes(limits.resume + owed(seen, limits));
      if (isInodes && freeInodes < 2 * FULL_INODES) {
        return `the volume is full (${inodes}; ${usage}): writes are refused until ${2 * FULL_INODES} inodes are free; ${WAY_OUT}`;
      }
      return `the volume is full (${usage}): writes are refused until ${until} are free; ${WAY_OUT}`;
    }
    case "low":
      return `${isInodes ? `${inodes}; ` : ""}${usage}; below ${formatBytes(limits.floor + owed(seen, limits))} writes are refused: raise storage.size, or free space`;
    case "enough":
      return usage;
  }
}
