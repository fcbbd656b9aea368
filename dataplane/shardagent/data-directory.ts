import { chmod, mkdir, open, readdir, readFile, realpath, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { OperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { type Expectation, isGivenUp, type Place, requireExpected, requireNoData } from "./data-expectation.ts";
import { processesIn, runTool, type ToolResult } from "./processes.ts";
import { SUPERUSER } from "./shardagent.config-files.ts";
import { runLocked } from "./volume-lock.ts";

// The data directory is made by initdb in a temporary directory beside it and renamed when it is complete and synced:
// a directory of the final name is a whole database cluster, whenever the power went. A small file beside it says whose
// data this is. Whether an empty volume may be a beginning is said from outside: see data-expectation.ts.

/** Major version that the program runs; data of another one needs an upgrade first. */
export const POSTGRES_MAJOR = "17";

/** Beside the data directory: which shard the volume belongs to. */
const IDENTITY_FILE = "shieldx-shard.json";

/** PostgreSQL's own lock file, in the data directory. */
const LOCK_FILE = "postmaster.pid";

/** Prefix of the directories in which initdb works. */
const TEMPORARY_PREFIX = ".initdb-";

/** initdb writes about 40 MB and syncs it: seconds on a good disk, a minute on a bad one. */
const INITDB_TIMEOUT_MS = 5 * 60_000;

/** pg_controldata reads one small file, others touch one. */
const SMALL_TOOL_TIMEOUT_MS = 10_000;

const identity = z.strictObject({
  shardSet: z.string(),
  shard: z.int().min(0),
  systemIdentifier: z.string().regex(/^[0-9]+$/),
});

/** Whose data a volume holds. */
export type VolumeIdentity = z.output<typeof identity>;

/** What is needed to prepare a data directory. */
export interface DataDirectoryOptions {
  /** Final path of the data directory; its parent is the volume. */
  readonly dataDir: string;
  readonly shardSet: string;
  readonly shard: number;
  /** Name of the volume's claim. */
  readonly claim: string;
  /** What is said about the data. */
  readonly expectation: Expectation;
  /** Environment of PostgreSQL's programs. */
  readonly env: Readonly<Record<string, string>>;
  readonly log: Logger;
}

/** A data directory that is ready for a server to start on. */
export interface DataDirectory {
  /** Real path, without symbolic links: the working directory of the server's processes. */
  readonly path: string;
  /** 64-bit number that initdb drew; a decimal text, since it exceeds 2^53. */
  readonly systemIdentifier: string;
  /** True when it was made just now. */
  readonly created: boolean;
}

/**
 * Makes the data directory of a shard that never had data, or checks that what is there is this shard's.
 * Nothing that exists is ever changed or removed, but half-made directories of an interrupted initdb.
 * @throws OperatorError DATA_LOST (data gone), DATA_REFUSED (other data, another major version), POSTGRES_FAILED (initdb),
 * SHARD_MAP_INVALID (nothing is known yet)
 */
export async function prepareDataDirectory(options: DataDirectoryOptions): Promise<DataDirectory> {
  const { dataDir, expectation } = options;
  const volume = dirname(dataDir);
  const known = await knownIdentity(volume, options);
  const evidence = { ...expectation, onVolume: known?.systemIdentifier };
  const place: Place = { shard: options.shard, claim: options.claim, map: `${options.shardSet}-map` };
  const entries = await listDirectory(dataDir);
  const created = entries.length === 0;
  if (created) {
    requireNoData(evidence, place);
    await initialise(options, volume);
  } else {
    await requireMajorVersion(dataDir, entries);
  }
  const systemIdentifier = await readSystemIdentifier(options);
  if (!created) requireExpected(systemIdentifier, evidence, place);
  if (known !== undefined && known.systemIdentifier !== systemIdentifier) {
    throw new OperatorError(
      "DATA_REFUSED",
      `the data directory has system identifier ${systemIdentifier}, but the volume's is ${known.systemIdentifier}`,
    );
  }
  if (known === undefined) {
    await writeIdentity(volume, { shardSet: options.shardSet, shard: options.shard, systemIdentifier });
  }
  // A volume driver that sets the pod's group opens directories to it; PostgreSQL refuses to start on such a one.
  await chmod(dataDir, 0o700);
  return { path: await realpath(dataDir), systemIdentifier, created };
}

/**
 * Removes the lock file that a server of an earlier container left behind. Its process number means nothing in this
 * process namespace, and may belong to a process of ours, in which case PostgreSQL would refuse to start.
 * Done only with the volume's lock, so never under a server that lives, in whichever container.
 * @throws OperatorError POSTGRES_FAILED when a server works on the data
 */
export async function removeStaleLockFile(
  { path }: Pick<DataDirectory, "path">,
  { env, log }: Pick<DataDirectoryOptions, "env" | "log">,
): Promise<void> {
  const pids = await processesIn(path);
  if (pids.length > 0) {
    throw new OperatorError("POSTGRES_FAILED", `a server is running on ${path} already (process ${pids[0]})`);
  }
  if (!(await listDirectory(path)).includes(LOCK_FILE)) return;
  const { code, stderr } = await runLocked(path, ["rm", "-f", join(path, LOCK_FILE)], {
    env,
    timeoutMs: SMALL_TOOL_TIMEOUT_MS,
  });
  if (code !== 0) throw new OperatorError("POSTGRES_FAILED", `${LOCK_FILE} cannot be removed: ${lastLine(stderr)}`);
  log.info("removed the lock file of an earlier container");
}

async function initialise(options: DataDirectoryOptions, volume: string): Promise<void> {
  // Somebody else's initdb may be at work: what it has half made is not to be removed.
  await runLocked(options.dataDir, ["true"], { env: options.env, timeoutMs: SMALL_TOOL_TIMEOUT_MS });
  for (const name of await listDirectory(volume)) {
    if (!name.startsWith(TEMPORARY_PREFIX)) continue;
    options.log.warn({ directory: name }, "removing a half-made data directory of an interrupted initdb");
    await rm(join(volume, name), { recursive: true });
  }
  const temporary = join(volume, `${TEMPORARY_PREFIX}${basename(options.dataDir)}`);
  const result = await runInitdb(temporary, options);
  if (result.code !== 0) {
    throw new OperatorError("POSTGRES_FAILED", `initdb failed: ${lastLine(result.stderr)}`);
  }
  await rename(temporary, options.dataDir);
  await syncDirectory(volume);
  options.log.info({ dataDir: options.dataDir }, "initialised the data directory");
}

/**
 * Checksums find silent corruption. The builtin locale provider sorts by code point whatever C library the image has,
 * so that an upgrade of the image never corrupts an index.
 */
function runInitdb(directory: string, options: DataDirectoryOptions): Promise<ToolResult> {
  const command = [
    "initdb",
    `--pgdata=${directory}`,
    `--username=${SUPERUSER}`,
    "--data-checksums",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth-local=peer",
    "--auth-host=reject",
    "--no-instructions",
    // With huge pages on the node and none for this container, the server that initdb runs would end by a SIGBUS.
    "--set=huge_pages=off",
  ];
  return runLocked(options.dataDir, command, { env: options.env, timeoutMs: INITDB_TIMEOUT_MS });
}

async function requireMajorVersion(dataDir: string, entries: readonly string[]): Promise<void> {
  if (!entries.includes("PG_VERSION")) {
    throw new OperatorError("DATA_REFUSED", `${dataDir} holds files but no database cluster`);
  }
  const major = (await readFile(join(dataDir, "PG_VERSION"), "utf8")).trim();
  if (major !== POSTGRES_MAJOR) {
    throw new OperatorError("DATA_REFUSED", `the data is of PostgreSQL ${major}, this program runs ${POSTGRES_MAJOR}`);
  }
}

async function readSystemIdentifier(options: DataDirectoryOptions): Promise<string> {
  const result = await runTool("pg_controldata", [`--pgdata=${options.dataDir}`], {
    env: options.env,
    timeoutMs: SMALL_TOOL_TIMEOUT_MS,
  });
  const found = parseControlData(result.stdout).get("Database system identifier");
  if (result.code !== 0 || found === undefined) {
    throw new OperatorError("DATA_REFUSED", `the control file cannot be read: ${lastLine(result.stderr)}`);
  }
  return found;
}

/** Reads the "name: value" lines of pg_controldata. */
export function parseControlData(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split("\n").flatMap((line) => {
      const at = line.indexOf(":");
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1).trim()] as const];
    }),
  );
}

