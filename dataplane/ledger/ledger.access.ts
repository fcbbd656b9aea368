/** How the command line reaches a ledger: by its address, or by its name through the Kubernetes API. */
import { CREDIT_LEDGER, type CreditLedgerStatus } from "../../crds/creditledger.ts";
import { DATABASE_REQUEST_KEY, parseDatabaseRequest } from "../../crds/database-request.ts";
import { SHARD_SET } from "../../crds/shardset.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { isOperatorError, OperatorError } from "../../lib/core/errors.ts";
import type { ShardMemory } from "../../lib/core/shard-memory.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { connectKube } from "../../lib/kube/connect.ts";
import { openPortForward, type PortForward } from "../../lib/kube/port-forward.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { environment } from "../../lib/node/env.ts";
import type { PostgresTarget } from "../../lib/node/postgres.ts";
import { programVersion } from "../../lib/node/version.ts";
import { memoryOn } from "./lease-memory.ts";
import type { AssetDefinition } from "./ledger.migrate.ts";
import { readText } from "./ledger.targets.ts";
import { createLedgerClient, type LedgerClient } from "./ledger-client.ts";
import { processRandom } from "./process-random.ts";

/** Flags that name a ledger. */
export interface AccessFlags {
  /** namespace/name */
  readonly ledger?: string | undefined;
  readonly url?: string | undefined;
  readonly caFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}

/** A client that stays usable while pods come and go. */
export interface LedgerAccess extends Pick<LedgerClient, "send"> {
  /** The ledger's assets; unknown when it was named by its address. */
  readonly assets: readonly AssetDefinition[] | undefined;
  close(): Promise<void>;
}

const API_PORT = 443;
const POSTGRES_PORT = 5432;

/** @throws OperatorError USAGE, FILE_UNREADABLE, LEDGER_NOT_FOUND, KUBE_... */
export async function openAccess(flags: AccessFlags): Promise<LedgerAccess> {
  if (flags.url !== undefined) {
    if (flags.ledger !== undefined) throw new OperatorError("USAGE", "--ledger and --url exclude each other");
    if (flags.caFile === undefined || flags.keyFile === undefined) {
      throw new OperatorError("USAGE", "--url needs --ca-file and --key-file");
    }
    const [caPem, key] = [await readText(flags.caFile), (await readText(flags.keyFile)).trim()];
    const client = createLedgerClient({ url: flags.url, caPem, key });
    return { send: client.send, assets: undefined, close: async () => client.close() };
  }
  const { namespace, name } = ledgerRef(flags);
  const kube = await connect(flags);
  try {
    const { spec, status } = await readLedger(kube, { namespace, name });
    const caSecret = status?.caSecret ?? `${name}-ca`;
    const service = serviceOf(status?.url) ?? name;
    const credentials = async (): Promise<{ caPem: string; key: string }> => ({
      caPem: await secretText(kube, { namespace, name: caSecret }, "ca.crt"),
      key: (await secretText(kube, { namespace, name: `${name}-admin-key` }, "key")).trim(),
    });
    // What is not there yet is told before anything is forwarded.
    await credentials();
    const { send, close } = forwardedAccess({ flags, namespace, target: `svc/${service}` }, credentials);
    return {
      send,
      assets: spec.assets,
      close: async () => {
        await close();
        await kube.close();
      },
    };
  } catch (error) {
    await kube.close();
    throw error;
  }
}

/** `https://<service>.<namespace>.svc` leads to this Service. */
function serviceOf(url: string | undefined): string | undefined {
  return url === undefined ? undefined : new URL(url).hostname.split(".")[0];
}

/**
 * A port-forward ends with the pod that it leads to; the next request opens another one, with CA and key as they are then:
 * an import may outlast the replacement of a CA.
 */
function forwardedAccess(
  to: { flags: AccessFlags; namespace: string; target: string },
  credentials: () => Promise<{ caPem: string; key: string }>,
): Omit<LedgerAccess, "assets"> {
  let open: { forward: PortForward; client: LedgerClient } | undefined;
  const ensureOpen = async (): Promise<LedgerClient> => {
    if (open !== undefined) return open.client;
    const current = await credentials();
    const forward = await forwardTo(to.flags, { ...to, port: API_PORT });
    const client = createLedgerClient({ url: `https://127.0.0.1:${forward.port}`, ...current });
    const made = { forward, client };
    open = made;
    void forward.ended.then(() => {
      if (open === made) open = undefined;
      client.close();
    });
    return client;
  };
  return {
    send: async (method, path, options) => {
      const client = await ensureOpen();
      try {
        return await client.send(method, path, options);
      } catch (error) {
        // The tunnel may be up and its pod gone: kubectl notices at the next connection only.
        if (isOperatorError(error, "OUTCOME_UNKNOWN")) await closeOpen();
        throw error;
      }
    },
    close: async () => closeOpen(),
  };

  async function closeOpen(): Promise<void> {
    const closing = open;
    open = undefined;
    closing?.client.close();
    await closing?.forward.close();
  }
}

