import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AgentConfig } from "./shardagent.config.ts";
import { renderHba, renderIdent, renderPostgresqlConf } from "./shardagent.config-files.ts";

/** Where the server's files are, all below the runtime directory, which is gone with the pod. */
export interface ServerPaths {
  readonly confDir: string;
  readonly configFile: string;
  /** Certificate and key. */
  readonly tlsDir: string;
}

const HBA_FILE = "pg_hba.conf";
const IDENT_FILE = "pg_ident.conf";

/** @param runtimeDir also the directory of the socket */
export function serverPaths(runtimeDir: string): ServerPaths {
  const confDir = join(runtimeDir, "conf");
  return { confDir, configFile: join(confDir, "postgresql.conf"), tlsDir: join(runtimeDir, "tls") };
}

/**
 * Text of postgresql.conf with these settings of the spec.
 * @throws OperatorError CONFIG_INVALID for parameters that cannot be used
 */
export function postgresqlConf(config: AgentConfig, parameters = config.parameters): string {
  const { confDir, tlsDir } = serverPaths(config.runtimeDir);
  return renderPostgresqlConf({
    clusterName: `${config.shardset}-${config.shard}`,
    port: config.postgresPort,
    socketDir: config.runtimeDir,
    hbaFile: join(confDir, HBA_FILE),
    identFile: join(confDir, IDENT_FILE),
    certFile: join(tlsDir, "tls.crt"),
    keyFile: join(tlsDir, "tls.key"),
    parameters,
  });
}

/** Writes the server's configuration files anew. @throws OperatorError CONFIG_INVALID for parameters that cannot be used */
export async function writeServerFiles(config: AgentConfig): Promise<void> {
  const { confDir, configFile } = serverPaths(config.runtimeDir);
  const text = postgresqlConf(config);
  await mkdir(confDir, { recursive: true, mode: 0o700 });
  await writeFile(join(confDir, HBA_FILE), renderHba(), { mode: 0o600 });
  await writeFile(join(confDir, IDENT_FILE), renderIdent(), { mode: 0o600 });
  await writeFile(configFile, text, { mode: 0o600 });
}
