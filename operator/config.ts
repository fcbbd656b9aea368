import { parseArgs } from "node:util";
import { z } from "zod";
import { OperatorError } from "../lib/core/errors.ts";
import { LOG_LEVELS } from "../lib/node/logger.ts";

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const namespaceName = z.string().max(63).regex(NAME, "must be a namespace name");

const schema = z.object({
  shieldxImage: z.string().min(1, "must be an image reference"),
  postgresImage: z.string().min(1, "must be an image reference"),
  clusterDomain: z.string().regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, "must be a DNS domain"),
  /** `undefined`: no NetworkPolicies are made. */
  apiServerPorts: z.array(z.coerce.number().int().min(1).max(65_535)).max(16).optional(),
  logLevel: z.enum(LOG_LEVELS),
  listen: z.coerce.number().int().min(0).max(65_535),
  /** Empty: the whole cluster. */
  watchNamespaces: z.array(namespaceName),
  kubeconfig: z.string().optional(),
  context: z.string().optional(),
  /** The operator's own namespace, where its Lease is; the endpoint's when left out. */
  namespace: namespaceName.optional(),
  podName: z.string().optional(),
  podUid: z.string().optional(),
});

/** Everything that `shieldx controller` takes from its command line and environment. */
export type ControllerConfig = Readonly<z.infer<typeof schema>>;

/** Flags of `shieldx controller`, for `--help`. */
export const CONTROLLER_USAGE = `Usage: shieldx controller --shieldx-image=IMAGE --postgres-image=IMAGE [FLAG]...

Runs the controllers of all kinds until SIGTERM. Several replicas may run: one leads, by Lease shieldx-controller.

  --shieldx-image=IMAGE      image of ledger pods and migrations
  --postgres-image=IMAGE     image of shards
  --cluster-domain=DOMAIN    DNS domain of the cluster (default cluster.local)
  --api-server-ports=A,B     make NetworkPolicies for the pods of resources, through which they reach the Kubernetes API on
                             these ports (default: make none)
  --watch-namespaces=A,B     only these namespaces (default all)
  --listen=PORT              /healthz, /readyz, /metrics (default 8080)
  --log-level=LEVEL          debug, info, warn, error or silent (default info)
  --kubeconfig=FILE          outside a cluster, or for another one
  --context=NAME             context of the kubeconfig

Environment: SHIELDX_NAMESPACE, SHIELDX_POD_NAME, SHIELDX_POD_UID (downward API).

Signals: SIGUSR1 makes the log one level more verbose, SIGUSR2 sets it back to --log-level; in a cluster
kubectl exec POD -- sh -c 'kill -USR1 1'. SIGTERM and SIGINT stop: running reconciles get 30 s, then the Lease is given back
(left to expire while one still runs).
`;

/**
 * Reads flags and environment once. @returns a frozen object
 * @throws OperatorError USAGE for an unknown flag, CONFIG_INVALID with the name of the flag or variable
 */
export function parseControllerConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ControllerConfig {
  const flags = readFlags(args);
  const parsed = schema.safeParse({
    shieldxImage: flags["shieldx-image"] ?? "",
    postgresImage: flags["postgres-image"] ?? "",
    clusterDomain: flags["cluster-domain"] ?? "cluster.local",
    apiServerPorts: flags["api-server-ports"]?.split(","),
    logLevel: flags["log-level"] ?? "info",
    listen: flags["listen"] ?? "8080",
    watchNamespaces: (flags["watch-namespaces"] ?? "").split(",").filter((namespace) => namespace !== ""),
    kubeconfig: flags["kubeconfig"],
    context: flags["context"],
    namespace: environment["SHIELDX_NAMESPACE"],
    podName: environment["SHIELDX_POD_NAME"],
    podUid: environment["SHIELDX_POD_UID"],
  });
  if (parsed.success) return Object.freeze(parsed.data);
  const issue = parsed.error.issues[0];
  throw new OperatorError("CONFIG_INVALID", `${sourceOf(String(issue?.path[0]))}: ${issue?.message ?? "is not valid"}`);
}

function readFlags(args: readonly string[]): Readonly<Record<string, string | undefined>> {
  const text = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        "shieldx-image": text,
        "postgres-image": text,
        "cluster-domain": text,
        "api-server-ports": text,
        "watch-namespaces": text,
        "log-level": text,
        listen: text,
        kubeconfig: text,
        context: text,
      },
    }).values;
  } catch (cause) {
    throw new OperatorError("USAGE", cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** The flag or variable that a member of the configuration comes from. */
function sourceOf(member: string): string {
  const variables: Record<string, string> = {
    namespace: "SHIELDX_NAMESPACE",
    podName: "SHIELDX_POD_NAME",
    podUid: "SHIELDX_POD_UID",
  };
  return variables[member] ?? `--${member.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
