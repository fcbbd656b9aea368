/** `shieldx ledger import FILE`: arguments, progress, rejects file and the table at the end. */
import { createWriteStream, type WriteStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { finished } from "node:stream/promises";
import { z } from "zod";
import { systemClock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { BULK_ITEMS_MAX } from "./api-schema.ts";
import { type BrokenRow, readCsv } from "./csv-rows.ts";
import { openAccess } from "./ledger.access.ts";
import { type ImportSummary, importRows } from "./ledger.import.ts";
import { createProgressLine } from "./progress.ts";
import { formatTable } from "./tables.ts";
import { ASSET_CODE } from "./transfer-parser.ts";

export const importFlags = z.strictObject({
  ledger: z.string().optional(),
  url: z.string().optional(),
  caFile: z.string().optional(),
  keyFile: z.string().optional(),
  kubeconfig: z.string().optional(),
  context: z.string().optional(),
  asset: z.string().regex(ASSET_CODE, "is not an asset code").optional(),
  batchSize: z.coerce.number().int().min(1).max(BULK_ITEMS_MAX).default(500),
  timeout: z.coerce.number().int().min(1).max(86_400).default(120),
  json: z.boolean().default(false),
});
export type ImportFlags = z.output<typeof importFlags>;

/** @returns the exit code: 0 also when rows were refused, since that is the ledger doing its work */
export async function importCommand(file: string, flags: ImportFlags): Promise<number> {
  const size = (await fileSize(file)) || 1;
  const rejects = createRejectsFile(`${file}.rejects.csv`);
  const access = await openAccess(flags);
  const progress = createProgressLine({
    write: (text) => void process.stderr.write(text),
    isTerminal: process.stderr.isTTY,
    clock: systemClock,
    unit: "rows",
  });
  try {
    const asset = flags.asset ?? onlyAsset(access.assets);
    await rejects.clear();
    const summary = await importRows({
      client: access,
      rows: readCsv(file),
      asset,
      batchSize: flags.batchSize,
      timeoutSeconds: flags.timeout,
      clock: systemClock,
      onReject: (rejected) => rejects.add(rejected),
      onProgress: ({ rows, bytes }) => progress.update(rows, bytes / size),
    });
    progress.end();
    const rejectsFile = await rejects.close();
    process.stdout.write(
      flags.json ? `${JSON.stringify({ ...summary, rejectsFile })}\n` : importTable(summary, rejectsFile),
    );
    return 0;
  } finally {
    progress.end();
    await rejects.close();
    await access.close();
  }
}

/** The asset that needs no flag: the ledger's only one. @throws OperatorError USAGE */
function onlyAsset(assets: readonly string[] | undefined): string {
  const [only, ...others] = assets ?? [];
  if (only !== undefined && others.length === 0) return only;
  const choice = assets === undefined ? "" : `; the ledger keeps ${assets.join(", ")}`;
  throw new OperatorError("USAGE", `name the asset of the amounts with --asset${choice}`);
}

async function fileSize(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (cause) {
    throw new OperatorError("FILE_UNREADABLE", `${file}: ${(cause as Error).message}`, { cause });
  }
}

/** Made with the first rejected row; an older one is removed, so that none means: nothing was rejected. */
function createRejectsFile(path: string): {
  clear(): Promise<void>;
  add(rejected: BrokenRow): void;
  /** @returns its path, when there is one */
  close(): Promise<string | undefined>;
} {
  let stream: WriteStream | undefined;
  let closed = false;
  return {
    clear: () => rm(path, { force: true }),
    add: ({ line, id, code, reason }) => {
      if (stream === undefined) {
        stream = createWriteStream(path);
        stream.write("line,id,code,reason\n");
      }
      stream.write(`${line},${quote(id)},${code},${quote(reason)}\n`);
    },
    close: async () => {
      if (stream === undefined) return undefined;
      if (!closed) {
        closed = true;
        stream.end();
        await finished(stream);
      }
      return path;
    },
  };
}

function quote(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The table that ends an import. */
export function importTable(summary: ImportSummary, rejectsFile: string | undefined): string {
  const count = (value: number): string => value.toLocaleString("en");
  const rejected = Object.entries(summary.rejected).sort(([a], [b]) => (a < b ? -1 : 1));
  return formatTable([
    ["rows", count(summary.rows)],
    ["posted", count(summary.posted)],
    ["already there", count(summary.alreadyThere)],
    ...rejected.map(([code, rows]): [string, string] => [`rejected ${code}`, count(rows)]),
    ...summary.shards.map((shard): [string, string] => [
      `shard ${shard.shard}`,
      `${count(shard.posted + shard.alreadyThere)} rows`,
    ]),
    ["rate", `${count(Math.round(summary.rowsPerSecond))} rows/s`],
    ["longest pause of writes", `${summary.longestPauseSeconds.toFixed(1)} s`],
    ...(rejectsFile === undefined ? [] : [["rejected rows in", rejectsFile] as [string, string]]),
  ]);
}
