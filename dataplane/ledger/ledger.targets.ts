/** From flags to addresses of the shards' databases. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../../lib/core/errors.ts";
import type { PostgresTarget } from "../../lib/node/postgres.ts";
import { splitLedger } from "./ledger.config.ts";

export type RoleKind = "owner" | "writer" | "reader";

/** The part of the flags that says where the databases are. */
export interface ConnectionFlags {
  readonly ledger: string;
  readonly shardset: string;
  readonly database: string;
  readonly postgresCaDir: string;
  readonly rolesDir: string;
  readonly postgresHostTemplate: string;
  readonly postgresPortBase?: number | undefined;
}

const POSTGRES_PORT = 5432;

/** Name of a ledger's role. */
export function roleName(database: string, kind: RoleKind): string {
  return `${database}_${kind}`;
}

/** Makes targets for one role. The password is read at each connection, so a changed Secret is picked up. */
export async function createTargets(
  flags: ConnectionFlags,
  kind: RoleKind,
  applicationName: string,
): Promise<(shard: number) => PostgresTarget> {
  const caPem = await readText(join(flags.postgresCaDir, "ca.crt"));
  const passwordFile = join(flags.rolesDir, `${kind}-password`);
  const { namespace } = splitLedger(flags.ledger);
  return (shard) => ({
    address: {
      host: flags.postgresHostTemplate
        .replaceAll("{shardset}", flags.shardset)
        .replaceAll("{shard}", String(shard))
        .replaceAll("{namespace}", namespace),
      port: flags.postgresPortBase === undefined ? POSTGRES_PORT : flags.postgresPortBase + shard,
      caPem,
    },
    database: flags.database,
    user: roleName(flags.database, kind),
    password: async () => (await readText(passwordFile)).trim(),
    applicationName,
  });
}

/** Reads a mounted file. @throws OperatorError FILE_UNREADABLE */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new OperatorError("FILE_UNREADABLE", `${path}: ${(cause as Error).message}`, { cause });
  }
}
