/** The process whose `/metrics` shows a metric. */
export type MetricProcess = "controller" | "ledger" | "shard-agent";

/** What a metric is, before any library: name, type, labels and the sentence of its HELP line. */
export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  readonly process: MetricProcess;
  readonly help: string;
  readonly labels: readonly string[];
}

function metric<Type extends MetricDefinition["type"]>(
  type: Type,
  process: MetricProcess,
  text: { readonly help: string; readonly labels?: readonly string[] },
): MetricDefinition & { readonly type: Type } {
  return { type, process, help: text.help, labels: text.labels ?? [] };
}

/**
 * Every metric of the product, in one place; `docs/reference/metrics.md` is printed from it. The controller's names are
 * those of controller-runtime and client-go, so that existing dashboards work; the names of the original system are
 * kept as they were. No label ever holds an account, an amount or a secret.
 */
export const METRICS = {
  // --- controller: reconciles ---
  controller_runtime_reconcile_total: metric("counter", "controller", {
    help: "Reconciles by outcome: success, error, requeue or requeue_after.",
    labels: ["controller", "result"],
  }),
  controller_runtime_reconcile_errors_total: metric("counter", "controller", {
    help: "Reconciles that failed.",
    labels: ["controller"],
  }),
  controller_runtime_terminal_reconcile_errors_total: metric("counter", "controller", {
    help: "Reconciles that failed in a way that only a change of input heals.",
    labels: ["controller"],
  }),
  controller_runtime_reconcile_panics_total: metric("counter", "controller", {
    help: "Reconciles that broke an invariant of the program.",
    labels: ["controller"],
  }),
  controller_runtime_reconcile_timeouts_total: metric("counter", "controller", {
    help: "Reconciles that ran into their deadline.",
    labels: ["controller"],
  }),
  controller_runtime_reconcile_time_seconds: metric("histogram", "controller", {
    help: "Duration of reconciles.",
    labels: ["controller"],
  }),
  controller_runtime_max_concurrent_reconciles: metric("gauge", "controller", {
    help: "Keys that may be reconciled at once.",
    labels: ["controller"],
  }),
  controller_runtime_active_workers: metric("gauge", "controller", {
    help: "Keys that are being reconciled.",
    labels: ["controller"],
  }),

  // --- controller: work queue ---
  workqueue_depth: metric("gauge", "controller", {
    help: "Keys that wait in the queue.",
    labels: ["name", "controller", "priority"],
  }),
  workqueue_adds_total: metric("counter", "controller", {
    help: "Keys that were added to the queue.",
    labels: ["name", "controller"],
  }),
  workqueue_queue_duration_seconds: metric("histogram", "controller", {
    help: "Time that a key waited before its reconcile.",
    labels: ["name", "controller"],
  }),
  workqueue_work_duration_seconds: metric("histogram", "controller", {
    help: "Time that a key was worked on.",
    labels: ["name", "controller"],
  }),
  workqueue_unfinished_work_seconds: metric("gauge", "controller", {
    help: "Seconds of work in progress that no finished reconcile accounts for yet.",
    labels: ["name", "controller"],
  }),
  workqueue_longest_running_processor_seconds: metric("gauge", "controller", {
    help: "Age of the longest running reconcile.",
    labels: ["name", "controller"],
  }),
  workqueue_retries_total: metric("counter", "controller", {
    help: "Keys that were added again after a failure.",
    labels: ["name", "controller"],
  }),

  shieldx_queue_delayed_keys: metric("gauge", "controller", {
    help: "Keys that wait for their time: a retry, a look that was asked for, or their pace.",
    labels: ["controller"],
  }),
  shieldx_reconciles_paced_total: metric("counter", "controller", {
    help: "Times that a key was held back because it ran too often of late. It rises all the time: a loop that wakes itself.",
    labels: ["controller"],
  }),

  // --- controller: Kubernetes client and leader election ---
  rest_client_requests_total: metric("counter", "controller", {
    help: "Requests to the Kubernetes API by status code and method.",
    labels: ["code", "method", "host"],
  }),
  rest_client_request_duration_seconds: metric("histogram", "controller", {
    help: "Latency of requests to the Kubernetes API.",
    labels: ["verb", "host"],
  }),
  rest_client_rate_limiter_duration_seconds: metric("histogram", "controller", {
    help: "Time that requests waited in this process for their turn: for a connection, or because the API server asked to slow down.",
    labels: ["verb", "host"],
  }),
  shieldx_urgent_request_duration_seconds: metric("histogram", "controller", {
    help: "Time from the wish to the answer of requests that wait for nobody, renewals of the Lease above all. The Lease ends 10 seconds after the last renewal that was answered.",
    labels: ["verb"],
  }),
  leader_election_master_status: metric("gauge", "controller", {
    help: "1 in the replica that leads, 0 in the others.",
    labels: ["name"],
  }),
  shieldx_other_installations: metric("gauge", "controller", {
    help: "Live installations of the operator that want a namespace which this one serves, as the replica with the Lease sees them. Above 0: one of them waits; uninstall one, or give them other watchNamespaces.",
  }),
  leader_election_slowpath_total: metric("counter", "controller", {
    help: "Renewals of the Lease that found it changed by somebody and had to read it again first.",
    labels: ["name"],
  }),

  // --- controller: caches and plans ---
  shieldx_informer_faults_total: metric("counter", "controller", {
    help: "Interruptions of watches by cause: gone, cut, stalled, garbage, throttled, refused, failed or rewound.",
    labels: ["informer", "fault"],
  }),
  shieldx_informer_relists_total: metric("counter", "controller", {
    help: "Complete lists that were read again after the first one.",
    labels: ["informer"],
  }),
  shieldx_informer_missed_changes_total: metric("counter", "controller", {
    help: "Changes that no watch told of: only the list after an interruption showed them.",
    labels: ["informer"],
  }),
  shieldx_informer_objects: metric("gauge", "controller", {
    help: "Objects that an informer holds in memory.",
    labels: ["informer"],
  }),
  shieldx_informer_served: metric("gauge", "controller", {
    help: "1 while the API server lets an informer list its kind; 0 while the kind is not installed or may not be listed, which is no fault of a kind that the operator can do without.",
    labels: ["informer"],
  }),
  shieldx_informer_silence_seconds: metric("gauge", "controller", {
    help: "Time since an informer's last sign of life from the API server.",
    labels: ["informer"],
  }),
  shieldx_event_loop_stall_seconds: metric("gauge", "controller", {
    help: "The longest time within about the last half minute that the process could not run.",
    labels: [],
  }),
  shieldx_plan_actions_total: metric("counter", "controller", {
    help: "Actions of plans by outcome: written, unchanged or failed.",
    labels: ["controller", "action", "result"],
  }),

  // --- controller: webhooks ---
  controller_runtime_webhook_requests_total: metric("counter", "controller", {
    help: "Requests to webhooks by path and HTTP status.",
    labels: ["webhook", "code"],
  }),
  controller_runtime_webhook_latency_seconds: metric("histogram", "controller", {
    help: "Time that webhooks took to answer, by path.",
    labels: ["webhook"],
  }),
  controller_runtime_webhook_requests_in_flight: metric("gauge", "controller", {
    help: "Requests that webhooks are answering, by path.",
    labels: ["webhook"],
  }),
  controller_runtime_webhook_panics_total: metric("counter", "controller", {
    help: "Admission requests whose handler broke an invariant of the program.",
  }),
  controller_runtime_conversion_webhook_panics_total: metric("counter", "controller", {
    help: "Conversion requests whose handler broke an invariant of the program.",
  }),
  certwatcher_read_certificate_total: metric("counter", "controller", {
    help: "Reads of the webhook server's certificate.",
  }),
  certwatcher_read_certificate_errors_total: metric("counter", "controller", {
    help: "Reads of the webhook server's certificate that gave none to use; the old one stays.",
  }),
  shieldx_webhook_certificate_expiry_timestamp_seconds: metric("gauge", "controller", {
    help: "End of the certificate that the webhook server shows, in seconds since the epoch; 0 without one.",
  }),

  // --- controller: Rollouts ---
  deployment_duration_seconds: metric("histogram", "controller", {
    help: "Time from the beginning of a release to its end, by outcome: Promoted, FastPromoted, RolledBack, Aborted or Superseded.",
    labels: ["outcome"],
  }),
  canary_traffic_percentage: metric("gauge", "controller", {
    help: "Share of the requests of the version under release: that it is to get (desired), that the gateway has taken (observed), that it answered (measured). Only while a release is under way.",
    labels: ["namespace", "name", "kind"],
  }),
  rollback_count_total: metric("counter", "controller", {
    help: "Releases that were taken back, by reason: Harm, SloBreach, PodsUnstable, ProgressDeadlineExceeded, NoData, HealthCheckFailed, SmokeTestFailed, Aborted (somebody asked for it) or Other. A release that another version replaced is none.",
    labels: ["reason"],
  }),
  rollback_duration_seconds: metric("histogram", "controller", {
    help: "Time from the decision to take a release back until the gateway was seen to have taken weight 0.",
  }),
  notifications_total: metric("counter", "controller", {
    help: "Notifications that came to their end, one for each event and receiver: delivered, failed (refused, or given up after ten minutes) or dropped (newer events took its place, or the receiver was removed).",
    labels: ["kind", "result"],
  }),
  notification_delivery_seconds: metric("histogram", "controller", {
    help: "Time from what a notification tells of until its receiver had it.",
    labels: ["kind"],
  }),
  analysis_unknown_seconds_total: metric("counter", "controller", {
    help: "Time in which a release got requests and nothing could be judged, for want of data or requests, or since both versions were ill.",
    labels: ["namespace", "name"],
  }),
  rollout_phase: metric("gauge", "controller", {
    help: "1 for the phase of a Rollout.",
    labels: ["namespace", "name", "phase"],
  }),
  rollout_state: metric("gauge", "controller", {
    help: "1 for the reason that condition Ready of a Rollout gives.",
    labels: ["namespace", "name", "reason"],
  }),
  rollout_verdict: metric("gauge", "controller", {
    help: "1 for what the judge last said of the release under way.",
    labels: ["namespace", "name", "verdict", "reason"],
  }),
  rollout_step_deadline_timestamp_seconds: metric("gauge", "controller", {
    help: "When the present step of a release ends at the latest by its spec, in seconds since the epoch; absent at rest, while it waits for a person, and where the spec sets no limit.",
    labels: ["namespace", "name"],
  }),

  // --- ledger ---
  event_store_events_total: metric("counter", "ledger", {
    help: "Events that were committed to the journal.",
    labels: ["shard"],
  }),
  event_store_snapshots_total: metric("counter", "ledger", {
    help: "Snapshots of account balances that were written.",
    labels: ["shard"],
  }),
  event_replay_duration_seconds: metric("histogram", "ledger", {
    help: "Duration of reads of an account's past state, which replay its events back from the next snapshot.",
    labels: ["shard"],
  }),
  ledger_commit_duration_seconds: metric("histogram", "ledger", {
    help: "Time from the decision of a batch to its COMMIT.",
    labels: ["shard"],
  }),
  ledger_commit_failures_total: metric("counter", "ledger", {
    help: "Commits and takeovers that failed, by error code.",
    labels: ["shard", "code"],
  }),
  ledger_refusals_total: metric("counter", "ledger", {
    help: "Transfers that were refused for a balance and stored as refused.",
    labels: ["shard"],
  }),
  ledger_key_claims_total: metric("counter", "ledger", {
    help: "Keys of this shard that were bound to a payload without an outcome here, nearly all of them for a transfer on another shard.",
    labels: ["shard"],
  }),
  ledger_head_position: metric("gauge", "ledger", {
    help: "Position of the last committed event, in the pod that writes the shard.",
    labels: ["shard"],
  }),
  ledger_writer_epoch: metric("gauge", "ledger", {
    help: "Epoch of the writer, in the pod that writes the shard.",
    labels: ["shard"],
  }),
  ledger_writer_held: metric("gauge", "ledger", {
    help: "1 in the pod that writes the shard, 0 in the others.",
    labels: ["shard"],
  }),
  ledger_shard_up: metric("gauge", "ledger", {
    help: "1 while the shard's PostgreSQL answers this pod.",
    labels: ["shard"],
  }),
  ledger_http_requests_total: metric("counter", "ledger", {
    help: "Answers of the HTTP API.",
    labels: ["route", "status"],
  }),
  ledger_connections: metric("gauge", "ledger", {
    help: "Open connections to the API by whether a key was shown on them: stranger or client.",
    labels: ["state"],
  }),
  ledger_connections_cut_total: metric("counter", "ledger", {
    help: "Connections that were cut by reason: tls (no handshake in time, or a bad one), request (not complete in time), answer (not taken in time), unreadable, pipelined, strangers (too many without a key) or stopping.",
    labels: ["reason"],
  }),
  ledger_limit_refusals_total: metric("counter", "ledger", {
    help: "Requests that were refused because their key had its part of what there is, by limit: connections, requests, bulk_bytes, body_bytes, values, answer_bytes or commands.",
    labels: ["limit"],
  }),
  ledger_certificate_expiry_timestamp_seconds: metric("gauge", "ledger", {
    help: "End of the certificate that the HTTP API shows, in seconds since the epoch.",
  }),
  shard_queries_total: metric("counter", "ledger", {
    help: "Read queries that the ledger sent to a shard.",
    labels: ["shard"],
  }),

  // --- shard agent ---
  shard_ready: metric("gauge", "shard-agent", {
    help: "1 while the shard's PostgreSQL accepts writes, otherwise 0.",
    labels: ["shardset", "shard"],
  }),
  shard_postgres_restarts_total: metric("counter", "shard-agent", {
    help: "Unexpected ends of PostgreSQL since the agent began; each was followed by a restart in place.",
    labels: ["shardset", "shard"],
  }),
  shard_epoch: metric("gauge", "shard-agent", {
    help: "Transitions of the shard's Lease when this agent took it.",
    labels: ["shardset", "shard"],
  }),
  shard_map_version: metric("gauge", "shard-agent", {
    help: "Version of the shard map that every requested database has.",
    labels: ["shardset", "shard"],
  }),
  shard_databases: metric("gauge", "shard-agent", {
    help: "Database requests that are carried out (ready) or not (pending).",
    labels: ["shardset", "shard", "state"],
  }),
  shard_certificate_expiry_timestamp_seconds: metric("gauge", "shard-agent", {
    help: "End of the certificate that PostgreSQL and agent show, in seconds since the epoch.",
    labels: ["shardset", "shard"],
  }),
  shard_postgres_up: metric("gauge", "shard-agent", {
    help: "1 when PostgreSQL answered the last scrape's question in time, otherwise 0; then its own figures are left out.",
    labels: ["shardset", "shard"],
  }),
  shard_postgres_connections: metric("gauge", "shard-agent", {
    help: "Connections of clients by state: active, idle or idle_in_transaction.",
    labels: ["shardset", "shard", "state"],
  }),
  shard_postgres_connections_max: metric("gauge", "shard-agent", {
    help: "Connections that PostgreSQL allows (max_connections), those kept for the agent among them.",
    labels: ["shardset", "shard"],
  }),
  shard_postgres_oldest_transaction_seconds: metric("gauge", "shard-agent", {
    help: "Age of the oldest open transaction of a client; 0 without one. It holds back vacuum and changes of the map.",
    labels: ["shardset", "shard"],
  }),
  shard_postgres_transactions_total: metric("counter", "shard-agent", {
    help: "Transactions of all databases by result: commit or rollback.",
    labels: ["shardset", "shard", "result"],
  }),
  shard_postgres_deadlocks_total: metric("counter", "shard-agent", {
    help: "Deadlocks in all databases.",
    labels: ["shardset", "shard"],
  }),
  shard_postgres_checkpoints_total: metric("counter", "shard-agent", {
    help: "Checkpoints by cause: timed, or requested because the log reached max_wal_size.",
    labels: ["shardset", "shard", "cause"],
  }),
  shard_postgres_wal_bytes_total: metric("counter", "shard-agent", {
    help: "Bytes that were written to the write-ahead log.",
    labels: ["shardset", "shard"],
  }),
  shard_postgres_database_bytes: metric("gauge", "shard-agent", {
    help: "Size of a requested database on disk; taken once a minute, of 100 databases at most.",
    labels: ["shardset", "shard", "database"],
  }),
  shard_volume_bytes: metric("gauge", "shard-agent", {
    help: "Size of the file system that the shard's volume shows.",
    labels: ["shardset", "shard"],
  }),
  shard_volume_free_bytes: metric("gauge", "shard-agent", {
    help: "What is free on the shard's volume, in steps of a hundredth of it; writes are refused before it is 0.",
    labels: ["shardset", "shard"],
  }),
} as const satisfies Record<string, MetricDefinition>;

/** A metric of the catalogue. */
export type MetricName = keyof typeof METRICS;
