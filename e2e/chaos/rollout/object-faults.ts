/** Somebody edits or deletes what belongs to a release. */
import { setTimeout as wait } from "node:timers/promises";
import { ROLLOUT } from "../../../crds/rollout.ts";
import { RESOURCES, resourceType } from "../../../lib/kube/types.ts";
import { SYSTEM_NAMESPACE } from "../../cluster.ts";
import { APPLICATION_PORTS } from "../../gateway/application.ts";
import { APP } from "../../release.ts";
import { waitFor } from "../../run.ts";
import {
  type Arena,
  askFor,
  beginRelease,
  ended,
  lookAt,
  PATIENCE_MS,
  reach,
  request,
  sound,
  type Trial,
  told,
} from "./arena.ts";
import { attribute, total } from "./counts.ts";

const MIDWAY = { phase: "Canary", stage: 1, isVerified: true } as const;
const HAND = "by-hand";
/** Share of the canary midway, in basis points. */
const MIDWAY_BPS = 5_000;
const WAR_MS = 300;
/** The Service that the user had before, as a backend. */
const FOREIGN = { name: APP, port: APPLICATION_PORTS.http, weight: 10_000 };

/** Weights, backends and the route itself are changed by hand: each time it becomes what it was, and the release goes on. */
export async function routeEdited(arena: Arena): Promise<void> {
  const { client, namespace } = arena.stage;
  await askFor(arena.stage, { holdSeconds: 15 });
  const trial = await beginRelease(arena);
  const edits: readonly (readonly [string, () => Promise<void>])[] = [
    ["all requests to the canary", () => writeByHand(arena, weighted(trial, 10_000))],
    ["none to the canary", () => writeByHand(arena, weighted(trial, 0))],
    ["another Service in their place", () => writeByHand(arena, [FOREIGN])],
    ["another Service beside them", () => writeByHand(arena, [...weighted(trial, MIDWAY_BPS), FOREIGN])],
    ["no route", async () => void (await client.delete(RESOURCES.HTTPRoute, { namespace, name: APP }))],
  ];
  await reach(arena, trial, MIDWAY);
  for (const [what, edit] of edits) {
    const mark = arena.timeline.mark();
    await edit();
    const at = Date.now();
    const back = await arena.timeline
      .until("the route to be as it was", {
        from: mark,
        timeoutMs: PATIENCE_MS,
        match: (sight) =>
          sight.kind === "route" &&
          !arena.foreign.has(sight.revision) &&
          sight.weights?.[trial.service] === MIDWAY_BPS &&
          Object.keys(sight.weights).length === 2 &&
          sight,
      })
      .catch(() => undefined);
    const seconds = back === undefined ? "never" : `after ${(Math.max(0, back.at - at) / 1_000).toFixed(1)} s`;
    arena.check(`what was written by hand is taken back: ${what}`, back !== undefined, seconds);
  }
  const { outcome } = await ended(arena, trial);
  arena.check("the release goes on", outcome === "Promoted", outcome);
  await sound(arena);
}

/** Somebody writes the weights again and again: it is said who, and a release that is taken back gets weight 0 nevertheless. */
export async function routeFoughtOver(arena: Arena): Promise<void> {
  await askFor(arena.stage, { holdSeconds: 60 });
  const trial = await beginRelease(arena);
  await reach(arena, trial, MIDWAY);
  const mark = arena.timeline.mark();
  let isOver = false;
  const war = (async () => {
    while (!isOver) {
      await writeByHand(arena, weighted(trial, 9_000));
      await wait(WAR_MS);
    }
  })();
  try {
    await told(arena, new RegExp(`^RouteAccepted=False RouteConflict: .*${HAND}`), mark);
    await request(arena, "Abort");
    const zero = await arena.timeline
      .until("weight 0 in the route", {
        from: mark,
        timeoutMs: PATIENCE_MS,
        match: (sight) => sight.kind === "route" && sight.weights?.[trial.service] === 0,
      })
      .catch(() => undefined);
    arena.check("weight 0 is written in the middle of it", zero !== undefined, zero === undefined ? "never" : "it is");
  } finally {
    isOver = true;
    await war;
  }
  const { outcome } = await ended(arena, trial);
  arena.check("the release goes back", outcome === "Aborted", outcome);
  await sound(arena);
}

function weighted({ service }: Trial, canary: number): object[] {
  const other = service.endsWith("-blue") ? `${APP}-green` : `${APP}-blue`;
  const port = APPLICATION_PORTS.http;
  const shares = { [service]: canary, [other]: 10_000 - canary };
  return Object.entries(shares).map(([name, weight]) => ({ name, port, weight }));
}

