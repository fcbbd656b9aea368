import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { OperatorError } from "../core/errors.ts";

export interface PortForwardOptions {
  /** `KUBECTL` names the program; else `.build/bin/kubectl` of the sources, else `kubectl` of PATH. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly namespace: string;
  /** `svc/name`, `pod/name`. */
  readonly target: string;
  /** Port of the target. */
  readonly port: number;
  readonly signal?: AbortSignal | undefined;
}

export interface PortForward {
  /** Port on 127.0.0.1. */
  readonly port: number;
  /** Resolves with kubectl's last words when the forward ends, also by itself: kubectl does not reconnect. */
  readonly ended: Promise<string>;
  close(): Promise<void>;
}

const START_TIMEOUT_MS = 30_000;
/** A kubectl that does not end by itself is killed. */
const END_LIMIT_MS = 2_000;
const BUILT_KUBECTL = resolve(import.meta.dirname, "../../.build/bin/kubectl");

/**
 * A tunnel from a laptop to a Service, by kubectl: it speaks every authentication and proxy that the user's kubeconfig needs.
 * @throws OperatorError KUBE_CONFIG_INVALID (no kubectl), KUBE_UNREACHABLE (kubectl's own words), ABORTED
 */
export async function openPortForward(options: PortForwardOptions): Promise<PortForward> {
  const program = options.environment["KUBECTL"] ?? (existsSync(BUILT_KUBECTL) ? BUILT_KUBECTL : "kubectl");
  const child = spawn(
    program,
    [
      "port-forward",
      ...(options.kubeconfig === undefined ? [] : [`--kubeconfig=${options.kubeconfig}`]),
      ...(options.context === undefined ? [] : [`--context=${options.context}`]),
      `--namespace=${options.namespace}`,
      "--address=127.0.0.1",
      options.target,
      `:${options.port}`,
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: { ...options.environment } },
  );

  let errors = "";
  child.stderr.on("data", (data: Buffer) => {
    errors = `${errors}${data.toString("utf8")}`.slice(-2_000);
  });
  let startFailure: NodeJS.ErrnoException | undefined;
  const ended = new Promise<string>((done) => {
    child.once("error", (error) => {
      startFailure = error;
      done(error.message);
    });
    child.once("close", () => done(errors.trim()));
  });
  const close = async (): Promise<void> => {
    child.kill("SIGTERM");
    const kill = setTimeout(() => {
      child.kill("SIGKILL");
      // A child of its own, such as a credentials plugin, may hold them open.
      child.stdout.destroy();
      child.stderr.destroy();
    }, END_LIMIT_MS);
    await ended;
    clearTimeout(kill);
  };

  let output = "";
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => void child.kill("SIGTERM");
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const port = await new Promise<number | undefined>((found) => {
    if (options.signal?.aborted) onAbort();
    timer = setTimeout(() => found(undefined), START_TIMEOUT_MS);
    child.stdout.on("data", (data: Buffer) => {
      output += data.toString("utf8");
      const match = /Forwarding from 127\.0\.0\.1:(\d+) ->/.exec(output);
      if (match !== null) found(Number(match[1]));
    });
    void ended.then(() => found(undefined));
  });
  clearTimeout(timer);
  if (port !== undefined) {
    void ended.then(() => options.signal?.removeEventListener("abort", onAbort));
    return { port, ended, close };
  }
  await close();
  options.signal?.removeEventListener("abort", onAbort);
  if (options.signal?.aborted) throw new OperatorError("ABORTED", "the port-forward was stopped");
  if (startFailure?.code === "ENOENT") {
    throw new OperatorError(
      "KUBE_CONFIG_INVALID",
      "kubectl was not found: set KUBECTL to its path, or give the ledger's --url",
      {
        cause: startFailure,
      },
    );
  }
  throw new OperatorError(
    "KUBE_UNREACHABLE",
    `port-forward to ${options.target} did not start: ${errors.trim() || "no answer"}`,
  );
}
