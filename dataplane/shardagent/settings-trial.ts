import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SettingsAnswer } from "../../crds/agent-status.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import { runTool, type ToolResult } from "./processes.ts";
import { createServerLog } from "./server-log.ts";

// Settings are tried on a copy: the server's own program reads them, checks them against each other and against the
// control file, computes its shared memory and ends, in about 15 ms. The copy is the two files of a data directory that
// it needs for that, 8 KiB in memory; the data itself, and a server that runs on it, are not touched.

/** What settings are tried with. */
export interface TrialOptions {
  /** Data directory that the settings are for. */
  readonly dataDir: string;
  /** Directory in which the copy is made for a moment. */
  readonly scratchDir: string;
  /** Text of postgresql.conf. */
  readonly conf: string;
  /** Settings of the spec: what is complained of is told by one of these names. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Environment of PostgreSQL's programs. */
  readonly env: Readonly<Record<string, string>>;
}

/** The server reads two files and computes a size; on a node under full load that takes a second. */
const TRIAL_TIMEOUT_MS = 10_000;

/** Whether PostgreSQL takes the settings. Never throws: a trial that could not be carried out is `unknown`. */
export async function trySettings(options: TrialOptions): Promise<SettingsAnswer> {
  try {
    const copy = await mkdtemp(join(options.scratchDir, "trial-"));
    try {
      return answerOf(await runOnCopy(copy, options), options.parameters);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  } catch (error) {
    return { outcome: "unknown", message: toOperatorError(error).message };
  }
}

async function runOnCopy(copy: string, { dataDir, conf, env }: TrialOptions): Promise<ToolResult> {
  const configFile = join(copy, "trial.conf");
  await mkdir(join(copy, "global"), { mode: 0o700 });
  await copyFile(join(dataDir, "PG_VERSION"), join(copy, "PG_VERSION"));
  await copyFile(join(dataDir, "global", "pg_control"), join(copy, "global", "pg_control"));
  await writeFile(configFile, conf, { mode: 0o600 });
  // A computed value is asked for, because the server checks everything before it can compute. Certificates are none of
  // its settings.
  const asked = ["-C", "shared_memory_size", "-c", "ssl=off"];
  return runTool("postgres", ["-D", copy, `--config_file=${configFile}`, ...asked], {
    env,
    timeoutMs: TRIAL_TIMEOUT_MS,
  });
}

function answerOf({ code, stdout, stderr }: ToolResult, parameters: TrialOptions["parameters"]): SettingsAnswer {
  const megabytes = Number(stdout.trim());
  if (code === 0 && stdout.trim() !== "" && Number.isSafeInteger(megabytes)) {
    return { outcome: "accepted", sharedMemoryBytes: megabytes * 1024 * 1024 };
  }
  const log = createServerLog();
  log.take(`${stderr}\n`);
  const said = log.complaint();
  const setting = said && settingIn(said, parameters);
  // What names none of the settings may be about the copy: a control file that was being written, no space left.
  if (said === undefined || setting === undefined) {
    return {
      outcome: "unknown",
      message: said ?? `postgres ended with ${code === undefined ? "a signal" : `exit code ${code}`}`,
    };
  }
  return { outcome: "refused", setting, message: said };
}

/** Settings that make the shared memory large; PostgreSQL does not name them when it does not get it. */
const SIZING: readonly string[] = ["huge_pages", "shared_buffers", "max_connections", "max_locks_per_transaction"];

/** The setting of the spec that a complaint is about. @returns `undefined` when it names none of them */
export function settingIn(complaint: string, parameters: TrialOptions["parameters"]): string | undefined {
  const names = Object.keys(parameters);
  const named = names.find((name) =>
    new RegExp(`(^|[^a-z0-9_.])${name.replaceAll(".", "\\.")}($|[^a-z0-9_.])`, "i").test(complaint),
  );
  if (named !== undefined) return named;
  return /shared memory|huge page/i.test(complaint) ? SIZING.find((name) => names.includes(name)) : undefined;
}

/** A refusal in words: which setting, its value, and what PostgreSQL says. */
export function refusalSentence(
  { setting, message }: Pick<SettingsAnswer, "setting" | "message">,
  parameters: TrialOptions["parameters"],
): string {
  const what = setting === undefined ? "the settings" : `${setting} = '${parameters[setting] ?? ""}'`;
  return `PostgreSQL does not start with ${what}: ${message ?? "it does not say why"}`;
}
