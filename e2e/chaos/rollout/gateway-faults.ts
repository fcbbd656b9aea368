/** The gateway, or what counts its requests, is away in the middle of a release. */
import { RESOURCES } from "../../../lib/kube/types.ts";
import { statusOf } from "../../release.ts";
import { waitFor } from "../../run.ts";
import { type Arena, askFor, beginRelease, ended, PATIENCE_MS, pass, reach, request, sound, told } from "./arena.ts";
import { openNodeShell } from "./node-shell.ts";

const GATEWAY = { namespace: "traefik", name: "traefik" } as const;
const MIDWAY = { phase: "Canary", stage: 1, isVerified: true } as const;
/** Time in which a release that goes on without counts would be seen to. */
const HOLD_SECONDS = 15;

/** SIGKILL of the gateway: it starts again, and the release goes on. */
export async function gatewayKilled(arena: Arena): Promise<void> {
  const { client } = arena.stage;
  const [pod] = (await client.list(RESOURCES.Pod, { namespace: GATEWAY.namespace })).items;
  if (pod === undefined) throw new Error("there is no pod of the gateway");
  const shell = await openNodeShell(String((pod["spec"] as { readonly nodeName?: string }).nodeName));
  try {
    const armed = await shell.arm(pod);
    const trial = await beginRelease(arena);
    await reach(arena, trial, MIDWAY);
    await armed.signal("KILL");
    const { outcome } = await ended(arena, trial);
    arena.check("the release goes on once the gateway is back", outcome === "Promoted", outcome);
  } finally {
    shell.close();
  }
  await sound(arena);
}

/** No gateway at all: nothing can be judged, so nothing goes on; it comes back, and the release goes on. */
export async function gatewayGone(arena: Arena): Promise<void> {
  await askFor(arena.stage, { holdSeconds: 8 });
  const trial = await beginRelease(arena);
  await reach(arena, trial, MIDWAY);
  const mark = arena.timeline.mark();
  await scaleGateway(arena, 0);
  await told(arena, /^Judged=Unknown/, mark);
  await heldFor(arena, HOLD_SECONDS);
  await scaleGateway(arena, 1);
  const { outcome } = await ended(arena, trial);
  arena.check("the release goes on once the gateway is back", outcome === "Promoted", outcome);
  await sound(arena);
}

/** A release that is taken back while there is no gateway ends only once one has taken weight 0. */
export async function gatewayGoneAtAbort(arena: Arena): Promise<void> {
  await askFor(arena.stage, { holdSeconds: 8 });
  const trial = await beginRelease(arena);
  await reach(arena, trial, MIDWAY);
  const mark = arena.timeline.mark();
  await scaleGateway(arena, 0);
  await request(arena, "Abort");
  await reach(arena, trial, { phase: "RollingBack" });
  await told(arena, /^Ready=False RollingBack/, mark);
  await told(arena, /^RouteAccepted=False RoutePending/, mark);
  await pass(HOLD_SECONDS);
  const { phase, retreat } = await statusOf(arena.stage);
  const isOpen = phase === "RollingBack" && retreat?.observedAt === undefined;
  arena.check("it does not end before a gateway has taken weight 0", isOpen, JSON.stringify({ phase, retreat }));
  await scaleGateway(arena, 1);
  const { outcome } = await ended(arena, trial);
  arena.check("it ends once the gateway is back", outcome === "Aborted", outcome);
  await sound(arena);
}

/** Nobody reaches the pods' metrics: the share stays, a person is asked, and says to go on. */
export async function metricsDown(arena: Arena): Promise<void> {
  const { client, namespace } = arena.stage;
  const rollback = { unknownTimeoutSeconds: 30, onUnknown: "Pause", windowSeconds: 3_600 };
  await askFor(arena.stage, { holdSeconds: 8, more: { rollback } });
  const trial = await beginRelease(arena);
  await reach(arena, trial, MIDWAY);
  const mark = arena.timeline.mark();
  const policy = { namespace, name: "gateway-alone" };
  await client.create(RESOURCES.NetworkPolicy, {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: policy,
    spec: {
      // Whatever is not the client: requests come from the gateway, questions from the operator.
      podSelector: { matchExpressions: [{ key: "app.kubernetes.io/name", operator: "NotIn", values: ["load"] }] },
      policyTypes: ["Ingress"],
      ingress: [
        { from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": GATEWAY.namespace } } }] },
      ],
    },
  });
  await told(arena, /^Judged=Unknown NoData/, mark);
  await told(arena, /^Ready=False WaitingForPerson: nothing could be judged for too long/, mark);
  await heldFor(arena, HOLD_SECONDS);
  await client.delete(RESOURCES.NetworkPolicy, policy);
  await told(arena, /^Judged=True Judging/, arena.timeline.mark());
  await request(arena, "Promote");
  const { outcome } = await ended(arena, trial);
  arena.check("it goes on when a person says so", outcome === "Promoted", outcome);
  await sound(arena);
}

/** The release stays at its stage, with its share. */
async function heldFor({ stage, check }: Arena, seconds: number): Promise<void> {
  const place = async () => {
    const { phase, stage: index, weight } = await statusOf(stage);
    return JSON.stringify({ phase, stage: index, weight: weight?.desiredBps });
  };
  const before = await place();
  await pass(seconds);
  const after = await place();
  check("nothing goes on while nothing is known", before === after, `${before}, ${String(seconds)} s later ${after}`);
}

async function scaleGateway({ stage: { client } }: Arena, replicas: number): Promise<void> {
  await client.patch(RESOURCES.Deployment, GATEWAY, { format: "merge", patch: { spec: { replicas } } });
  await waitFor(`${String(replicas)} gateways`, PATIENCE_MS, async () => {
    const { items } = await client.list(RESOURCES.Pod, { namespace: GATEWAY.namespace });
    const deployment = await client.get(RESOURCES.Deployment, GATEWAY);
    const { readyReplicas = 0 } = (deployment["status"] ?? {}) as { readonly readyReplicas?: number };
    return items.length === replicas && readyReplicas === replicas;
  });
}
