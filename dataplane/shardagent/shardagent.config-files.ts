import { isForbiddenParameter } from "../../crds/postgres-parameters.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { WRITES_REFUSED_SETTING } from "../../lib/node/postgres.ts";
import { derivedSettings, requireMemoryFits } from "./derived-settings.ts";
import type { Machine } from "./machine.ts";

// The text of PostgreSQL's configuration files. They are written anew at each start and live outside the data
// directory: what the server runs with follows from the pod's spec and the machine alone, never from what an earlier run
// left behind.

/** What the files depend on. */
export interface ConfigInput {
  /** Shown in process titles, for example `bank-0`. */
  readonly clusterName: string;
  readonly port: number;
  /** Directory of the Unix socket. */
  readonly socketDir: string;
  readonly hbaFile: string;
  readonly identFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Settings of the user; names and values are checked again here. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly machine: Machine;
  /** Why writes are refused, as clients are told; absent while they are accepted. */
  readonly writesRefused?: string;
}

/** The one superuser: it logs in over the Unix socket only, as the operating system's user of the same name. */
export const SUPERUSER = "postgres";

/**
 * Defaults for a small pod (256 MiB), each of which the user may change; what follows from the machine is in
 * derived-settings.ts. PostgreSQL's own defaults assume a machine of its own.
 */
const DEFAULTS: Readonly<Record<string, string>> = {
  max_connections: "100",
  // Keeps the agent in when applications have taken all connections.
  superuser_reserved_connections: "5",
  // A node may have huge pages that this container may not use: PostgreSQL would get them and be ended by a SIGBUS.
  huge_pages: "off",
  maintenance_work_mem: "32MB",
  autovacuum_max_workers: "2",
  wal_compression: "lz4",
  checkpoint_timeout: "5min",
  checkpoint_completion_target: "0.9",
  random_page_cost: "1.1",
  // Just-in-time compilation costs 100 MB and more per connection, and its library is not in the image.
  jit: "off",
  // A client that forgot its transaction holds back vacuum and locks.
  idle_in_transaction_session_timeout: "5min",
  // Dead peers are noticed in a minute instead of two hours.
  tcp_keepalives_idle: "30",
  tcp_keepalives_interval: "10",
  tcp_keepalives_count: "3",
  client_connection_check_interval: "10s",
  timezone: "UTC",
  datestyle: "iso, ymd",
  default_text_search_config: "pg_catalog.simple",
  // What a slow shard is explained with. The text of a slow statement is logged, the values of its parameters never.
  log_min_duration_statement: "1s",
  log_lock_waits: "on",
  log_checkpoints: "on",
  log_connections: "off",
};

/** What nobody may change, because reachability, durability or secrecy hangs on it. */
function owned(input: ConfigInput): Readonly<Record<string, string>> {
  return {
    cluster_name: input.clusterName,
    listen_addresses: "*",
    port: String(input.port),
    unix_socket_directories: input.socketDir,
    unix_socket_permissions: "0700",
    hba_file: input.hbaFile,
    ident_file: input.identFile,
    // Only the pod's spec configures the server (PostgreSQL 17).
    allow_alter_system: "off",
    ssl: "on",
    ssl_min_protocol_version: "TLSv1.3",
    ssl_cert_file: input.certFile,
    ssl_key_file: input.keyFile,
    password_encryption: "scram-sha-256",
    // Acknowledged means durable.
    fsync: "on",
    full_page_writes: "on",
    synchronous_commit: "on",
    wal_level: "replica",
    shared_preload_libraries: "pg_stat_statements",
    // Utility statements are kept with their text, and with it the verifiers of passwords.
    "pg_stat_statements.track_utility": "off",
    // The log may be read by many: parameters, statements that failed and the DETAIL of errors quote payment data.
    logging_collector: "off",
    log_destination: "stderr",
    log_timezone: "UTC",
    log_line_prefix: "%m [%p] %q%u@%d ",
    log_statement: "none",
    log_min_error_statement: "panic",
    log_parameter_max_length: "0",
    log_parameter_max_length_on_error: "0",
    log_error_verbosity: "terse",
  };
}

const PARAMETER_NAME = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$/;

/** Control characters: a line break in a value would begin another setting. */
const CONTROL = /[\x00-\x1f\x7f]/;

/**
 * Text of postgresql.conf.
 * @throws OperatorError CONFIG_INVALID for a parameter that the agent owns, or a name or value that is none
 */
export function renderPostgresqlConf(input: ConfigInput): string {
  const fixed = owned(input);
  for (const [name, value] of Object.entries(input.parameters)) {
    if (!PARAMETER_NAME.test(name)) {
      throw new OperatorError("CONFIG_INVALID", `"${name}" is not the name of a PostgreSQL parameter`);
    }
    if (isForbiddenParameter(name) || name in fixed) {
      throw new OperatorError("CONFIG_INVALID", `parameter ${name} belongs to the shard agent and cannot be set`);
    }
    if (CONTROL.test(value)) {
      throw new OperatorError("CONFIG_INVALID", `the value of parameter ${name} contains a control character`);
    }
  }
  requireMemoryFits(input.machine, input.parameters);
  const settings = effectiveSettings(input);
  const lines = Object.entries(settings)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name} = ${quote(value)}`);
  return `# Written by the shard agent at each start. Changes are lost.\n${lines.join("\n")}\n`;
}

/** All settings by name: defaults, then the user's, then what belongs to the agent. */
export function effectiveSettings(input: ConfigInput): Record<string, string> {
  const { machine, parameters, writesRefused } = input;
  return {
    ...DEFAULTS,
    ...derivedSettings(machine, parameters),
    ...parameters,
    ...owned(input),
    ...(writesRefused === undefined
      ? {}
      : { default_transaction_read_only: "on", [WRITES_REFUSED_SETTING]: writesRefused }),
  };
}

/**
 * Text of pg_hba.conf. The first matching line decides; what matches none is refused. So: the superuser over the socket
 * only, everybody else over TLS with SCRAM only, and no plaintext at all.
 */
export function renderHba(): string {
  return [
    "# TYPE  DATABASE  USER      ADDRESS  METHOD",
    `local   all       ${SUPERUSER}           peer`,
    `host    all       ${SUPERUSER}  all      reject`,
    "host    replication all    all      reject",
    "hostssl all       all       all      scram-sha-256",
    "",
  ].join("\n");
}

/** Text of pg_ident.conf: nobody may log in under another name than the operating system's. */
export function renderIdent(): string {
  return "# No user name maps.\n";
}

function quote(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}
