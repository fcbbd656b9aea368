/**
 * Settings of the agent's sessions in a database of a tenant. Its owner may set most of them for all sessions
 * (`ALTER DATABASE ... SET`), the superuser's too; what a client sends at its start stands above that. The time limits
 * and the search path, which every client of ours sends, are not repeated here.
 */
export const TENANT_SESSION: Readonly<Record<string, string>> = {
  // A library that does not exist ends every session at its start.
  local_preload_libraries: "",
  // Otherwise the agent would work with a tenant's rights.
  role: "none",
  default_transaction_read_only: "off",
  default_transaction_isolation: "read committed",
  default_transaction_deferrable: "off",
  transaction_timeout: "0",
  idle_session_timeout: "0",
  // The map is what the guard stands on: it must outlast a crash.
  synchronous_commit: "on",
  // How text is read and written, for the driver's quoting and parsing.
  standard_conforming_strings: "on",
  datestyle: "iso, ymd",
  bytea_output: "hex",
  array_nulls: "on",
  transform_null_equals: "off",
  quote_all_identifiers: "off",
  // A superuser passes anyway; "off" would make errors of policies.
  row_security: "on",
  default_tablespace: "",
  default_table_access_method: "heap",
};
