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
  // texts of statements with passwords in them
  "pg_stat_statements.track_utility",
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
  "shieldx.",
  "unix_socket_",
];

/** Settings of such a family that a ShardSet may choose: they say when something is logged, not what. */
export const ALLOWED_PARAMETERS: readonly string[] = [
  "log_autovacuum_min_duration",
  "log_checkpoints",
  "log_connections",
  "log_disconnections",
  "log_lock_waits",
  "log_min_duration_statement",
  "log_temp_files",
];

/** True for a setting that a ShardSet must not touch. */
export function isForbiddenParameter(name: string): boolean {
  if (ALLOWED_PARAMETERS.includes(name)) return false;
  return FORBIDDEN_PARAMETERS.includes(name) || FORBIDDEN_PARAMETER_PREFIXES.some((prefix) => name.startsWith(prefix));
}

const NUMBER = "[-+]?(0[xX][0-9a-fA-F]+|[0-9.]+([eE][-+]?[0-9]+)?)";

/** Settings whose value is an amount with a unit (PostgreSQL 17), and how PostgreSQL reads it: the case of units counts. */
export const AMOUNTS: readonly {
  readonly units: string;
  readonly pattern: RegExp;
  readonly names: readonly string[];
}[] = [
  {
    units: "B, kB, MB, GB or TB",
    pattern: new RegExp(`^ *${NUMBER} *(B|kB|MB|GB|TB)? *$`),
    names: [
      "autovacuum_work_mem",
      "backend_flush_after",
      "bgwriter_flush_after",
      "checkpoint_flush_after",
      "commit_timestamp_buffers",
      "effective_cache_size",
      "gin_pending_list_limit",
      "io_combine_limit",
      "logical_decoding_work_mem",
      "maintenance_work_mem",
      "max_slot_wal_keep_size",
      "max_stack_depth",
      "max_wal_size",
      "min_dynamic_shared_memory",
      "min_parallel_index_scan_size",
      "min_parallel_table_scan_size",
      "min_wal_size",
      "multixact_member_buffers",
      "multixact_offset_buffers",
      "notify_buffers",
      "serializable_buffers",
      "shared_buffers",
      "subtransaction_buffers",
      "temp_buffers",
      "temp_file_limit",
      "track_activity_query_size",
      "transaction_buffers",
      "vacuum_buffer_usage_limit",
      "wal_buffers",
      "wal_decode_buffer_size",
      "wal_keep_size",
      "wal_skip_threshold",
      "wal_writer_flush_after",
      "work_mem",
    ],
  },
  {
    units: "us, ms, s, min, h or d",
    pattern: new RegExp(`^ *${NUMBER} *(us|ms|s|min|h|d)? *$`),
    names: [
      "autovacuum_naptime",
      "autovacuum_vacuum_cost_delay",
      "bgwriter_delay",
      "checkpoint_timeout",
      "checkpoint_warning",
      "client_connection_check_interval",
      "deadlock_timeout",
      "idle_in_transaction_session_timeout",
      "idle_session_timeout",
      "lock_timeout",
      "statement_timeout",
      "tcp_keepalives_idle",
      "tcp_keepalives_interval",
      "tcp_user_timeout",
      "transaction_timeout",
      "vacuum_cost_delay",
      "wal_summary_keep_time",
      "wal_writer_delay",
    ],
  },
];
