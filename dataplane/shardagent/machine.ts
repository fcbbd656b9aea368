import { readFile, statfs } from "node:fs/promises";
import { release } from "node:os";
import { dirname } from "node:path";

/** What the machine gives this container, as far as settings depend on it. */
export interface Machine {
  /** Size of the file system that the volume shows. */
  readonly volumeBytes: number;
  /** Most memory the container may use; `undefined` without a limit. */
  readonly memoryLimitBytes: number | undefined;
  /** Release of the kernel, for example "6.1.0-13-amd64". */
  readonly kernel: string;
}

/** Limits of the container's control group: version 2, then version 1. */
const MEMORY_LIMIT_FILES = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"] as const;

/** Version 1 says "no limit" with a number near 2^63. */
const NO_LIMIT_FROM = 2 ** 60;

/** Reads it anew: a volume may have grown. @throws what `statfs` throws */
export async function readMachine(dataDir: string): Promise<Machine> {
  const { blocks, bsize } = await statfs(dirname(dataDir));
  return { volumeBytes: blocks * bsize, memoryLimitBytes: await readMemoryLimit(), kernel: release() };
}

async function readMemoryLimit(): Promise<number | undefined> {
  for (const path of MEMORY_LIMIT_FILES) {
    // The file of the other version is not there.
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text !== undefined) return parseMemoryLimit(text);
  }
  return undefined;
}

/** @param text content of the control group's file: bytes, or "max" */
export function parseMemoryLimit(text: string): number | undefined {
  const bytes = Number(text.trim());
  return Number.isSafeInteger(bytes) && bytes > 0 && bytes < NO_LIMIT_FROM ? bytes : undefined;
}
