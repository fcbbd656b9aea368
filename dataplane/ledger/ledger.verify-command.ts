/** `shieldx ledger verify`: every shard, every invariant, one line each. */
import { z } from "zod";
import { systemClock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { openShardAccess, type ShardAccess } from "./ledger.access.ts";
import { readText } from "./ledger.targets.ts";
import { verifyShard } from "./ledger.verify.ts";
import { createProgressLine } from "./progress.ts";
import { notCovered } from "./verify-coverage.ts";
import { type Finding, INVARIANTS, isIntact, type Replay } from "./verify-fold.ts";

export const verifyFlags = z.strictObject({
  ledger: z.string().optional(),
  kubeconfig: z.string().optional(),
  context: z.string().optional(),
  /** host:port of each shard in order, instead of --ledger. */
  postgres: z.array(z.string().regex(/^.+:\d+$/, "must be host:port")).default([]),
  database: z.string().optional(),
  user: z.string().optional(),
  passwordFile: z.string().optional(),
  caFile: z.string().optional(),
  snapshotEvery: z.coerce.number().int().min(0).default(0),
  journalOnly: z.boolean().default(false),
  json: z.boolean().default(false),
});
export type VerifyFlags = z.output<typeof verifyFlags>;

interface ShardReport {
  readonly shard: number;
  readonly intact: boolean;
  readonly events: number;
  readonly accounts: number;
  readonly hash: string;
  readonly seconds: number;
  readonly invariants: readonly Finding[];
  /** What this run could not see. */
  readonly notCovered: readonly string[];
}

/** @returns 0 when everything holds, 1 when an invariant is violated */
export async function verifyCommand(flags: VerifyFlags): Promise<number> {
  const access = flags.postgres.length > 0 ? await directAccess(flags) : await openShardAccess(flags);
  const reports: ShardReport[] = [];
  try {
    for (let shard = 0; shard < access.shards; shard += 1) {
      const report = await verifyOne(access, shard, flags);
      reports.push(report);
      if (!flags.json) process.stdout.write(reportText(report));
    }
  } finally {
    await access.close();
  }
  const intact = reports.every((report) => report.intact);
  const uncovered = [...new Set(reports.flatMap((report) => report.notCovered))];
  if (flags.json) process.stdout.write(`${JSON.stringify({ intact, notCovered: uncovered, shards: reports })}\n`);
  else process.stdout.write(`${verdict(intact, uncovered)}\n`);
  return intact ? 0 : 1;
}

/** The last line: what was proved, and what no check of this run could see. */
export function verdict(intact: boolean, uncovered: readonly string[]): string {
  if (!intact) return "FAILED: see the lines above";
  return `verified: every invariant holds; not covered: ${uncovered.join(", ")}`;
}

async function verifyOne(access: ShardAccess, shard: number, flags: VerifyFlags): Promise<ShardReport> {
  const startedAt = systemClock.monotonic();
  const progress = createProgressLine({
    write: (text) => void process.stderr.write(text),
    isTerminal: process.stderr.isTTY,
    clock: systemClock,
    unit: "events",
  });
  const memory = access.memory(shard);
  const replay = await verifyShard({
    shard,
    target: await access.target(shard),
    rowsTarget: await access.target(shard),
    snapshotEvery: flags.snapshotEvery,
    journalOnly: flags.journalOnly,
    memory,
    onProgress: ({ done, total }) => progress.update(done, done / Math.max(1, total)),
  });
  progress.end();
  const seconds = (systemClock.monotonic() - startedAt) / 1000;
  return {
    ...toReport(replay, seconds),
    notCovered: notCovered({ memory, isSealed: replay.isSealed, journalOnly: flags.journalOnly }),
  };
}

function toReport(replay: Replay, seconds: number): Omit<ShardReport, "notCovered"> {
  const { state } = replay;
  return {
    shard: replay.shard,
    intact: isIntact(replay),
    events: state.position,
    accounts: state.accounts,
    hash: state.hash.toString("hex"),
    seconds,
    invariants: Object.values(replay.findings),
  };
}

/** One line an invariant: what was looked at, and the first violation. */
export function reportText(report: ShardReport): string {
  const head = `shard ${report.shard}: ${report.events} events, ${report.accounts} accounts, head ${report.hash.slice(0, 16)}, ${report.seconds.toFixed(2)} s\n`;
  const lines = report.invariants.map((finding) => {
    const verdict = finding.violations === 0 ? "ok    " : "FAILED";
    const first = finding.first === undefined ? "" : `\n           first of ${finding.violations}: ${finding.first}`;
    return `  ${verdict}  ${INVARIANTS[finding.invariant]} (${finding.checked} checked)${first}\n`;
  });
  return head + lines.join("");
}

async function directAccess(flags: VerifyFlags): Promise<ShardAccess> {
  const { database, user, passwordFile, caFile } = flags;
  if (database === undefined || user === undefined || passwordFile === undefined || caFile === undefined) {
    throw new OperatorError("USAGE", "--postgres needs --database, --user, --password-file and --ca-file");
  }
  const caPem = await readText(caFile);
  const password = (await readText(passwordFile)).trim();
  return {
    shards: flags.postgres.length,
    // Leases are read through the Kubernetes API only; the report says how much was compared.
    memory: () => ({ position: undefined, systemIdentifier: undefined }),
    target: async (shard) => {
      const [, host, port] = /^(.+):(\d+)$/.exec(flags.postgres[shard] as string) as unknown as [
        string,
        string,
        string,
      ];
      return {
        address: { host, port: Number(port), caPem },
        database,
        user,
        password,
        applicationName: "shieldx-ledger-verify",
      };
    },
    close: async () => undefined,
  };
}
