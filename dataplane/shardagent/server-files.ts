import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Machine } from "./machine.ts";
import type { AgentConfig } from "./shardagent.config.ts";
import { type ConfigInput, renderHba, renderIdent, renderPostgresqlConf } from "./shardagent.config-files.ts";

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

/** What the configuration depends on beside the agent's own. */
export interface ServerConditions {
  readonly machine: Machine;
  /** Why writes are refused; absent while they are accepted. */
  readonly writesRefused?: string;
}

/** What the configuration files are rendered from. */
export function configInput(config: AgentConfig, conditions: ServerConditions): ConfigInput {
  const { confDir, tlsDir } = serverPaths(config.runtimeDir);
  return {
    clusterName: `${config.shardset}-${config.shard}`,
    port: config.postgresPort,
    socketDir: config.runtimeDir,
    hbaFile: join(confDir, HBA_FILE),
    identFile: join(confDir, IDENT_FILE),
    certFile: join(tlsDir, "tls.crt"),
    keyFile: join(tlsDir, "tls.key"),
    parameters: config.parameters,
    ...conditions,
  };
}

/** Text of postgresql.conf. @throws OperatorError CONFIG_INVALID for parameters that cannot be used */
export function postgresqlConf(config: AgentConfig, conditions: ServerConditions): string {
  return renderPostgresqlConf(configInput(config, conditions));
}

/**
 * Writes the server's configuration files anew, each as a whole: a server may read them at any moment.
 * @throws OperatorError CONFIG_INVALID for parameters that cannot be used
 */
export async function writeServerFiles(config: AgentConfig, conditions: ServerConditions): Promise<void> {
  const { confDir, configFile } = serverPaths(config.runtimeDir);
  const input = configInput(config, conditions);
  const text = postgresqlConf(config, conditions);
  await mkdir(confDir, { recursive: true, mode: 0o700 });
  for (const [path, content] of [
    [input.hbaFile, renderHba()],
    [input.identFile, renderIdent()],
    [configFile, text],
  ] as const) {
    await writeFile(`${path}.new`, content, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
}
