/** `shieldx ledger import FILE`: the first pass, then the posting, the rejects file and what is told at the end. */
import { resolve } from "node:path";
import { z } from "zod";
import { systemClock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { BULK_ITEMS_MAX } from "./api-schema.ts";
import { type CheckedFile, checkFile } from "./import/first-pass.ts";
import { fileFlags, firstPassOptions } from "./import/import-options.ts";
import { previewOf } from "./import/preview.ts";
import { openRejects, type RejectsFile } from "./import/rejects.ts";
import { createRowKeys } from "./import/row-keys.ts";
import { openSource, rejectsBeside, type Source } from "./import/source.ts";
import { exitCodeOf, importTable, nextSteps } from "./import/summary.ts";
import { type LedgerAccess, openAccess } from "./ledger.access.ts";
import { importRows } from "./ledger.import.ts";
import type { AssetDefinition } from "./ledger.migrate.ts";
import { createProgressLine, type ProgressLine } from "./progress.ts";
import { ASSET_CODE } from "./transfer-parser.ts";

/** Most decimal places of an asset. */
const SCALE_MAX = 15;

export const importFlags = z.strictObject({
  ledger: z.string().optional(),
  url: z.string().optional(),
  caFile: z.string().optional(),
  keyFile: z.string().optional(),
  kubeconfig: z.string().optional(),
  context: z.string().optional(),
  asset: z.string().regex(ASSET_CODE, "is not an asset code").optional(),
  scale: z.coerce.number().int().min(0).max(SCALE_MAX).optional(),
  ...fileFlags,
  source: z.string().optional(),
  retry: z.boolean().default(false),
  rejects: z.string().optional(),
  force: z.boolean().default(false),
  dryRun: z.boolean().default(false),
  batchSize: z.coerce.number().int().min(1).max(BULK_ITEMS_MAX).default(500),
  timeout: z.coerce.number().int().min(1).max(86_400).default(120),
  json: z.boolean().default(false),
});
export type ImportFlags = z.output<typeof importFlags>;

/** @returns the exit code: 0 when every row is in the ledger, 3 when rows were refused */
export async function importCommand(file: string, flags: ImportFlags): Promise<number> {
  const keys = createRowKeys(flags.source);
  if (flags.rejects !== undefined && resolve(flags.rejects) === resolve(file)) {
    throw new OperatorError("USAGE", "--rejects names the file that is imported: it would be lost");
  }
  const source = await openSource(file);
  const access = await openAccess(flags);
  try {
    const { code: asset, scale } = assetOf(access.assets, flags);
    const options = firstPassOptions(flags, { asset, scale, idMax: keys.idMax });
    const checked = await withProgress("rows read", (progress) =>
      checkFile(source.chunks, {
        ...options,
        onProgress: ({ rows, bytes }) => progress.update(rows, source.size === undefined ? 0 : bytes / source.size),
      }),
    );
    try {
      for (const note of checked.notes) process.stderr.write(`${source.name}: ${note}\n`);
      if (flags.dryRun) {
        process.stdout.write(previewOf(checked, { asset, scale }));
        return 0;
      }
      return await post({ file, flags, source, access, checked, asset, keys });
    } finally {
      checked.close();
    }
  } finally {
    await access.close();
  }
}

interface Posting {
  readonly file: string;
  readonly flags: ImportFlags;
  readonly source: Source;
  readonly access: LedgerAccess;
  readonly checked: CheckedFile;
  readonly asset: string;
  readonly keys: ReturnType<typeof createRowKeys>;
}

async function post({ file, flags, access, checked, asset, keys }: Posting): Promise<number> {
  const rejects = openRejects({ named: flags.rejects, usual: rejectsBeside(file), force: flags.force }, checked);
  const ended = keepOnSignals(rejects);
  try {
    const summary = await withProgress("rows", (progress) =>
      importRows({
        client: access,
        rows: checked.read(),
        keys,
        asset,
        retry: flags.retry,
        batchSize: flags.batchSize,
        timeoutSeconds: flags.timeout,
        clock: systemClock,
        onReject: (rejected) => rejects.add(rejected),
        onProgress: ({ rows }) => progress.update(rows, rows / checked.rows),
      }),
    );
    const rejectsFile = rejects.close();
    const next = nextSteps(summary, rejectsFile);
    if (flags.json) process.stdout.write(`${JSON.stringify({ ...summary, rejectsFile, next })}\n`);
    else process.stdout.write(importTable(summary, rejectsFile));
    for (const line of next) process.stderr.write(`${line}\n`);
    return exitCodeOf(summary);
  } finally {
    ended();
    rejects.close();
  }
}

/** Rows that were refused so far stay known when the user ends the import. */
function keepOnSignals(rejects: RejectsFile): () => void {
  const onSignal = (name: NodeJS.Signals): void => {
    rejects.close();
    process.exit(name === "SIGINT" ? 130 : 143);
  };
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  return () => {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  };
}

async function withProgress<T>(unit: string, work: (progress: ProgressLine) => Promise<T>): Promise<T> {
  const progress = createProgressLine({
    write: (text) => void process.stderr.write(text),
    isTerminal: process.stderr.isTTY,
    clock: systemClock,
    unit,
  });
  try {
    return await work(progress);
  } finally {
    progress.end();
  }
}

/** The asset that was named, or the ledger's only one. @throws OperatorError USAGE */
function assetOf(
  assets: readonly AssetDefinition[] | undefined,
  flags: ImportFlags,
): { code: string; scale: number | undefined } {
  const [only, ...others] = assets ?? [];
  const code = flags.asset ?? (others.length === 0 ? only?.code : undefined);
  if (code === undefined) {
    const choice = assets === undefined ? "" : `; the ledger keeps ${assets.map((asset) => asset.code).join(", ")}`;
    throw new OperatorError("USAGE", `name the asset of the amounts with --asset${choice}`);
  }
  const known = assets?.find((asset) => asset.code === code)?.scale;
  if (known !== undefined && flags.scale !== undefined && flags.scale !== known) {
    throw new OperatorError("USAGE", `--scale ${flags.scale}: ${code} has ${known} decimals in this ledger`);
  }
  return { code, scale: known ?? flags.scale };
}
