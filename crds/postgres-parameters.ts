/**
 * PostgreSQL settings that the shard agent owns. The schema refuses them, so that a ShardSet cannot make a shard
 * unreachable, unsafe (durability), or talkative (payment data in a log).
 */
export const FORBIDDEN_PARAMETERS: readonly string[] = [
  // where the server listens and what it reads
  "listen_addresses",
  "port",
  "data_directory",
  "config_file",
  "hba_file",
  "ident_file",
  "external_pid_file",
  "include",
  "include_dir",
  "include_if_exists",
  "cluster_name",
  // who may come in
  "password_encryption",
  "authentication_timeout",
  "scram_iterations",
  "row_security",
  "allow_system_table_mods",
  "allow_alter_system",
  // acknowledged means durable
  "fsync",
  "full_page_writes",
  "synchronous_commit",
  "wal_level",
  "wal_sync_method",
  "wal_log_hints",
  "data_sync_retry",
  "restart_after_crash",
  "ignore_checksum_failure",
  "ignore_invalid_pages",
  "ignore_system_indexes",
  "zero_damaged_pages",
  // replication and recovery
  "hot_standby",
  "primary_conninfo",
  "primary_slot_name",
  "synchronous_standby_names",
  "restore_command",
  "default_transaction_read_only",
  "transaction_read_only",
  // code that the server loads
  "dynamic_library_path",
  "jit_provider",
  "local_preload_libraries",
  "session_preload_libraries",
  "shared_preload_libraries",
  // where the log goes; what goes into it is under the prefixes
  "logging_collector",
];

/** Families of such settings, by the start of their names. */
export const FORBIDDEN_PARAMETER_PREFIXES: readonly string[] = [
  "archive_",
  "bonjour",
  "debug_",
  "event_source",
  "gss_",
  "krb_",
  "log_",
  "recovery_",
  "ssl",
  "syslog_",
  "unix_socket_",
];

/** True for a setting that a ShardSet must not touch. */
export function isForbiddenParameter(name: string): boolean {
  return FORBIDDEN_PARAMETERS.includes(name) || FORBIDDEN_PARAMETER_PREFIXES.some((prefix) => name.startsWith(prefix));
}
