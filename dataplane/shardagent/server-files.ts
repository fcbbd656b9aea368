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

/** @param runtimeDir also the directory of the socket */
export function serverPaths(runtimeDir: string): ServerPaths {
  const confDir = join(runtimeDir, "conf");
  return { confDir, configFile: join(confDir, "postgresql.conf"), tlsDir: join(runtimeDir, "tls") };
}

/** Writes the server's configuration files anew. @throws OperatorError CONFIG_INVALID for parameters that cannot be used */
export async function writeServerFiles(config: AgentConfig): Promise<void> {
  const { confDir, configFile, tlsDir } = serverPaths(config.runtimeDir);
  const hbaFile = join(confDir, "pg_hba.conf");
  const identFile = join(confDir, "pg_ident.conf");
  const text = renderPostgresqlConf({
    clusterName: `${config.shardset}-${config.shard}`,
    port: config.postgresPort,
    socketDir: config.runtimeDir,
    hbaFile,
    identFile,
    certFile: join(tlsDir, "tls.crt"),
    keyFile: join(tlsDir, "tls.key"),
    parameters: config.parameters,
  });
  await mkdir(confDir, { recursive: true, mode: 0o700 });
  await writeFile(hbaFile, renderHba(), { mode: 0o600 });
  await writeFile(identFile, renderIdent(), { mode: 0o600 });
  await writeFile(configFile, text, { mode: 0o600 });
}