/** The databases of a ledger's shards, as its reader. */
export interface ShardAccess {
  readonly shards: number;
  /** What is remembered of the shard's log outside of its database. */
  memory(shard: number): ShardMemory;
  /** A way to the shard of its own at each call: connections that share a port-forward can hold each other up. */
  target(shard: number): Promise<PostgresTarget>;
  close(): Promise<void>;
}

/** Reads of every shard's database through port-forwards. @throws as `openAccess` */
export async function openShardAccess(flags: AccessFlags): Promise<ShardAccess> {
  const { namespace, name } = ledgerRef(flags);
  const kube = await connect(flags);
  try {
    const ledger = await readLedger(kube, { namespace, name });
    const { shardSet } = ledger.spec;
    const { spec, status } = await kube.get(SHARD_SET, { namespace, name: shardSet });
    const { shards } = spec;
    const caSecret = status?.caSecret ?? `${shardSet}-ca`;
    const readCa = (): Promise<string> => secretText(kube, { namespace, name: caSecret }, "ca.crt");
    await readCa();
    const password = await secretText(kube, { namespace, name: `${name}-roles` }, "reader-password");
    const request = parseDatabaseRequest(
      await secretText(kube, { namespace, name: `${name}-database` }, DATABASE_REQUEST_KEY),
    );
    const memories = await Promise.all(
      Array.from({ length: shards }, (_, shard) => readMemory(kube, { namespace, name, shard }, ledger)),
    );
    const forwards: PortForward[] = [];
    return {
      shards,
      memory: (shard) => memories[shard] as ShardMemory,
      target: async (shard) => {
        const forward = await forwardTo(flags, { namespace, target: `svc/${shardSet}-${shard}`, port: POSTGRES_PORT });
        forwards.push(forward);
        return {
          // The certificate of a shard also names 127.0.0.1. The shards before may have taken hours.
          address: { host: "127.0.0.1", port: forward.port, caPem: await readCa() },
          database: request.database,
          user: request.reader.name,
          password: password.trim(),
          applicationName: "shieldx-ledger-verify",
        };
      },
      close: async () => {
        await Promise.all(forwards.map((forward) => forward.close()));
        await kube.close();
      },
    };
  } catch (error) {
    await kube.close();
    throw error;
  }
}

/** What is read of a CreditLedger. */
type LedgerResource = KubeObject & {
  spec: { shardSet: string; assets: readonly AssetDefinition[] };
  status?: Pick<CreditLedgerStatus, "heads" | "caSecret" | "url">;
};

/** The Lease of the shard's writer remembers; the status stands in for a Lease that was made anew. */
async function readMemory(
  kube: KubeClient,
  { namespace, name, shard }: { namespace: string; name: string; shard: number },
  { status }: LedgerResource,
): Promise<ShardMemory> {
  const head = status?.heads?.find((known) => known.shard === shard);
  const ref = { namespace, name: `${name}-writer-${shard}` };
  const lease = await kube.find(RESOURCES.Lease, ref);
  const onLease = memoryOn((key) => lease?.metadata.annotations?.[key]);
  return {
    position: onLease.position ?? head?.position,
    systemIdentifier: onLease.systemIdentifier ?? head?.systemIdentifier,
  };
}

function ledgerRef(flags: AccessFlags): { namespace: string; name: string } {
  const match = /^([a-z0-9-]+)\/([a-z0-9-]+)$/.exec(flags.ledger ?? "");
  if (match === null)
    throw new OperatorError("USAGE", "give --ledger namespace/name, or --url with --ca-file and --key-file");
  return { namespace: match[1] as string, name: match[2] as string };
}

function connect(flags: AccessFlags): Promise<KubeClient> {
  return connectKube({
    environment: environment(),
    kubeconfig: flags.kubeconfig,
    context: flags.context,
    userAgent: `shieldx/${programVersion()} (ledger command line)`,
    clock: systemClock,
    random: processRandom,
  });
}

function forwardTo(flags: AccessFlags, to: { namespace: string; target: string; port: number }): Promise<PortForward> {
  return openPortForward({ environment: environment(), kubeconfig: flags.kubeconfig, context: flags.context, ...to });
}

async function readLedger(kube: KubeClient, ref: { namespace: string; name: string }): Promise<LedgerResource> {
  try {
    return await kube.get(CREDIT_LEDGER, ref);
  } catch (error) {
    if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
    throw new OperatorError("LEDGER_NOT_FOUND", `there is no CreditLedger ${ref.namespace}/${ref.name}`, {
      cause: error,
    });
  }
}

async function secretText(kube: KubeClient, ref: { namespace: string; name: string }, key: string): Promise<string> {
  try {
    const secret = await kube.get(RESOURCES.Secret, ref);
    const text = secret.data?.[key];
    if (text !== undefined) return Buffer.from(text, "base64").toString("utf8");
  } catch (error) {
    if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
  }
  throw new OperatorError("LEDGER_NOT_READY", `Secret ${ref.namespace}/${ref.name} with ${key} is not there yet`);
}
