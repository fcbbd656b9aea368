/** `shieldx rollout ...`: the command line of what people do with releases. */
import { Command, CommanderError } from "commander";
import { ticksOf } from "../controllers/rollout/judge/counters.ts";
import { replay } from "../controllers/rollout/judge/replay.ts";
import { replayText } from "../controllers/rollout/judge/replay-text.ts";
import { judgeRun } from "../controllers/rollout/judge/run.ts";
import { decodeRun, RUN_DATA_KEY } from "../controllers/rollout/sampling/run.store.ts";
import { parsePolicy, parseRollout } from "../crds/rollout-run.ts";
import { OperatorError } from "../lib/core/errors.ts";
import { askVerbs } from "./rollout/ask-verbs.ts";
import { verb } from "./rollout/command.ts";
import { convertVerb, readText } from "./rollout/convert-verb.ts";
import { showVerbs } from "./rollout/show-verbs.ts";

interface ReplayFlags {
  readonly policy?: string;
  readonly json?: boolean;
}

const REPLAY_HELP = `
FILE is a run (kind RolloutRun), as it was recorded, the ConfigMap in which a Rollout keeps it (kubectl get cm <name>-run -o json),
or counters as they were scraped (kind RolloutSamples), which are judged here for the first time; - reads standard input. --json of counters prints the run made of them as the member run.

Columns: errors and requests of both versions; e-values of harm (worse than the stable version), slo (above the stage's
limit), promote (good enough to go on early) and slow (latency); harm, slo and slow fail a release at the number of tests over
the policy's falseRollbackRate, 200 by default.

Exit codes: 0 the verdicts are as recorded, or there are none to compare with; 1 they differ under the run's own policy; 2 the
command line or a document is refused.
`;

/** Runs one subcommand. @returns the exit code */
export async function run(args: readonly string[]): Promise<number> {
  let code = 0;
  const end = (value: number): void => {
    code = value;
  };
  const program = new Command("shieldx rollout")
    .description("What people do with releases. Each command has a --help with examples and exit codes.")
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  for (const command of [...showVerbs(end), ...askVerbs(), convertVerb(), replayVerb(end)]) program.addCommand(command);
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw new OperatorError("USAGE", error.message.replace(/^error: /, ""), { cause: error });
  }
  return code;
}

function replayVerb(end: (code: number) => void): Command {
  return verb("replay", "judge a stored run again, or counters of your own", REPLAY_HELP)
    .argument("<file>", "run or counters as JSON, or - for standard input")
    .option("--policy <file>", "judge by this policy (JSON) in place of the document's own")
    .option("--json", "print the outcome as one line of JSON")
    .action(async (file: string, flags: ReplayFlags) => end(await replayCommand(file, flags)));
}

/** @throws OperatorError FILE_UNREADABLE, ROLLOUT_RUN_INVALID */
async function replayCommand(file: string, flags: ReplayFlags): Promise<number> {
  const document = parseDocument(await readText(file), file === "-" ? "standard input" : file);
  const policy = flags.policy === undefined ? undefined : parsePolicy(await readText(flags.policy), flags.policy);
  const isRecorded = document.kind === "RolloutRun";
  const judged = isRecorded
    ? document
    : judgeRun({ ...document, policy: policy ?? document.policy }, ticksOf(document));
  const replayed = replay(judged, policy);
  const differences = replayed.rows.filter(({ differs }) => differs);
  if (flags.json === true) {
    const { end, isOtherPolicy, mergedRows } = replayed;
    const told = { revision: document.revision, end, isOtherPolicy, mergedRows, differences };
    process.stdout.write(`${JSON.stringify(isRecorded ? told : { ...told, run: judged })}\n`);
  } else process.stdout.write(replayText(replayed, isRecorded));
  return differences.length > 0 && !replayed.isOtherPolicy ? 1 : 0;
}

/** Reads what a Rollout has stored, or a document as it is. @throws OperatorError ROLLOUT_RUN_INVALID */
function parseDocument(json: string, name: string): ReturnType<typeof parseRollout> {
  const text = storedIn(json);
  if (text === undefined) return parseRollout(json, name);
  const { run, reason } = decodeRun(text);
  if (run === undefined) throw new OperatorError("ROLLOUT_RUN_INVALID", `${name}: data: ${RUN_DATA_KEY}: ${reason}`);
  return run;
}

/** Text of the run in a ConfigMap; undefined for anything else, also for what is not JSON: whoever parses that says why. */
function storedIn(json: string): string | undefined {
  let object: { readonly kind?: unknown; readonly data?: Readonly<Record<string, string>> } | null;
  try {
    object = JSON.parse(json) as typeof object;
  } catch {
    return undefined;
  }
  if (object?.kind !== "ConfigMap") return undefined;
  return object.data?.[RUN_DATA_KEY] ?? "";
}
