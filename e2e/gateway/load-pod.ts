import { setTimeout as wait } from "node:timers/promises";
import type { KubeClient } from "../../lib/kube/client.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { waitFor } from "../run.ts";
import { RESTRICTED } from "./application.ts";

/** What the client in the pod knows, see app/results.go. Times are in seconds since 1970. */
export interface LoadResults {
  readonly ended: boolean;
  /** Requests that have got an answer, or an error. */
  readonly sent: number;
  /** By `version/code`: "-" for answers of the gateway itself, code 0 for none. */
  readonly counts: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  /** Requests that were not sent because too many were under way. */
  readonly leftOut: number;
  readonly seen: Readonly<
    Record<string, { readonly first: number; readonly last: number; readonly lastSent: number; readonly count: number }>
  >;
}

export interface LoadOptions {
  readonly namespace: string;
  readonly name: string;
  readonly image: string;
  readonly url: string;
  readonly host: string;
  /** Requests per second. */
  readonly rate: number;
  readonly seconds: number;
  /** More flags of `app load`, see app/load.go. */
  readonly flags?: readonly string[];
}

/** A pod that sends a steady load and ends by itself. */
export interface Load {
  results(): Promise<LoadResults>;
  /** Waits for the end. */
  ended(): Promise<LoadResults>;
  /** Removes the pod. */
  stop(): Promise<void>;
}

/** Results are kept this long after the end for whoever asks late. */
const LINGER = "1h";
/** On top of the load's own time: the pod's start, and the last answers. */
const SLACK_MS = 60_000;

/** Starts a load and waits until its first requests are answered. A pod of that name goes first. */
export async function startLoad(client: KubeClient, options: LoadOptions): Promise<Load> {
  const { namespace, name, seconds } = options;
  const ref = { namespace, name };
  await removePod(client, ref);
  await client.create(RESOURCES.Pod, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...ref, labels: { "app.kubernetes.io/name": "load" } },
    spec: podSpec(options),
  });
  const results = async (): Promise<LoadResults> =>
    (await client.getPath(`/api/v1/namespaces/${namespace}/pods/${name}:9090/proxy/results`)) as LoadResults;
  await waitFor(`load ${name}`, SLACK_MS, async () => (await results()).sent > 0);
  return {
    results,
    ended: () =>
      waitFor(`the end of load ${name}`, seconds * 1000 + SLACK_MS, async () => {
        const now = await results();
        return now.ended && now;
      }),
    stop: () => removePod(client, ref),
  };
}

function podSpec({ image, url, host, rate, seconds, flags = [] }: LoadOptions): object {
  return {
    restartPolicy: "Never",
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 1,
    securityContext: RESTRICTED.pod,
    containers: [
      {
        name: "load",
        image,
        imagePullPolicy: "IfNotPresent",
        args: ["load", "-host", host, "-rate", `${rate}`, "-duration", `${seconds}s`, "-linger", LINGER, ...flags, url],
        ports: [{ name: "results", containerPort: 9090 }],
        securityContext: RESTRICTED.container,
      },
    ],
  };
}

async function removePod(client: KubeClient, ref: { namespace: string; name: string }): Promise<void> {
  if ((await client.find(RESOURCES.Pod, ref)) === undefined) return;
  await client.delete(RESOURCES.Pod, ref, { gracePeriodSeconds: 0 });
  while ((await client.find(RESOURCES.Pod, ref)) !== undefined) await wait(50);
}
