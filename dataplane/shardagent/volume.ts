import { open, rename, rm, stat, statfs, truncate } from "node:fs/promises";
import { join } from "node:path";
import { MIB } from "./byte-sizes.ts";
import type { VolumeFacts, WriteFailure } from "./disk-pressure.ts";
import { runTool } from "./processes.ts";

// What the agent does with the volume itself, beside the data directory: how much is free, a small write that proves
// that there is room, and the ballast.

/** Beside the data directory: zeros that keep room. Empty when the room was given up. */
const BALLAST_FILE = "shieldx-ballast";

/** Beside the data directory: what the small write writes. */
const PROBE_FILE = "shieldx-probe";

/** Enough that no file system puts it beside the inode, little enough to write every ten seconds. */
const PROBE_BYTES = 64 * 1024;

/** A gibibyte is allocated in milliseconds; where the file system cannot, it is written. */
const ALLOCATE_TIMEOUT_MS = 60_000;

/** What the volume shows. @throws what `statfs` throws */
export async function readVolume(volume: string): Promise<VolumeFacts> {
  const { blocks, bavail, bsize, files, ffree } = await statfs(volume);
  const ballast = await stat(join(volume, BALLAST_FILE)).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  });
  return {
    totalBytes: blocks * bsize,
    freeBytes: bavail * bsize,
    totalInodes: files,
    freeInodes: ffree,
    ballastBytes: ballast?.size,
  };
}

/**
 * Writes and syncs a few blocks that are allocated anew each time.
 * @returns how it failed; `undefined` when the volume takes writes
 */
export async function probeWrite(volume: string): Promise<WriteFailure | undefined> {
  try {
    const file = await open(join(volume, PROBE_FILE), "w", 0o600);
    try {
      await file.writeFile(Buffer.alloc(PROBE_BYTES));
      await file.sync();
    } finally {
      await file.close();
    }
    return undefined;
  } catch (error) {
    const { code = "EIO", message } = error as NodeJS.ErrnoException;
    return { code, message };
  }
}

/** Makes the ballast as large as asked for: as a whole, or not at all. @throws what the file system says */
export async function makeBallast(volume: string, bytes: number, env: Readonly<Record<string, string>>): Promise<void> {
  const path = join(volume, BALLAST_FILE);
  const fresh = `${path}.new`;
  try {
    const { code } = await runTool("fallocate", ["--length", String(bytes), fresh], {
      env,
      timeoutMs: ALLOCATE_TIMEOUT_MS,
    });
    if (code !== 0) await writeZeros(fresh, bytes);
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}

/** Gives the ballast's room to PostgreSQL. The empty file stays and says that there was one. */
export async function releaseBallast(volume: string): Promise<void> {
  await rm(join(volume, `${BALLAST_FILE}.new`), { force: true });
  await truncate(join(volume, BALLAST_FILE), 0);
}

async function writeZeros(path: string, bytes: number): Promise<void> {
  const chunk = Buffer.alloc(MIB);
  const file = await open(path, "w", 0o600);
  try {
    for (let written = 0; written < bytes; written += chunk.length) {
      await file.write(chunk, 0, Math.min(chunk.length, bytes - written));
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
