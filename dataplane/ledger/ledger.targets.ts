/** From flags to addresses of the shards' databases. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../../lib/core/clock.ts";
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

/** Makes targets for one role. Password and CA bundle are read at each connection, so changed Secrets are picked up. */
export async function createTargets(
  flags: ConnectionFlags,
  kind: RoleKind,
  applicationName: string,
): Promise<(shard: number) => PostgresTarget> {
  const caPem = await trustedCa(join(flags.postgresCaDir, "ca.crt"), systemClock);
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

/** A bundle is read again after this time: it changes minutes before a certificate does. */
const CA_CHECK_MS = 5_000;

/**
 * The CA bundle in a mounted file, for each new connection. While the file cannot be read, what was in it stays in use: it
 * is asked for in the midst of connecting, where nobody could catch a failure.
 * @throws OperatorError FILE_UNREADABLE when it cannot be read at first
 */
export async function trustedCa(path: string, clock: Pick<Clock, "monotonic">): Promise<() => string> {
  let text = await readText(path);
  let readAt = clock.monotonic();
  return () => {
    if (clock.monotonic() - readAt < CA_CHECK_MS) return text;
    readAt = clock.monotonic();
    try {
      text = readFileSync(path, "utf8") || text;
    } catch {
      // The next connection tries again.
    }
    return text;
  };
}

/** Reads a mounted file. @throws OperatorError FILE_UNREADABLE */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new OperatorError("FILE_UNREADABLE", `${path}: ${(cause as Error).message}`, { cause });
  }
}
