/** Flags and environment of the ledger's processes as one frozen object each. */
import { z } from "zod";
import { OperatorError } from "../../lib/core/errors.ts";
import type { AssetDefinition } from "./ledger.migrate.ts";

/** Where the shards' databases are, whoever connects. */
const connectionShape = {
  /** namespace/name */
  ledger: z.string().regex(/^[a-z0-9-]+\/[a-z0-9-]+$/, "must be namespace/name"),
  shardset: z.string().regex(/^[a-z0-9-]+$/),
  shards: z.coerce.number().int().min(1).max(1024),
  database: z.string().regex(/^[a-z][a-z0-9_]{0,55}$/),
  postgresCaDir: z.string().default("/etc/shieldx/postgres-ca"),
  rolesDir: z.string().default("/etc/shieldx/roles"),
  postgresHostTemplate: z.string().default("{shardset}-{shard}.{namespace}.svc"),
  postgresPortBase: z.coerce.number().int().min(1).max(65_535).optional(),
  assets: z.string().transform(parseAssets),
};

/** Of `shieldx ledger serve`. */
export const serveFlags = z.strictObject({
  ...connectionShape,
  listen: z.coerce.number().int().min(0).max(65_535).default(8443),
  /** Plain HTTP of `/metrics` alone; none without it. */
  metricsListen: z.coerce.number().int().min(0).max(65_535).optional(),
  probeListen: z.coerce.number().int().min(0).max(65_535).default(8080),
  listenHost: z.string().optional(),
  tlsDir: z.string().default("/etc/shieldx/tls"),
  snapshotEvery: z.coerce.number().int().min(2).max(100_000).default(100),
  local: z.boolean().default(false),
  logLevel: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
});
export type ServeFlags = z.output<typeof serveFlags>;

/** Of `shieldx ledger migrate`. */
export const migrateFlags = z.strictObject({
  ...connectionShape,
  adminKeyFile: z.string().default("/etc/shieldx/admin-key/key"),
  waitSeconds: z.coerce.number().int().min(0).max(3_600).default(300),
  logLevel: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
});
export type MigrateFlags = z.output<typeof migrateFlags>;

/** What a pod knows of itself, from the downward API. */
const podShape = z.object({
  SHIELDX_NAMESPACE: z.string().min(1),
  SHIELDX_POD_NAME: z.string().min(1),
  SHIELDX_POD_UID: z.string().min(1),
  SHIELDX_POD_IP: z.string().min(1),
});

export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly ip: string;
}

/** @throws OperatorError CONFIG_INVALID */
export function parseFlags<T extends z.ZodType>(schema: T, flags: unknown): z.output<T> {
  const parsed = schema.safeParse(flags);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new OperatorError(
    "CONFIG_INVALID",
    `--${flagName(String(issue?.path[0] ?? ""))}: ${issue?.message ?? "invalid"}`,
  );
}

function flagName(member: string): string {
  return member.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** @throws OperatorError CONFIG_INVALID */
export function podIdentity(environment: Readonly<Record<string, string | undefined>>): PodIdentity {
  const parsed = podShape.safeParse(environment);
  if (!parsed.success) {
    throw new OperatorError("CONFIG_INVALID", `variable ${String(parsed.error.issues[0]?.path[0])} is not set`);
  }
  const {
    SHIELDX_NAMESPACE: namespace,
    SHIELDX_POD_NAME: name,
    SHIELDX_POD_UID: uid,
    SHIELDX_POD_IP: ip,
  } = parsed.data;
  return { namespace, name, uid, ip };
}

/** "CZK:2,EUR:2" */
function parseAssets(text: string, context: z.RefinementCtx): AssetDefinition[] {
  const assets = text.split(",").map((part) => {
    const match = /^([A-Z][A-Z0-9_]{1,15}):(\d{1,2})$/.exec(part);
    if (match === null) context.addIssue({ code: "custom", message: `"${part}" is not CODE:SCALE` });
    return { code: match?.[1] ?? "", scale: Number(match?.[2]) };
  });
  return assets;
}

/** Splits "namespace/name". */
export function splitLedger(ledger: string): { namespace: string; name: string } {
  const [namespace, name] = ledger.split("/") as [string, string];
  return { namespace, name };
}
