import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import type { ClientRequest } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { API_VERSION } from "../crds/group.ts";
import { temporaryFolder, trackChild } from "../lib/node/testing/leftovers.ts";
import { type Cluster, condition } from "./cluster.ts";
import { ROOT, waitFor } from "./run.ts";

/** A ShardSet and a CreditLedger in a namespace of their own. */
export interface BankOptions {
  readonly namespace: string;
  readonly shards?: number;
  readonly replicas?: number;
  readonly deletionPolicy?: "Retain" | "Delete";
}

/** Name of the ShardSet and of the CreditLedger that the tests use. */
export const SHARD_SET = "bank";
export const LEDGER = "credits";

/** The manifests of a bank. */
export function bankManifests(options: BankOptions): { namespace: object; shardSet: object; ledger: object } {
  const metadata = (name: string) => ({ name, namespace: options.namespace });
  const policy = options.deletionPolicy === undefined ? {} : { deletionPolicy: options.deletionPolicy };
  return {
    namespace: { apiVersion: "v1", kind: "Namespace", metadata: { name: options.namespace } },
    shardSet: {
      apiVersion: API_VERSION,
      kind: "ShardSet",
      metadata: metadata(SHARD_SET),
      spec: { shards: options.shards ?? 2, storage: { size: "1Gi" }, ...policy },
    },
    ledger: {
      apiVersion: API_VERSION,
      kind: "CreditLedger",
      metadata: metadata(LEDGER),
      spec: {
        shardSet: SHARD_SET,
        assets: [{ code: "CZK", scale: 2 }],
        replicas: options.replicas ?? 2,
        ...policy,
      },
    },
  };
}

/** Applies a bank and waits until both resources are Ready. */
export async function createBank(cluster: Cluster, options: BankOptions): Promise<void> {
  const manifests = bankManifests(options);
  await cluster.apply({ apiVersion: "v1", kind: "List", items: Object.values(manifests) });
  await waitReady(cluster, "shardset", SHARD_SET, options.namespace);
  await waitReady(cluster, "creditledger", LEDGER, options.namespace);
}

/** Waits until a resource says Ready for its present generation. */
export async function waitReady(cluster: Cluster, kind: string, name: string, namespace: string): Promise<void> {
  let last = "no status yet";
  await waitFor(`${kind} ${namespace}/${name} to be Ready`, 240_000, async () => {
    const object = await cluster.get(kind, name, namespace);
    const ready = condition(object, "Ready");
    last = ready === undefined ? "no condition Ready for this generation" : `${ready.reason}: ${ready.message}`;
    if (ready?.status === "True") return true;
    throw new Error(last);
  });
}

/** An answer of the ledger's API. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body when it is JSON, else undefined. */
  readonly json: Record<string, unknown> | undefined;
}

/** The ledger's API through a port-forward, as an application outside the cluster sees it. */
export interface LedgerApi {
  readonly url: string;
  readonly key: string;
  readonly caFile: string;
  readonly keyFile: string;
  call(
    method: string,
    path: string,
    options?: { body?: unknown; raw?: string; key?: string | null; headers?: Record<string, string> },
  ): Promise<Answer>;
  close(): void;
}

/** Value of one key of a Secret. */
export async function secretValue(cluster: Cluster, namespace: string, name: string, key: string): Promise<string> {
  const secret = await cluster.get("secret", name, namespace);
  const value = (secret?.["data"] as Record<string, string> | undefined)?.[key];
  if (value === undefined) throw new Error(`secret ${namespace}/${name} has no ${key}`);
  return Buffer.from(value, "base64").toString();
}

/** Opens the API of a bank's ledger. Close it at the end. */
export async function openLedgerApi(cluster: Cluster, namespace: string): Promise<LedgerApi> {
  const folder = temporaryFolder("e2e");
  const caFile = join(folder, "ca.crt");
  const keyFile = join(folder, "key");
  const key = (await secretValue(cluster, namespace, `${LEDGER}-admin-key`, "key")).trim();
  writeFileSync(caFile, await secretValue(cluster, namespace, `${LEDGER}-ca`, "ca.crt"));
  writeFileSync(keyFile, key, { mode: 0o600 });

  const forward = spawn(
    join(ROOT, ".build", "bin", "kubectl"),
    ["port-forward", "-n", namespace, `svc/${LEDGER}`, "--address", "127.0.0.1", ":443"],
    { env: { ...process.env, KUBECONFIG: cluster.kubeconfig }, stdio: ["ignore", "pipe", "pipe"] },
  );
  trackChild(forward);
  let output = "";
  forward.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  forward.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  const port = await waitFor("the port-forward to the ledger", 30_000, async () => {
    if (forward.exitCode !== null) throw new Error(output);
    return /127\.0\.0\.1:(\d+)/.exec(output)?.[1];
  });
  const url = `https://127.0.0.1:${port}`;
  // When the pod behind the port-forward dies, kubectl ends, and no answer comes any more.
  const open = new Set<ClientRequest>();
  forward.on("exit", () => {
    for (const outgoing of open) outgoing.destroy(new Error("the port-forward ended"));
  });

  return {
    url,
    key,
    caFile,
    keyFile,
    close: () => void forward.kill(),
    call: (method, path, options = {}) =>
      new Promise((resolve, reject) => {
        const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
        const bearer = options.key === undefined ? key : options.key;
        const outgoing = request(
          `${url}${path}`,
          {
            method,
            ca: readFileSync(caFile),
            servername: "localhost",
            minVersion: "TLSv1.3",
            timeout: 30_000,
            headers: {
              ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
              ...(body === undefined ? {} : { "content-type": "application/json" }),
              ...options.headers,
            },
          },
          (response) => {
            let text = "";
            response.setEncoding("utf8").on("data", (part: string) => (text += part));
            response.on("error", reject);
            response.on("end", () => {
              const isJson = /json/.test(response.headers["content-type"] ?? "");
              resolve({
                status: response.statusCode ?? 0,
                headers: response.headers,
                text,
                json: isJson ? (JSON.parse(text) as Record<string, unknown>) : undefined,
              });
            });
          },
        );
        open.add(outgoing);
        outgoing.on("close", () => open.delete(outgoing));
        outgoing.on("timeout", () => outgoing.destroy(new Error(`${method} ${path}: no answer in 30 s`)));
        outgoing.on("error", reject);
        outgoing.end(body);
      }),
  };
}
