/**
 * Condition types and reasons of each kind, with the sentence that the reference page prints. The member names are the
 * values on the wire; a reason never changes its meaning.
 */

/** Conditions that every kind has, in the sense of kstatus (docs/operations.md, "GitOps"). */
const COMMON_CONDITIONS = {
  Ready: "The resource is as its spec asks. This is the one to wait for.",
  Reconciling: "The controller is working towards the spec and expects to get there by itself.",
  Stalled: "The controller cannot get there without a change by somebody; the message says which.",
} as const;

export type CommonConditionType = keyof typeof COMMON_CONDITIONS;

/** Reasons that every kind uses. */
const COMMON_REASONS = {
  Ready: "Everything is as the spec asks.",
  Converged: "There is nothing left to do, so the resource is not being reconciled.",
  Paused:
    'Annotation shieldx.dev/paused is "true": the controller leaves the resource alone. Remove the annotation to go on.',
  NameConflict:
    "An object of the wanted name belongs to somebody else and is left alone. Rename the resource or remove that object.",
  Deleting: "The resource is being deleted.",
  ReconcileFailed: "A step failed and is tried again; the message holds the error code and the sentence.",
} as const;

/** Conditions of kinds that sign certificates with a CA of their own. */
const AUTHORITY_CONDITIONS = {
  AuthorityCurrent:
    "Every certificate is from the CA that signs, and no former CA is trusted any more. The message says until when the CA is valid, or where its replacement stands.",
} as const;

/** Reasons of kinds that sign certificates with a CA of their own. */
const AUTHORITY_REASONS = {
  AuthorityCurrent: "No CA is being replaced.",
  AuthorityPending: "There is no CA yet.",
  AuthorityAdding:
    "A new CA is trusted beside the one that signs; it signs nothing before everybody has had the time to trust it.",
  AuthoritySwitching: "The new CA is trusted everywhere; certificates are made anew by it.",
  AuthorityDropping: "The new CA signs; the former one is trusted until nobody shows a certificate of it any more.",
  AuthorityInvalid:
    "The Secret with the CA cannot be used; the message says why. Restore it, or delete it to have a new CA made, which clients then have to trust.",
} as const;

/** Reasons of kinds whose data outlives them. */
const KEPT_DATA_REASONS = {
  RetainedDataConflict:
    "Data that an earlier resource of this name left behind does not fit the spec. The message says what differs; change the spec or remove the kept objects.",
} as const;

/** Reasons of kinds that keep data: what was there once is never taken for something that never was. */
const DATA_REASONS = {
  DataLost:
    "Data that was there is gone, and nothing was made in its place. Restore it, or give it up with the annotation that the message names.",
} as const;

/** Reasons of kinds that start pods and volumes. */
const START_REASONS = {
  StartBlocked:
    "A pod, a volume or a Job does not start for a reason that only a person can mend: an image, a storage class, a quota, a policy. The message quotes it and says what to change; the controller goes on by itself after that.",
} as const;

/** Condition types of a ShardSet. */
export const SHARD_SET_CONDITIONS = {
  ...COMMON_CONDITIONS,
  ...AUTHORITY_CONDITIONS,
  Available: "Every shard that owns buckets accepts writes.",
  MapPublished: "The shard map is in ConfigMap <name>-map and every ready shard works with its version.",
  Balanced: "Every shard owns buckets of the shard map.",
  DatabasesReady: "Every requested database exists on every shard with the roles and passwords asked for.",
  DiskPressure:
    "The volume of a shard fills up; True is the bad case. The message has the numbers, before writes are refused.",
} as const satisfies Record<string, string>;
export type ShardSetConditionType = keyof typeof SHARD_SET_CONDITIONS;