function requireSameShard(known: VolumeIdentity, options: DataDirectoryOptions): void {
  if (known.shardSet === options.shardSet && known.shard === options.shard) return;
  throw new OperatorError(
    "DATA_REFUSED",
    `the volume belongs to shard ${known.shard} of ${known.shardSet}, not to shard ${options.shard} of ${options.shardSet}`,
  );
}

/** Whose data the volume says it holds. What it says of data that was given up ends here. */
async function knownIdentity(volume: string, options: DataDirectoryOptions): Promise<VolumeIdentity | undefined> {
  const known = await readIdentity(volume);
  if (known === undefined) return undefined;
  requireSameShard(known, options);
  return isGivenUp(options.expectation, known.systemIdentifier) ? undefined : known;
}

async function readIdentity(volume: string): Promise<VolumeIdentity | undefined> {
  let text: string;
  try {
    text = await readFile(join(volume, IDENTITY_FILE), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const result = identity.safeParse(parseJson(text));
  if (!result.success) throw new OperatorError("DATA_REFUSED", `${IDENTITY_FILE} on the volume cannot be read`);
  return result.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The schema refuses it with the sentence that names the file.
    return undefined;
  }
}

/** Written under another name, synced and renamed: it is there as a whole or not at all. */
async function writeIdentity(volume: string, value: VolumeIdentity): Promise<void> {
  const path = join(volume, IDENTITY_FILE);
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(value)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncDirectory(volume);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function listDirectory(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    await mkdir(dirname(path), { recursive: true });
    return [];
  }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "no message";
}
