import { readFile } from "node:fs/promises";
import type { Cluster, KubeConfig, User } from "@kubernetes/client-node";
import type { Clock } from "../core/clock.ts";
import { isOperatorError, OperatorError } from "../core/errors.ts";
import { createOidcTokens, type OidcSettings, type OidcTokens } from "./auth-oidc.ts";
import { readKubeconfigExtras } from "./kubeconfig-file.ts";
import type { Credentials, KubeEndpoint, TlsMaterial } from "./transport.ts";

/** client-node keeps tokens of plugins until they expire; asking it more often than this buys nothing. */
const CREDENTIALS_LIFE_MS = 30_000;

export interface KubeconfigOptions {
  /** Path of the kubeconfig; without it KUBECONFIG, then `~/.kube/config`, as kubectl does. */
  readonly path?: string;
  /** Another context than the current one. */
  readonly context?: string;
  /** `KUBECONFIG` is read from it. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

/**
 * The API server of a kubeconfig, with its certificates, tokens, exec plugins, OIDC and HTTP proxy. Files that it names
 * are read again while the process runs.
 * client-node is loaded here and only here: it costs half a second and 60 MB, which a data-plane process never pays.
 * @throws OperatorError KUBE_CONFIG_INVALID, also for settings that we would otherwise have to ignore
 */
export async function kubeconfigEndpoint(options: KubeconfigOptions): Promise<KubeEndpoint> {
  const config = await loadConfig(options);
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new OperatorError(
      "KUBE_CONFIG_INVALID",
      `context "${config.getCurrentContext()}" names no cluster of the kubeconfig`,
    );
  }
  const user = config.getCurrentUser();
  const { path, environment = {} } = options;
  const { tokenFile } = await readKubeconfigExtras({ path, environment }, user?.name);
  const proxy = proxyOf(cluster);
  const isStatic = tokenFile === undefined && isStaticUser(user) && cluster.caFile === undefined;
  const oidc = takeOidc(user, options.clock);
  let tls: TlsMaterial | undefined;
  let cached: Credentials | undefined;
  let readAt = 0;

  const read = async (): Promise<Credentials> => {
    const fresh = await readCredentials({ config, oidc, tokenFile }).catch((error: unknown) => {
      // They worked before, so this will pass (a plugin's server is down, a file is being changed): tried again.
      if (tls === undefined || isOperatorError(error, "KUBE_UNAUTHORIZED")) throw error;
      throw new OperatorError("KUBE_UNAUTHORIZED", "the kubeconfig's credentials could not be renewed", {
        cause: error,
      });
    });
    if (tls === undefined || !sameTls(tls, fresh.tls)) tls = fresh.tls;
    cached = { headers: fresh.headers, tls };
    readAt = options.clock.monotonic();
    return cached;
  };

  return {
    server: cluster.server,
    ...(proxy === undefined ? {} : { proxy }),
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

async function loadConfig(options: KubeconfigOptions): Promise<KubeConfig> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  try {
    if (options.path === undefined) config.loadFromDefault();
    else config.loadFromFile(options.path);
  } catch (cause) {
    throw new OperatorError("KUBE_CONFIG_INVALID", `the kubeconfig ${options.path ?? ""} cannot be read`, { cause });
  }
  if (options.context !== undefined) config.setCurrentContext(options.context);
  return config;
}

function proxyOf({ proxyUrl }: Cluster): string | undefined {
  if (proxyUrl === undefined || proxyUrl === "") return undefined;
  if (/^https?:\/\//.test(proxyUrl)) return proxyUrl;
  throw new OperatorError(
    "KUBE_CONFIG_INVALID",
    `proxy-url ${proxyUrl} is not supported: only proxies with http:// or https:// are`,
  );
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

async function readCredentials(source: {
  readonly config: KubeConfig;
  readonly oidc: OidcTokens | undefined;
  readonly tokenFile: string | undefined;
}): Promise<Credentials> {
  const { config, oidc, tokenFile } = source;
  const options: HttpsOptions = {};
  let token: string | undefined;
  try {
    await config.applyToHTTPSOptions(options as Parameters<KubeConfig["applyToHTTPSOptions"]>[0]);
    token = tokenFile === undefined ? await oidc?.idToken() : (await readFile(tokenFile, "utf8")).trim();
  } catch (cause) {
    if (isOperatorError(cause)) throw cause;
    throw new OperatorError("KUBE_CONFIG_INVALID", "the kubeconfig's credentials could not be obtained", { cause });
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (value !== undefined) headers[name.toLowerCase()] = value;
  }
  if (options.auth !== undefined) headers["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`;
  if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
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

/** Certificates and tokens that stand in the kubeconfig itself never change while we run. */
function isStaticUser(user: User | null): boolean {
  if (user === null) return true;
  const changing = [user.exec, user.authProvider, user.certFile, user.keyFile];
  return changing.every((member) => member === undefined || member === null);
}

/** Takes OIDC out of client-node's hands; see auth-oidc.ts. `readKubeconfigExtras` has refused all other providers. */
function takeOidc(user: User | null, clock: Clock): OidcTokens | undefined {
  if (!user?.authProvider) return undefined;
  const { config } = user.authProvider as { readonly config?: OidcSettings };
  Object.assign(user, { authProvider: undefined });
  return createOidcTokens(config ?? {}, clock);
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
