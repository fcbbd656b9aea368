import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../core/clock.ts";
import { OperatorError } from "../core/errors.ts";
import type { Credentials, KubeEndpoint, TlsMaterial } from "./transport.ts";

/** Where the kubelet puts the credentials of a pod's service account. */
const SERVICE_ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount";
/** The kubelet renews tokens at 80 % of their life (an hour by default); a read a minute is early enough. */
const TOKEN_LIFE_MS = 60_000;

export interface InClusterOptions {
  /** `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` are read from it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Another folder, for tests. */
  readonly directory?: string;
}

/** True when the process runs in a pod with a service account. */
export function isInCluster(environment: Readonly<Record<string, string | undefined>>): boolean {
  return environment["KUBERNETES_SERVICE_HOST"] !== undefined;
}

/** The API server as pods see it; token and CA are read again while the process runs. @throws OperatorError KUBE_CONFIG_INVALID */
export async function inClusterEndpoint(options: InClusterOptions): Promise<KubeEndpoint> {
  const host = options.environment["KUBERNETES_SERVICE_HOST"];
  const port = options.environment["KUBERNETES_SERVICE_PORT"] ?? "443";
  if (host === undefined) {
    throw new OperatorError(
      "KUBE_CONFIG_INVALID",
      "KUBERNETES_SERVICE_HOST is not set: the process does not run in a pod",
    );
  }
  const directory = options.directory ?? SERVICE_ACCOUNT_DIR;
  let tls: TlsMaterial | undefined;
  let cached: Credentials | undefined;
  let readAt = 0;

  const read = async (): Promise<Credentials> => {
    const [token, ca] = await Promise.all([readText(directory, "token"), readText(directory, "ca.crt")]).catch(
      (error: unknown) => {
        // They could be read before, so this will pass: an error after which it is tried again.
        if (tls === undefined) throw error;
        throw new OperatorError("KUBE_UNAUTHORIZED", "the pod's credentials cannot be read now", { cause: error });
      },
    );
    if (tls === undefined || tls.ca !== ca) tls = { ca };
    cached = { headers: { authorization: `Bearer ${token.trim()}` }, tls };
    readAt = options.clock.monotonic();
    return cached;
  };

  await read();
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    namespace: (await readText(directory, "namespace")).trim(),
    credentials: async () =>
      cached !== undefined && options.clock.monotonic() - readAt < TOKEN_LIFE_MS ? cached : await read(),
    forget: () => {
      cached = undefined;
    },
  };
}

async function readText(directory: string, name: string): Promise<string> {
  const path = join(directory, name);
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new OperatorError("KUBE_CONFIG_INVALID", `${path} cannot be read`, { cause });
  }
}