/** Reasons in the conditions of a ShardSet. */
export const SHARD_SET_REASONS = {
  ...COMMON_REASONS,
  ...AUTHORITY_REASONS,
  ...KEPT_DATA_REASONS,
  ...DATA_REASONS,
  DataRefused:
    "A volume holds data that is not its shard's, or of another major version of PostgreSQL; nothing was changed. Attach the shard's own volume.",
  ...START_REASONS,
  Provisioning: "Volumes, certificates or pods of shards are being made.",
  ScalingUp: "Shards are being added.",
  Updating: "Pods are being replaced to follow a change of the spec.",
  ShardNotReady: "At least one shard does not accept writes; the message names it and says why.",
  SettingsRefused:
    "PostgreSQL does not start with a setting of the spec; the message names it and quotes PostgreSQL. Change it: pods that serve are not replaced before, and one that is down for it comes back.",
  DiskFull:
    "The volume of a shard is full: the shard answers reads and refuses writes until there is room. Raise storage.size, or free space as the message says; it goes on by itself.",
  DiskFilling: "The volume of a shard is nearly full. Raise storage.size, or free space, before writes are refused.",
  DiskSpaceEnough: "No volume is nearly full.",
  DiskUnknown: "A shard agent does not answer, or has not said how full its volume is.",
  ShardUnavailable: "A shard that owns buckets does not accept writes: its keys cannot be read or written.",
  AgentUnreachable: "A shard's agent does not answer; see the pod's log and events.",
  ShardsAvailable: "All shards that own buckets accept writes.",
  VolumeLost:
    "The volume of a shard that owns buckets is gone. Restore it under its name; an empty one is never made in its place.",
  VolumeDeleting:
    "Somebody deleted the volume of a running shard: it goes with the shard's pod, which is not replaced until then. Set the reclaim policy of its PersistentVolume to Retain, and restore the volume under its name afterwards.",
  StorageShrinkRefused: "The spec asks for a smaller volume than exists. A volume cannot shrink: raise storage.size.",
  StorageExpanding: "Volumes are being enlarged.",
  StorageExpansionUnsupported:
    "The StorageClass does not allow volumes to grow. Use one with allowVolumeExpansion: true.",
  DeletionBlocked: "Another resource still uses this ShardSet; the message names it. Delete that one first.",
  MapPublished: "The shard map is published and in use.",
  MapPending: "The shard map is not published yet, or a shard still works with an older version.",
  MapInvalid: "ConfigMap <name>-map cannot be read. Restore it from a good copy.",
  Balanced: "Every shard owns buckets.",
  MoveUnavailable: "A shard owns no bucket, because moving data between shards is not available yet.",
  DatabasesReady: "All requested databases exist on every shard.",
  NoDatabases: "Nobody has asked for a database.",
  DatabasesPending: "A requested database does not exist on every shard yet; the message says where.",
  DatabaseRequestInvalid: "A Secret with a database request cannot be read; the message names it.",
} as const satisfies Record<string, string>;
export type ShardSetReason = keyof typeof SHARD_SET_REASONS;

/** Condition types of a CreditLedger. */
export const CREDIT_LEDGER_CONDITIONS = {
  ...COMMON_CONDITIONS,
  ...AUTHORITY_CONDITIONS,
  ShardSetReady: "The ShardSet of the spec exists and its shards accept writes.",
  DatabaseReady: "The ledger's database and roles exist on every shard.",
  Migrated: "The database has the tables that this version of the ledger needs.",
  Available: "The HTTP API answers and every shard has a writer.",
} as const satisfies Record<string, string>;
export type CreditLedgerConditionType = keyof typeof CREDIT_LEDGER_CONDITIONS;

/** Reasons in the conditions of a CreditLedger. */
export const CREDIT_LEDGER_REASONS = {
  ...COMMON_REASONS,
  ...AUTHORITY_REASONS,
  ...KEPT_DATA_REASONS,
  ...START_REASONS,
  ...DATA_REASONS,
  ShardSetNotFound:
    "The ShardSet that spec.shardSet names does not exist in this namespace. Create it, or delete the ledger.",
  ShardSetDeleting: "The ShardSet of the spec is being deleted and waits for this ledger.",
  ShardSetReady: "The ShardSet accepts writes.",
  WaitingForShards: "Shards of the ShardSet do not accept writes yet; the message says how many do.",
  WaitingForDatabase: "The shard agents have not made the ledger's database on every shard yet.",
  DatabaseReady: "The database exists on every shard.",
  DatabaseNameConflict: "Another ledger's database request has the same database name. Rename this ledger.",
  DatabaseUnusable:
    "A writer cannot use the ledger's database on a shard: a table, the database, a right or the end of the log is missing; the message quotes it. Restore it.",
  Migrating: "The migration Job is running.",
  MigrationFailed:
    "The migration failed five times in a row and is tried again every few minutes; the message has its last words.",
  Migrated: "All migrations are applied.",
  Deploying: "Ledger pods are being started or replaced.",
  WritersUnavailable:
    "At least one shard has no writer; the message names it, and a holder of its Lease that is no pod of the ledger.",
  PodsUnavailable: "No ledger pod is ready to answer.",
  Available: "The API answers and every shard has a writer.",
  DroppingDatabase: "With deletionPolicy Delete: the databases are being dropped before the ledger goes.",
} as const satisfies Record<string, string>;
export type CreditLedgerReason = keyof typeof CREDIT_LEDGER_REASONS;

/** Condition types of a Rollout. */
export const ROLLOUT_CONDITIONS = {
  ...COMMON_CONDITIONS,
  TargetFound: "Deployment, Service and configuration of the spec are there and fit each other.",
  RouteAccepted: "The gateway has taken the route with the weights that it is to have.",
  Serving: "The version that serves has all its pods ready.",
  Judged: "The release under way is being judged: both versions have fresh counts.",
  Promoted: "The version of the spec serves all requests.",
} as const satisfies Record<string, string>;
export type RolloutConditionType = keyof typeof ROLLOUT_CONDITIONS;

