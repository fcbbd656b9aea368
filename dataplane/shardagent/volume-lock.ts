import { dirname, join } from "node:path";
import { OperatorError } from "../../lib/core/errors.ts";
import { runTool, type ToolResult } from "./processes.ts";

// The Lease says who may run the server; it cannot say that an earlier one has ended. An agent that hangs or has lost
// the API server still has its PostgreSQL, and a pod that was deleted by force lives on beside its successor, on the same
// node and the same volume. PostgreSQL's own lock file does not help: its process numbers mean nothing in another
// container. A lock of the kernel does: every process of a server holds it, and it goes with the last one. Programs that
// a server has started inherit it too, and one that outlives the server would keep the next one out: whoever has the file
// open in this container is ended before a start (`endProcessesIn`). What lives in another container is not ours to end.

/** Beside the data directory; empty. */
const LOCK_FILE = "shieldx-shard.lock";

/** How `flock` ends when somebody else has the lock; PostgreSQL's programs never end so. */
const CONFLICT_EXIT_CODE = 75;

/** What users read while another container works on the volume. */
export const VOLUME_LOCKED = "another PostgreSQL works on this volume: its pod or container has to end first";

/** Path of the lock; every process of a server has it open. */
export function lockFileOf(dataDir: string): string {
  return join(dirname(dataDir), LOCK_FILE);
}

/**
 * A command that runs only while it, and every process it starts, holds the volume's lock.
 * It replaces `flock` in the same process, so signals and process number are the command's own.
 */
export function lockedCommand(dataDir: string, command: readonly string[]): [program: string, args: string[]] {
  const how = ["--exclusive", "--nonblock", "--no-fork", "--conflict-exit-code", String(CONFLICT_EXIT_CODE)];
  return ["flock", [...how, lockFileOf(dataDir), ...command]];
}

/** True for the exit code of a `lockedCommand` that did not get the lock. */
export function isLockConflict(code: number | null | undefined): boolean {
  return code === CONFLICT_EXIT_CODE;
}

/**
 * Runs a program to its end with the volume's lock.
 * @throws OperatorError POSTGRES_FAILED when somebody else has the lock; what `spawn` throws
 */
export async function runLocked(
  dataDir: string,
  command: readonly string[],
  options: { readonly env: Readonly<Record<string, string>>; readonly timeoutMs: number },
): Promise<ToolResult> {
  const result = await runTool(...lockedCommand(dataDir, command), options);
  if (isLockConflict(result.code)) throw new OperatorError("POSTGRES_FAILED", VOLUME_LOCKED);
  return result;
}