async function writeByHand({ stage: { client, namespace }, foreign }: Arena, backendRefs: object[]): Promise<void> {
  const patch = [{ op: "replace", path: "/spec/rules/0/backendRefs", value: backendRefs }];
  const written = await client.patch(
    RESOURCES.HTTPRoute,
    { namespace, name: APP },
    { format: "json", patch, fieldManager: HAND },
  );
  foreign.add(Number(written.metadata.resourceVersion));
}

/** The Deployment of each colour is deleted midway: it is made again, and the release goes on. */
export async function coloursDeleted(arena: Arena): Promise<void> {
  const { client, namespace } = arena.stage;
  for (const whose of ["the new version", "the version that serves"] as const) {
    await askFor(arena.stage, { holdSeconds: 15 });
    const trial = await beginRelease(arena);
    await reach(arena, trial, MIDWAY);
    const other = trial.service.endsWith("-blue") ? `${APP}-green` : `${APP}-blue`;
    const ref = { namespace, name: whose === "the new version" ? trial.service : other };
    const old = await client.get(RESOURCES.Deployment, ref);
    await client.delete(RESOURCES.Deployment, ref);
    const isNew = await waitFor("another Deployment", PATIENCE_MS, async () => {
      const found = await client.find(RESOURCES.Deployment, ref);
      return found !== undefined && found.metadata.uid !== old.metadata.uid;
    }).catch(() => false);
    arena.check(`the Deployment of ${whose} is made again`, isNew, ref.name);
    const { outcome, message } = await ended(arena, trial);
    arena.check(`the release goes on without the pods of ${whose}`, outcome === "Promoted", `${outcome}: ${message}`);
    await sound(arena);
  }
}

/**
 * All pods of the canary are deleted in the moment in which it is taken back. Until the gateway serves weight 0 it answers for pods that
 * are gone; from then on nobody sees an error.
 */
export async function canaryGoneAtAbort(arena: Arena): Promise<void> {
  const { client, namespace } = arena.stage;
  const { load, timeline, check, say } = arena;
  const trial = await beginRelease(arena);
  await reach(arena, trial, MIDWAY);
  const before = await load.results();
  const { mark } = lookAt(arena);
  const asked = request(arena, "Abort");
  const colour = trial.service.slice(APP.length + 1);
  const { items } = await client.list(RESOURCES.Pod, { namespace, labelSelector: `shieldx.dev/colour=${colour}` });
  await Promise.all(items.map(({ metadata: { name } }) => client.delete(RESOURCES.Pod, { namespace, name })));
  await asked;
  await timeline.until("weight 0 in the route", {
    from: mark,
    timeoutMs: PATIENCE_MS,
    match: (sight) => sight.kind === "route" && sight.weights?.[trial.service] === 0,
  });
  await wait(GATHERED_MS);
  const served = await load.results();
  const { outcome } = await ended(arena, trial);
  check("the release goes back", outcome === "Aborted", outcome);
  await sound(arena);
  const { lost } = attribute(served, await load.results(), new Set());
  check("no request is lost once the gateway serves weight 0", total(lost) === 0, JSON.stringify(lost));
  say(
    `  until then, of ${String(items.length)} pods that were gone: ${JSON.stringify(attribute(before, served, new Set()).lost)}`,
  );
}

/** Traefik gathers changes for 2 s (e2e/gateway/README.md); an answer may take a moment more. */
const GATHERED_MS = 3_000;

const NAMESPACE = resourceType("v1", ["Namespace", "namespaces"], false);
/** Lines of the operator's log about a namespace that is going: each kind that it owns may fail once or twice. */
const LOG_LINES_MAX = 30;

/** The namespace is deleted midway: all of it goes, and the operator does not mind. */
export async function namespaceDeleted(arena: Arena): Promise<void> {
  const { client, namespace } = arena.stage;
  const trial = await beginRelease(arena);
  await reach(arena, trial, MIDWAY);
  const since = new Date().toISOString();
  await client.delete(NAMESPACE, { name: namespace });
  const isGone = await waitFor("the namespace to be gone", PATIENCE_MS, async () => {
    const found = await client.find(NAMESPACE, { name: namespace });
    return found === undefined;
  }).catch(() => false);
  const left = isGone ? [] : (await client.list(ROLLOUT, { namespace })).items.map(({ metadata }) => metadata);
  arena.check("the namespace goes with all that is in it", isGone, isGone ? "it is gone" : JSON.stringify(left));
  const args = ["logs", "-n", SYSTEM_NAMESPACE, "-l", "app.kubernetes.io/component=controller"];
  const logs = await arena.cluster.kubectl([...args, "--tail=-1", `--since-time=${since}`]);
  const complaints = logs.split("\n").filter((line) => line.includes(namespace) && /"level":"(warn|error)"/.test(line));
  const isQuiet = complaints.length <= LOG_LINES_MAX;
  arena.check(
    "the operator's log has no storm",
    isQuiet,
    `${String(complaints.length)} lines; ${complaints[0] ?? "none"}`,
  );
}
