import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KubeObject } from "../lib/kube/types.ts";
import { type Finished, must, ROOT, type RunOptions, run } from "./run.ts";

const BIN = join(ROOT, ".build", "bin");

/** Namespace of the operator. */
export const SYSTEM_NAMESPACE = "shieldx-system";

/** Name of the Helm release. */
export const RELEASE = "shieldx";

/** The images that `images/build.sh` made last. */
export function builtImages(): { shieldx: string; postgres: string } {
  const file = join(ROOT, ".build", "images.env");
  if (!existsSync(file)) throw new Error("the images are not built: run 'make images'");
  const values = new Map(
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line.includes("="))
      .map((line) => line.replace("export ", "").split("=") as [string, string]),
  );
  return { shieldx: values.get("SHIELDX_IMAGE") ?? "", postgres: values.get("SHIELDX_POSTGRES_IMAGE") ?? "" };
}

/** A Kubernetes cluster with the client programs that fit it. */
export interface Cluster {
  readonly name: string;
  readonly kubeconfig: string;
  kubectl(args: readonly string[], options?: RunOptions): Promise<string>;
  /** Like `kubectl`, but a failure is an answer too. */
  tryKubectl(args: readonly string[], options?: RunOptions): Promise<Finished>;
  helm(args: readonly string[], options?: RunOptions): Promise<string>;
  tryHelm(args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** The program from its sources, pointed at this cluster. */
  shieldx(args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** One object as JSON; `undefined` when it does not exist. */
  get(resource: string, name: string, namespace?: string): Promise<KubeObject | undefined>;
  list(resource: string, namespace: string, selector?: string): Promise<KubeObject[]>;
  apply(manifest: object | string): Promise<string>;
}

/** Brings up the cluster (kept when it is healthy) and loads the images. */
export async function ensureCluster(
  name: string,
  options: { echo?: boolean; workers?: number } = {},
): Promise<Cluster> {
  const echo = options.echo ?? false;
  await must(join(ROOT, "e2e", "cluster", "up.sh"), [], {
    env: { CLUSTERS: name, ...(options.workers === undefined ? {} : { WORKERS: String(options.workers) }) },
    timeoutMs: 45 * 60_000,
    echo,
  });
  await must(join(ROOT, "images", "build.sh"), ["load", name], { timeoutMs: 20 * 60_000, echo });
  return cluster(name);
}

/** Handles of a cluster that runs already. */
export function cluster(name: string): Cluster {
  const kubeconfig = join(ROOT, ".build", "kube", `${name}.kubeconfig`);
  const env = { KUBECONFIG: kubeconfig, KUBECTL: join(BIN, "kubectl") };
  const withEnv = (options: RunOptions = {}): RunOptions => ({ ...options, env: { ...env, ...options.env } });
  const kubectl = (args: readonly string[], options?: RunOptions) => must(join(BIN, "kubectl"), args, withEnv(options));
  const tryKubectl = (args: readonly string[], options?: RunOptions) =>
    run(join(BIN, "kubectl"), args, withEnv(options));
  const inNamespace = (namespace?: string): string[] => (namespace === undefined ? [] : ["-n", namespace]);

  return {
    name,
    kubeconfig,
    kubectl,
    tryKubectl,
    helm: (args, options) => must(join(BIN, "helm"), args, withEnv(options)),
    tryHelm: (args, options) => run(join(BIN, "helm"), args, withEnv(options)),
    shieldx: (args, options) => run(join(ROOT, "bin", "shieldx"), args, withEnv(options)),
    get: async (resource, object, namespace) => {
      const found = await tryKubectl(["get", resource, object, ...inNamespace(namespace), "-o", "json"]);
      if (found.code === 0) return JSON.parse(found.stdout) as KubeObject;
      if (found.stderr.includes("NotFound")) return undefined;
      throw new Error(found.stderr);
    },
    list: async (resource, namespace, selector) => {
      const args = [
        "get",
        resource,
        "-n",
        namespace,
        "-o",
        "json",
        ...(selector === undefined ? [] : ["-l", selector]),
      ];
      return (JSON.parse(await kubectl(args)) as { items: KubeObject[] }).items;
    },
    apply: (manifest) =>
      kubectl(["apply", "--server-side", "-f", "-"], {
        input: typeof manifest === "string" ? manifest : JSON.stringify(manifest),
      }),
  };
}

/** Installs or upgrades the operator from the chart of this checkout and waits until it runs. */
export async function installOperator(target: Cluster, values: readonly string[] = []): Promise<string> {
  const images = builtImages();
  return target.helm([
    "upgrade",
    "--install",
    RELEASE,
    join(ROOT, "charts", "operator"),
    "--namespace",
    SYSTEM_NAMESPACE,
    "--create-namespace",
    "--set",
    `image.reference=${images.shieldx}`,
    "--set",
    `postgresImage.reference=${images.postgres}`,
    ...values.flatMap((value) => ["--set", value]),
    "--wait",
    "--timeout",
    "5m",
  ]);
}

/** The container engine that runs a node. @throws when the cluster's nodes are not containers of this machine */
export async function engineOf(node: string): Promise<string> {
  for (const engine of ["podman", "docker"]) {
    // An engine that is not installed does not know the node either.
    const known = await run(engine, ["container", "inspect", node], { timeoutMs: 20_000 }).catch(() => undefined);
    if (known?.code === 0) return engine;
  }
  throw new Error(`node ${node} is not a container of this machine`);
}

/** Stops and starts the container that a node is, as a power cut and a repair would. */
export async function restartNode(node: string): Promise<void> {
  const engine = await engineOf(node);
  await must(engine, ["kill", node], { timeoutMs: 60_000 });
  await must(engine, ["start", node], { timeoutMs: 60_000 });
}

/**
 * Sends SIGKILL to every process of a pod but its sandbox, from the node: nothing in the pod gets a chance to say goodbye.
 * @returns false when there is no process to kill @throws when the cluster's nodes are not containers of this machine
 */
export async function killPodProcesses(pod: KubeObject): Promise<boolean> {
  const node = String((pod["spec"] as { nodeName?: string } | undefined)?.nodeName);
  // cgroup names write a pod's UID with dashes or, under systemd, with underscores.
  const uid = (pod.metadata.uid ?? "none").replaceAll("-", "[-_]");
  const script = `killed=1
    for file in /proc/[0-9]*/cgroup; do
      grep -q 'pod${uid}' "$file" 2>/dev/null || continue
      pid=\${file#/proc/}; pid=\${pid%/cgroup}
      [ "$(cat /proc/$pid/comm)" = pause ] || { kill -KILL "$pid" && killed=0; }
    done
    exit $killed`;
  return (await run(await engineOf(node), ["exec", node, "sh", "-c", script], { timeoutMs: 20_000 })).code === 0;
}

/** The condition of an object, when it describes the object's present generation. */
export function condition(
  object: KubeObject | undefined,
  type: string,
): { status: string; reason: string; message: string } | undefined {
  const status = object?.["status"] as
    | { conditions?: { type: string; status: string; reason: string; message: string; observedGeneration: number }[] }
    | undefined;
  const found = status?.conditions?.find((candidate) => candidate.type === type);
  return found !== undefined && found.observedGeneration === object?.metadata.generation ? found : undefined;
}

/** Writes logs, events and objects of the namespaces to `.build/failures/<name>`, for reading after a failed run. */
export async function collectEvidence(target: Cluster, name: string, namespaces: readonly string[]): Promise<string> {
  const folder = join(ROOT, ".build", "failures", name);
  mkdirSync(folder, { recursive: true });
  for (const namespace of [SYSTEM_NAMESPACE, ...namespaces]) {
    const save = async (file: string, args: readonly string[]): Promise<void> => {
      const finished = await target.tryKubectl(["-n", namespace, ...args], { timeoutMs: 60_000 });
      writeFileSync(join(folder, `${namespace}-${file}`), finished.stdout + finished.stderr);
    };
    await save("events.txt", ["get", "events", "--sort-by=.lastTimestamp"]);
    await save("objects.txt", [
      "get",
      "all,pvc,leases,secrets,configmaps,shardsets,creditledgers,rollouts",
      "-o",
      "wide",
    ]);
    await save("resources.yaml", ["get", "shardsets,creditledgers,rollouts,pods,leases", "-o", "yaml"]);
    const pods = await target.tryKubectl(["-n", namespace, "get", "pods", "-o", "name"]);
    for (const pod of pods.stdout.split("\n").filter(Boolean)) {
      await save(`${pod.replace("pod/", "")}.log`, ["logs", pod, "--all-containers", "--timestamps"]);
      await save(`${pod.replace("pod/", "")}.previous.log`, ["logs", pod, "--all-containers", "--previous"]);
    }
  }
  return folder;
}
