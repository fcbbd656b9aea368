// Promise: on a cluster that enforces NetworkPolicies, pods reach what their policies name and nothing else. Each refusal
// stands beside the same call by a pod that no policy holds, or to a port that the policy names: a network that refuses
// everything, or nothing, fails these tests.
import { expect } from "@jest/globals";
import { METRICS_PORT } from "../crds/agent-status.ts";
import { API_VERSION } from "../crds/group.ts";
import { SHARD_SET, waitReady } from "./bank.ts";
import { builtImages, type Cluster, SYSTEM_NAMESPACE } from "./cluster.ts";
import { waitFor } from "./run.ts";
import { suite } from "./suite.ts";

const NAMESPACE = "network";
const FREE = "free";
const CLIENT = "client";

/** Pod of the one shard. */
const SHARD = `${SHARD_SET}-0-0`;
const POSTGRES = 5432;

/** CoreDNS answers queries on the first port and tells its metrics on the second; no policy of ours names the second. */
const DNS = { query: 53, metrics: 9153 } as const;

/** Where a listener of the tests waits; no policy names it. */
const UNNAMED_PORT = 9999;

interface Place {
  readonly namespace: string;
  readonly pod: string;
}

const free: Place = { namespace: NAMESPACE, pod: FREE };
const client: Place = { namespace: NAMESPACE, pod: CLIENT };
const shard: Place = { namespace: NAMESPACE, pod: SHARD };

suite("network", [NAMESPACE], ({ cluster: present, prepare, promise }) => {
  let controller: Place;
  let controllerIp: string;
  let dnsIp: string;

  prepare(async () => {
    const cluster = present();
    await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
    for (const name of [FREE, CLIENT]) await cluster.apply(podOf(name));
    await cluster.apply(shardSet());
    for (const name of [FREE, CLIENT]) {
      await cluster.kubectl(["wait", "-n", NAMESPACE, "--for=condition=Ready", `pod/${name}`, "--timeout=60s"]);
    }
    await waitReady(cluster, "shardset", SHARD_SET, NAMESPACE);
    [dnsIp = ""] = await addresses(cluster, "kube-system", "k8s-app=kube-dns");
    [controllerIp = ""] = await addresses(cluster, SYSTEM_NAMESPACE, CONTROLLERS);
    const [pod] = await cluster.list("pods", SYSTEM_NAMESPACE, CONTROLLERS);
    controller = { namespace: SYSTEM_NAMESPACE, pod: pod?.metadata.name ?? "" };
  });

  promise("lets the controller ask DNS, and nothing else of the same pods", async () => {
    await reaches(present(), controller, [dnsIp, DNS.query]);
    await isRefused(present(), controller, [dnsIp, DNS.metrics]);
    await reaches(present(), free, [dnsIp, DNS.metrics]);
  });

  promise("lets the named clients connect to PostgreSQL, and nobody else", async () => {
    const cluster = present();
    const [ip = ""] = await addresses(cluster, NAMESPACE, `shieldx.dev/name=${SHARD_SET}`);
    await reaches(cluster, client, [ip, POSTGRES]);
    await isRefused(cluster, free, [ip, POSTGRES]);
    // The same pod reaches another port of the same shard.
    await reaches(cluster, free, [ip, METRICS_PORT]);
  });

  promise("lets a database ask DNS, and nothing else of the same pods", async () => {
    const cluster = present();
    await reaches(cluster, shard, [dnsIp, DNS.query]);
    await isRefused(cluster, shard, [dnsIp, DNS.metrics]);
  });

  promise("lets others read the controller's metrics, and no other port of it", async () => {
    const cluster = present();
    await listen(cluster, controller);
    await reaches(cluster, controller, ["127.0.0.1", UNNAMED_PORT]);
    await reaches(cluster, free, [controllerIp, 8080]);
    await isRefused(cluster, free, [controllerIp, UNNAMED_PORT]);
  });
});

/** One shard that pods with the label of the client may connect to. */
function shardSet(): object {
  const clients = [{ podSelector: { matchLabels: { role: CLIENT } } }];
  return {
    apiVersion: API_VERSION,
    kind: "ShardSet",
    metadata: { name: SHARD_SET, namespace: NAMESPACE },
    spec: { shards: 1, networkPolicy: { clients }, deletionPolicy: "Delete" },
  };
}

const CONTROLLERS = "app.kubernetes.io/component=controller";

async function addresses(cluster: Cluster, namespace: string, selector: string): Promise<string[]> {
  const pods = await cluster.list("pods", namespace, selector);
  return pods.map(({ status }) => (status as { podIP?: string }).podIP ?? "");
}

/** A pod that no policy selects. Its label is its name. */
function podOf(name: string): object {
  const security = { allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: { drop: ["ALL"] } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: NAMESPACE, labels: { role: name } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name,
          image: builtImages().shieldx,
          imagePullPolicy: "IfNotPresent",
          command: ["sleep", "3600"],
          securityContext: security,
        },
      ],
    },
  };
}

const CONNECT = `
const [host, port] = process.argv.slice(1);
const socket = require("node:net").connect({ host, port: Number(port), timeout: 3000 });
const say = (word) => { console.log(word); process.exit(); };
socket.on("connect", () => say("open")).on("timeout", () => say("silence")).on("error", ({ code }) => say(code));`;

/** Ends by itself. */
const LISTEN = `
require("node:net").createServer((socket) => socket.end()).listen(${String(UNNAMED_PORT)}, () => console.log("listening"));
setTimeout(() => process.exit(), 60_000);`;

async function connect(cluster: Cluster, { namespace, pod }: Place, to: readonly [string, number]): Promise<string> {
  const program = ["node", "-e", CONNECT, ...to.map(String)];
  return (await cluster.kubectl(["exec", "-n", namespace, pod, "--", ...program])).trim();
}

async function listen(cluster: Cluster, { namespace, pod }: Place): Promise<void> {
  const program = `node -e '${LISTEN}' >/dev/null 2>&1 &`;
  await cluster.kubectl(["exec", "-n", namespace, pod, "--", "sh", "-c", program]);
}

/** The enforcer needs a moment for a pod that it has not seen yet. */
async function reaches(cluster: Cluster, from: Place, to: readonly [string, number]): Promise<void> {
  await waitFor(`${from.pod} to reach ${to.join(":")}`, 20_000, async () => {
    return (await connect(cluster, from, to)) === "open";
  });
}

async function isRefused(cluster: Cluster, from: Place, to: readonly [string, number]): Promise<void> {
  expect(["ECONNREFUSED", "silence", "EHOSTUNREACH"]).toContain(await connect(cluster, from, to));
}
