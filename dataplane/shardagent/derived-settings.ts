import { OperatorError } from "../../lib/core/errors.ts";
import { formatBytes, GIB, KIB, MIB, parsePostgresSize } from "./byte-sizes.ts";
import type { Machine } from "./machine.ts";

// Settings that follow from the size of the volume, the container's memory and the kernel. Each is a default: the spec's
// own value goes before it.

/** initdb's default; it is what the write-ahead log grows by. */
export const WAL_SEGMENT_BYTES = 16 * MIB;

/** A fifth of the volume for the write-ahead log: the rest is for data, and the log may pass its limit for a moment. */
const WAL_SHARE = 1 / 5;
/** PostgreSQL wants two segments at least; with three, one can be filled while a checkpoint lets go of another. */
const WAL_SEGMENTS_MIN = 3;
/** Beyond this, recovery after a crash takes longer than it is worth. */
const WAL_BYTES_MAX = GIB;
const WAL_KEPT_SEGMENTS_MAX = 8;

/** What the sorts and joins of one session may spill: ten at once fill what is free, one alone does not. */
const TEMPORARY_SHARE = 1 / 10;
const TEMPORARY_BYTES_MIN = 32 * MIB;

const BUFFERS_DEFAULT = 128 * MIB;
const BUFFERS_MIN = 16 * MIB;
/** Above this the kernel's cache is the better place. */
const BUFFERS_MAX = 8 * GIB;
/** PostgreSQL counts shared_buffers without unit in pages, work_mem in kB. */
const PAGE_BYTES = 8 * KIB;
const WORK_MEM_DEFAULT = 4 * MIB;
const WORK_MEM_MIN = MIB;
const CONNECTIONS_DEFAULT = 100;

/** From this release on, syncfs reports writes that failed (before it, a lost write would pass for a synced one). */
const SYNCFS_KERNEL = [5, 8] as const;

type Parameters = Readonly<Record<string, string>>;

/** Settings by name. @param parameters the user's own, which the sizes of memory take into account */
export function derivedSettings(machine: Machine, parameters: Parameters): Record<string, string> {
  return {
    ...walSettings(machine.volumeBytes),
    temp_file_limit: megabytes(Math.max(machine.volumeBytes * TEMPORARY_SHARE, TEMPORARY_BYTES_MIN)),
    ...memorySettings(machine.memoryLimitBytes, parameters),
    recovery_init_sync_method: hasReliableSyncfs(machine.kernel) ? "syncfs" : "fsync",
  };
}

function walSettings(volumeBytes: number): Record<string, string> {
  const share = Math.floor(Math.min(volumeBytes * WAL_SHARE, WAL_BYTES_MAX) / WAL_SEGMENT_BYTES);
  const segments = Math.max(share, WAL_SEGMENTS_MIN);
  const max = megabytes(segments * WAL_SEGMENT_BYTES);
  const kept = Math.min(Math.max(Math.floor(segments / 4), 2), WAL_KEPT_SEGMENTS_MAX);
  return {
    max_wal_size: max,
    min_wal_size: megabytes(kept * WAL_SEGMENT_BYTES),
    // A slot that nobody reads must not fill the volume.
    max_slot_wal_keep_size: max,
  };
}

function memorySettings(limit: number | undefined, parameters: Parameters): Record<string, string> {
  const buffers =
    limit === undefined ? BUFFERS_DEFAULT : Math.min(Math.max(Math.floor(limit / 4), BUFFERS_MIN), BUFFERS_MAX);
  const left = limit === undefined ? undefined : (limit - buffersOf(parameters, buffers)) / 2;
  const each = left === undefined ? WORK_MEM_DEFAULT : Math.floor(left / connectionsOf(parameters));
  return {
    shared_buffers: megabytes(buffers),
    work_mem: megabytes(Math.min(Math.max(each, WORK_MEM_MIN), WORK_MEM_DEFAULT)),
    effective_cache_size: megabytes(limit === undefined ? 2 * BUFFERS_DEFAULT : Math.max(limit / 2, buffers)),
  };
}

/**
 * Refuses shared buffers that the container cannot hold: it would be ended by the kernel, again and again, as soon as
 * they are filled.
 * @throws OperatorError CONFIG_INVALID
 */
export function requireMemoryFits({ memoryLimitBytes: limit }: Machine, parameters: Parameters): void {
  const buffers = buffersOf(parameters, 0);
  if (limit === undefined || buffers < limit) return;
  throw new OperatorError(
    "CONFIG_INVALID",
    `shared_buffers is ${formatBytes(buffers)}, but the container's memory limit is ${formatBytes(limit)}: lower postgres.parameters.shared_buffers (a quarter of the limit is usual) or raise resources.limits.memory`,
  );
}

/** What may become too much under load, as a sentence; `undefined` when it fits. */
export function memoryWarning({ memoryLimitBytes: limit }: Machine, settings: Parameters): string | undefined {
  if (limit === undefined) return undefined;
  const buffers = buffersOf(settings, 0);
  const workMem = parsePostgresSize(settings["work_mem"] ?? "", KIB) ?? 0;
  const connections = connectionsOf(settings);
  const most = buffers + connections * workMem;
  if (most <= limit) return undefined;
  return `shared_buffers (${formatBytes(buffers)}) and work_mem (${formatBytes(workMem)}) of ${connections} connections are ${formatBytes(most)} together, but the container's memory limit is ${formatBytes(limit)}: under full load the kernel ends the container; lower work_mem or max_connections, or raise resources.limits.memory`;
}

/** True for a kernel whose syncfs tells of failed writes. */
export function hasReliableSyncfs(kernel: string): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(kernel) ?? [];
  if (major === undefined) return false;
  const [wantedMajor, wantedMinor] = SYNCFS_KERNEL;
  return Number(major) > wantedMajor || (Number(major) === wantedMajor && Number(minor) >= wantedMinor);
}

function buffersOf(settings: Parameters, otherwise: number): number {
  return parsePostgresSize(settings["shared_buffers"] ?? "", PAGE_BYTES) ?? otherwise;
}

function connectionsOf(settings: Parameters): number {
  const connections = Number(settings["max_connections"] ?? CONNECTIONS_DEFAULT);
  return connections >= 1 ? connections : CONNECTIONS_DEFAULT;
}

function megabytes(bytes: number): string {
  return `${Math.floor(bytes / MIB)}MB`;
}
