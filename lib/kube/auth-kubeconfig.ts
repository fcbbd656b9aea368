import type { KubeConfig } from "@kubernetes/client-node";
import type { Clock } from "../core/clock.ts";
import { OperatorError } from "../core/errors.ts";
import type { Credentials, KubeEndpoint, TlsMaterial } from "./transport.ts";

/** client-node keeps tokens of plugins until they expire; asking it more often than this buys nothing. */
const CREDENTIALS_LIFE_MS = 30_000;

export interface KubeconfigOptions {
  /** Path of the kubeconfig; without it KUBECONFIG, then `~/.kube/config`, as kubectl does. */
  readonly path?: string;
  /** Another context than the current one. */
  readonly context?: string;
  readonly clock: Clock;
}

/**
 * The API server of a kubeconfig, with its certificates, tokens, exec plugins and OIDC.
 * client-node is loaded here and only here: it costs half a second and 60 MB, which a data-plane process never pays.
 * @throws OperatorError KUBE_CONFIG_INVALID
 */
export async function kubeconfigEndpoint(options: KubeconfigOptions): Promise<KubeEndpoint> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  try {
    if (options.path === undefined) config.loadFromDefault();
    else config.loadFromFile(options.path);
  } catch (cause) {
    throw new OperatorError("KUBE_CONFIG_INVALID", `the kubeconfig ${options.path ?? ""} cannot be read`, { cause });
  }
  if (options.context !== undefined) config.setCurrentContext(options.context);
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new OperatorError(
      "KUBE_CONFIG_INVALID",
      `context "${config.getCurrentContext()}" names no cluster of the kubeconfig`,
    );
  }

  const isStatic = isStaticUser(config);
  let tls: TlsMaterial | undefined;
  let cached: Credentials | undefined;
  let readAt = 0;

  const read = async (): Promise<Credentials> => {
    const fresh = await readCredentials(config);
    if (tls === undefined || !sameTls(tls, fresh.tls)) tls = fresh.tls;
    cached = { headers: fresh.headers, tls };
    readAt = options.clock.monotonic();
    return cached;
  };

  return {
    server: cluster.server,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? "default",
    credentials: async () => {
      const fresh = cached !== undefined && (isStatic || options.clock.monotonic() - readAt < CREDENTIALS_LIFE_MS);
      return fresh && cached !== undefined ? cached : await read();
    },
    forget: () => {
      cached = undefined;
    },
  };
}

/** What client-node would put on a Node HTTPS request. */
interface HttpsOptions {
  headers?: Record<string, string | undefined>;
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  auth?: string;
  servername?: string;
  rejectUnauthorized?: boolean;
}

async function readCredentials(config: KubeConfig): Promise<Credentials> {
  const options: HttpsOptions = {};
  try {
    await config.applyToHTTPSOptions(options as Parameters<KubeConfig["applyToHTTPSOptions"]>[0]);
  } catch (cause) {
    throw new OperatorError("KUBE_CONFIG_INVALID", "the kubeconfig's credentials could not be obtained", { cause });
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (value !== undefined) headers[name.toLowerCase()] = value;
  }
  if (options.auth !== undefined) headers["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`;
  return {
    headers,
    tls: {
      ...(options.ca === undefined ? {} : { ca: options.ca.toString() }),
      ...(options.cert === undefined ? {} : { cert: options.cert.toString() }),
      ...(options.key === undefined ? {} : { key: options.key.toString() }),
      ...(options.servername === undefined ? {} : { serverName: options.servername }),
      ...(options.rejectUnauthorized === false ? { insecureSkipVerify: true } : {}),
    },
  };
}

/** Certificates and tokens that stand in the file itself never change while we run. */
function isStaticUser(config: KubeConfig): boolean {
  const user = config.getCurrentUser();
  return user !== null && user.exec === undefined && user.authProvider === undefined;
}

function sameTls(a: TlsMaterial, b: TlsMaterial): boolean {
  return (
    a.ca === b.ca &&
    a.cert === b.cert &&
    a.key === b.key &&
    a.serverName === b.serverName &&
    a.insecureSkipVerify === b.insecureSkipVerify
  );
}
