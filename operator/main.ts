import { type ErrorCode, isOperatorError, toProblem } from "../lib/core/errors.ts";
import { programVersion } from "../lib/node/version.ts";

/** A subcommand: what it is for, and its program, loaded only when it is asked for. */
interface Subcommand {
  readonly purpose: string;
  /** Runs until its work or the process ends; takes the arguments after the subcommand. @returns exit code */
  readonly load: () => Promise<{ run(args: readonly string[]): Promise<number> }>;
}

/** Each process loads its own room and no other. */
const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  controller: {
    purpose: "run the controllers of all kinds",
    load: () => import("./controller-main.ts"),
  },
  "shard-agent": {
    purpose: "run the PostgreSQL of one shard, as its parent process",
    load: () => import("../dataplane/shardagent/shardagent.main.ts"),
  },
  shardset: {
    purpose: "replace the CA of a ShardSet",
    load: () => import("./shardset-main.ts"),
  },
  rollout: {
    purpose: "show and steer releases, and judge them again from their counts",
    load: () => import("./rollout-main.ts"),
  },
  ledger: {
    purpose: "serve, migrate, import into or verify a ledger",
    load: () => import("../dataplane/ledger/ledger.main.ts"),
  },
};

const USAGE_CODE = 2;
/** What the user gave is refused, and nothing was done. */
const REFUSED: ReadonlySet<ErrorCode> = new Set([
  "USAGE",
  "CONFIG_INVALID",
  "FILE_NOT_CSV",
  "CSV_ENCODING_INVALID",
  "CSV_HEADER_INVALID",
  "CSV_ROW_INVALID",
  "CSV_NEWEST_FIRST",
  "CSV_CURRENCY_UNCLEAR",
  "FILE_EXISTS",
  "ROLLOUT_RUN_INVALID",
  "ROLLOUT_UNCONVERTIBLE",
]);

function usage(): string {
  const width = Math.max(...Object.keys(SUBCOMMANDS).map((name) => name.length));
  const lines = Object.entries(SUBCOMMANDS).map(([name, { purpose }]) => `  ${name.padEnd(width)}  ${purpose}`);
  return `Usage: shieldx SUBCOMMAND [ARGUMENT]...\n\n${lines.join("\n")}\n\n  --help, --version\n`;
}

/** Runs the subcommand that the arguments name. @returns exit code: 2 for a command line or a file that is refused, 1 for other failures */
async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(usage());
    return 0;
  }
  if (name === "--version") {
    process.stdout.write(`shieldx ${programVersion()}\n`);
    return 0;
  }
  const subcommand = name !== undefined && Object.hasOwn(SUBCOMMANDS, name) ? SUBCOMMANDS[name] : undefined;
  if (subcommand === undefined) {
    process.stderr.write(
      `shieldx: USAGE: ${name === undefined ? "no subcommand" : `unknown subcommand "${name}"`}\n\n`,
    );
    process.stderr.write(usage());
    return USAGE_CODE;
  }
  try {
    return await (await subcommand.load()).run(rest);
  } catch (error) {
    if (!isOperatorError(error)) throw error;
    process.stderr.write(`shieldx ${name}: ${error.code}: ${error.message}\n${toProblem(error).action}\n`);
    return REFUSED.has(error.code) ? USAGE_CODE : 1;
  }
}

// A library may have left a timer or a connection behind that would keep the process alive; ours are closed by now.
process.exit(await main(process.argv.slice(2)));