/** Reasons in the conditions of a Rollout. */
export const ROLLOUT_REASONS = {
  ...COMMON_REASONS,
  ...START_REASONS,
  TargetFound: "Deployment and Service are there and fit each other.",
  DeploymentNotFound: "The Deployment that spec.target names does not exist in this namespace. Create it.",
  ServiceNotFound: "The Service that spec.service names does not exist in this namespace. Create it, or name ports.",
  ServiceMismatch:
    "The Service of the spec does not select the pods of the Deployment, or has no usable port: it belongs to something else. Name the Service by which the Deployment is reached.",
  TargetClaimed: "An older Rollout releases the same Deployment; the message names it. Delete one of the two.",
  ConfigurationNotFound:
    "The pod template reads a ConfigMap or Secret that is not in this namespace; the message names it. Create it, or make the reference optional.",
  ConfigurationRefused:
    "A ConfigMap or Secret that the pod template reads is not copied: it is too large, there are too many, or it proves who somebody is. Take it out, share it with annotation shieldx.dev/configuration: Shared, or set spec.configuration to Shared.",
  ConfigurationPending: "The key with which names of copies are made is being made.",
  ReplicasUnknown:
    "The Deployment is scaled to 0 and spec.replicas is not set, so nothing says how many pods are to serve. Set spec.replicas; what serves keeps its pods.",
  TemplateInvalid: "The pod template cannot be released; the message quotes what the API server says.",
  RouteAccepted: "The gateway has taken the route.",
  RoutePending: "The gateway has not taken the route, or its last weights, yet.",
  RouteRejected: "The gateway refuses the route; the message quotes it.",
  RouteConflict:
    "Another controller, or a person, writes the weights of the route again each time that they are taken back; the message names the field manager. Let it leave the route alone, or one of the user's out of spec.rules (docs/releases.md).",
  RouteNotFound: "The route that traffic.gatewayAPI.route names does not exist in this namespace. Create it.",
  RouteMismatch:
    "The route that traffic.gatewayAPI.route names has no such rule or backend, or one in which no versions can take the place of a Service; the message says what to change.",
  RouteClaimed:
    "The rule of the route is moved by another Rollout, or the route is one that the controller made; the message names it. Name another rule, or another route.",
  RouteReturning:
    "The Rollout, or its spec, leaves a route of the user's, whose backend has no ready endpoint yet: the route leads to the version that serves until then.",
  GatewayNotFound:
    "A Gateway of spec.traffic, or the listener that is named of it, does not exist. Create it, or correct the reference.",
  GatewayNotReady:
    "A Gateway of spec.traffic is there and serves nothing: no controller has taken it, or its controller says why it cannot.",
  MirrorUnsupported:
    "Copies of requests (spec.shadow) cannot be made by the gateway, or nobody knows whether it can; the message says which. No release begins. Change spec.shadow, set its onUnsupported to Skip, or say in spec.traffic.gatewayAPI.capabilities what the gateway can do.",
  TestersUnsupported:
    "Requests of testers cannot be told from others by this gateway, or beside the matches of spec.traffic; the message says why. No release begins.",
  GatewayAPINotInstalled: "The cluster has no Gateway API (gateway.networking.k8s.io). Install its CRDs and a gateway.",
  OpenFeatureNotInstalled:
    "The cluster has no kind FeatureFlag of core.openfeature.dev/v1beta1, or the operator may not read it, so the flags of the spec cannot be raised and no release begins. Install the CRD of the OpenFeature Operator, or remove spec.flags.",
  Serving: "All pods of the version that serves are ready.",
  Deploying: "Pods of a version are being started.",
  PodsUnavailable: "Pods of the version that serves are not ready.",
  NotJudged: "No release is under way.",
  Judging: "Both versions have fresh counts.",
  NoData: "The source of the counts says nothing; the message says why. Weights stay where they are.",
  NoTraffic:
    "A version has had no requests at this stage, or has none any more: there is nothing to judge. The message says for how long.",
  WeightNotMeasured:
    "The gateway says that it has the weight, and the requests that were counted do not bear it out. No stage passes; harm is found all the same.",
  CommonCause: "Both versions are ill: the release is held, and not blamed.",
  Promoted: "The version of the spec serves all requests.",
  Releasing: "A new version is being released; the message says at which step, and what the judge says.",
  WaitingForPerson: "The release waits for a person; the message says why, and the command that goes on.",
  WaitingForWindow:
    "A release waits for a window of spec.windows; the message says when it opens. Request Promote lets it go on now.",
  ReleasePaused: "The release is held where it is by spec.paused; harm still takes it back.",
  RollingBack: "The release is being taken back.",
  RolledBack:
    "The version of the spec was taken back; the former one serves. Release another version, or ask for it again with request Retry.",
  RequestRefused: "A request of the spec cannot be carried out now; the message says why.",
} as const satisfies Record<string, string>;
export type RolloutReason = keyof typeof ROLLOUT_REASONS;
