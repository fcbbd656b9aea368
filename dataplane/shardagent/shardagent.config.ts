import { parseArgs } from "node:util";
import { z } from "zod";
import { AGENT_PORT, AGENT_PROBE_PORT, POSTGRES_PORT } from "../../crds/agent-status.ts";
import { OperatorError } from "../../lib/core/errors.ts";

const port = z.coerce.number().int().min(1).max(65_535);
const index = z.coerce.number().int().min(0).max(4095);
const text = z.string().min(1);

const parameters = z.record(z.string(), z.string());

const schema = z.strictObject({
  namespace: text,
  podName: text,
  podUid: text,
  podIp: text.exactOptional(),
  shardset: text,
  shard: index,
  instance: index,
  lease: text,
  dataDir: text,
  runtimeDir: text,
  tlsDir: text,
  caDir: text,
  listen: port,
  probeListen: port,
  /** Plain HTTP of `/metrics` alone; none without it. */
  metricsListen: port.exactOptional(),
  postgresPort: port,
  kubeconfig: text.exactOptional(),
  logLevel: z.enum(["debug", "info", "warn", "error", "silent"]),
  parameters,
  path: text,
});

/** What the agent runs with; frozen. */
export type AgentConfig = Readonly<z.output<typeof schema>>;

const OPTIONS = {
  shardset: { type: "string" },
  shard: { type: "string" },
  instance: { type: "string", default: "0" },
  lease: { type: "string" },
  "data-dir": { type: "string", default: "/var/lib/postgresql/data" },
  "runtime-dir": { type: "string", default: "/run/postgresql" },
  "tls-dir": { type: "string", default: "/etc/shieldx/tls" },
  "ca-dir": { type: "string", default: "/etc/shieldx/ca" },
  listen: { type: "string", default: String(AGENT_PORT) },
  "probe-listen": { type: "string", default: String(AGENT_PROBE_PORT) },
  "metrics-listen": { type: "string" },
  "postgres-port": { type: "string", default: String(POSTGRES_PORT) },
  kubeconfig: { type: "string" },
  "log-level": { type: "string", default: "info" },
} as const;

/** Flags of the subcommand with the variable that stands behind each member, for messages. */
const SOURCES: Readonly<Record<string, string>> = {
  namespace: "SHIELDX_NAMESPACE",
  podName: "SHIELDX_POD_NAME",
  podUid: "SHIELDX_POD_UID",
  podIp: "SHIELDX_POD_IP",
  parameters: "SHIELDX_POSTGRES_PARAMETERS",
  path: "PATH",
};

/**
 * Reads flags and environment.
 * @throws OperatorError CONFIG_INVALID naming the flag or variable
 */
export function parseAgentConfig(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): AgentConfig {
  const { values } = readFlags(args);
  const candidate = {
    namespace: env["SHIELDX_NAMESPACE"],
    podName: env["SHIELDX_POD_NAME"],
    podUid: env["SHIELDX_POD_UID"],
    ...optional("podIp", env["SHIELDX_POD_IP"]),
    shardset: values.shardset,
    shard: values.shard,
    instance: values.instance,
    lease: values.lease ?? `${values.shardset ?? ""}-${values.shard ?? ""}`,
    dataDir: values["data-dir"],
    runtimeDir: values["runtime-dir"],
    tlsDir: values["tls-dir"],
    caDir: values["ca-dir"],
    listen: values.listen,
    probeListen: values["probe-listen"],
    ...optional("metricsListen", values["metrics-listen"]),
    postgresPort: values["postgres-port"],
    ...optional("kubeconfig", values.kubeconfig ?? env["SHIELDX_KUBECONFIG"]),
    logLevel: values["log-level"],
    parameters: readJson(env["SHIELDX_POSTGRES_PARAMETERS"] ?? "{}"),
    path: env["PATH"],
  };
  const result = schema.safeParse(candidate);
  if (result.success) return Object.freeze(result.data);
  const [issue] = result.error.issues;
  const member = String(issue?.path[0] ?? "");
  throw new OperatorError("CONFIG_INVALID", `${sourceOf(member)}: ${issue?.message ?? "not valid"}`);
}

function readFlags(args: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>> {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true, allowPositionals: false });
  } catch (error) {
    throw new OperatorError("USAGE", (error as Error).message, { cause: error });
  }
}

function readJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new OperatorError("CONFIG_INVALID", "SHIELDX_POSTGRES_PARAMETERS is not JSON");
  }
}

function optional(name: string, value: string | undefined): Record<string, string> {
  return value === undefined || value === "" ? {} : { [name]: value };
}

function sourceOf(member: string): string {
  return SOURCES[member] ?? `--${member.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
