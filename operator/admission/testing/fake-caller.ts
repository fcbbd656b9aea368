import { randomUUID } from "node:crypto";
import { Agent, request } from "node:https";
import { systemClock } from "../../../lib/core/clock.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { errorFromStatus } from "../../../lib/kube/kube-errors.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import { jsonPatch } from "../../../testkit/fake/json-patch.ts";
import { eventually } from "../../../testkit/wait.ts";
import { isEqual, type PatchOperation } from "../json-patch.ts";
import type { Webhook } from "../webhook.ts";
import type { CallerOptions, RunningCaller } from "./caller.ts";
import { GADGET_V1, GADGET_V2, GADGET_WEBHOOKS, type Gadget } from "./gadget.ts";
import { failurePolicyOf, installGadgets, readTargets, startGadgetServer } from "./gadget-server.ts";
import { createMemoryKube } from "./memory-kube.ts";

/*
 * What an API server does with gadgets, in this process: it keeps connections alive, one pool for each bundle, believes
 * a certificate only if its bundle of that moment does, and asks in the order of the real one.
 */

/** As the real one: none is closed sooner by the caller. */
const IDLE_MS = 90_000;
/** An API server learns of a new bundle by a watch; the settling time of a test must be longer. */
const BUNDLE_LAG_MS = 60;
/** The API server waits 10 s; a test of what is slow need not. */
const TIMEOUT_SECONDS = 2;

/** Starts it over objects in memory. */
export async function startFakeCaller(options: CallerOptions = {}): Promise<RunningCaller> {
  const kube = createMemoryKube();
  // As behind a Service: two replicas that share nothing but the API server, asked in turn.
  const replicas = [await startGadgetServer(kube, options), await startGadgetServer(kube, options)] as const;
  const [{ server, url }] = replicas;
  await installGadgets(kube, url);
  const pools = new Map<string, Agent>();
  const stored = new Map<string, Gadget>();
  let version = 0;
  let asked = 0;

  let known = { seen: await readTargets(kube), at: systemClock.monotonic() };
  const poolOf = async (role: Webhook["role"]): Promise<Agent> => {
    const { monotonic } = systemClock;
    // What is read now is believed from the next time on.
    const { seen, at } = known;
    if (monotonic() - at > BUNDLE_LAG_MS) known = { seen: await readTargets(kube), at: monotonic() };
    const [bundle = ""] = seen.find(({ target }) => target.role === role)?.bundles ?? [];
    const pool = pools.get(bundle) ?? new Agent({ keepAlive: true, ca: bundle, timeout: IDLE_MS });
    pools.set(bundle, pool);
    return pool;
  };
  const ask = async (role: Webhook["role"], review: object): Promise<Record<string, unknown>> => {
    const webhook = GADGET_WEBHOOKS.find((one) => one.role === role);
    const path = `${webhook?.path ?? ""}?timeout=${TIMEOUT_SECONDS}s`;
    const replica = replicas[(asked += 1) % replicas.length] ?? replicas[0];
    const answer = await post({
      url: `${replica.url}${path}`,
      agent: await poolOf(role),
      body: JSON.stringify(review),
    });
    if (answer.status !== 200) throw errorFromStatus({ method: "POST", path }, JSON.parse(answer.text) as object);
    return (JSON.parse(answer.text) as { response: Record<string, unknown> }).response;
  };

  const convert = async (object: KubeObject, desiredAPIVersion: string): Promise<Gadget> => {
    if (object.apiVersion === desiredAPIVersion) return object as Gadget;
    const response = await ask("conversion", {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "ConversionReview",
      request: { uid: randomUUID(), desiredAPIVersion, objects: [object] },
    });
    const { status, message } = response["result"] as { status: string; message?: string };
    if (status !== "Success") throw new OperatorError("KUBE_FAILED", `conversion webhook failed: ${message ?? ""}`);
    return (response["convertedObjects"] as [Gadget])[0];
  };
  const admit = async (
    role: "validating" | "mutating",
    what: { readonly operation: string; readonly object?: Gadget; readonly oldObject?: Gadget | undefined },
  ): Promise<PatchOperation[]> => {
    const { group, version: v, kind, plural } = GADGET_V2;
    const response = await ask(role, {
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      request: {
        uid: randomUUID(),
        kind: { group, version: v, kind },
        resource: { group, version: v, resource: plural },
        userInfo: { username: "user" },
        ...what,
      },
    });
    if (response["allowed"] !== true) {
      const status = response["status"] as { code: number; reason: string; message: string };
      const message = `admission webhook denied the request: ${status.message}`;
      throw errorFromStatus({ method: "POST", path: "/gadgets" }, { ...status, message });
    }
    const patch = response["patch"] as string | undefined;
    return patch === undefined ? [] : (JSON.parse(Buffer.from(patch, "base64").toString("utf8")) as PatchOperation[]);
  };
  const validate = async (what: Parameters<typeof admit>[1]): Promise<void> => {
    try {
      await admit("validating", what);
    } catch (error) {
      const isDenial = (error as Error).message.includes("denied the request");
      if (isDenial || (await failurePolicyOf(kube)) === "Fail") throw error;
    }
  };

  const store = async (object: Gadget, oldObject: Gadget | undefined): Promise<Gadget> => {
    const operation = oldObject === undefined ? "CREATE" : "UPDATE";
    const hub = await convert(object, GADGET_V2.apiVersion);
    const patch = await admit("mutating", { operation, object: hub, oldObject });
    const completed = jsonPatch(hub, patch) as Gadget;
    await validate({ operation, object: completed, oldObject });
    const isSame = oldObject !== undefined && isEqual(completed, oldObject);
    if (!isSame) version += 1;
    const metadata = { ...completed.metadata, resourceVersion: String(version) };
    const kept = isSame ? oldObject : { ...completed, metadata };
    stored.set(kept.metadata.name, kept);
    return convert(kept, object.apiVersion);
  };
  const find = (name: string): Gadget => {
    const found = stored.get(name);
    if (found === undefined) throw new OperatorError("KUBE_NOT_FOUND", `gadgets "${name}" not found`);
    return found;
  };
  const versionOf = (name: "v1" | "v2"): string => (name === "v1" ? GADGET_V1 : GADGET_V2).apiVersion;

  await eventually("both show a certificate", () => replicas.every((replica) => replica.server.ready().ok));
  known = { seen: await readTargets(kube), at: systemClock.monotonic() };
  return {
    kube,
    server,
    create: (object) => store(object, undefined),
    update: (object) => store(object, find(object.metadata.name)),
    get: (name, object) => Promise.resolve().then(() => convert(find(object), versionOf(name))),
    list: (name) => Promise.all([...stored.values()].map((object) => convert(object, versionOf(name)))),
    remove: async (name) => {
      await validate({ operation: "DELETE", oldObject: find(name) });
      stored.delete(name);
    },
    metrics: async () => (await Promise.all(replicas.map(({ metrics }) => metrics.text()))).join("\n"),
    setFailurePolicy: (policy) => installGadgets(kube, url, policy),
    stop: async () => {
      for (const pool of pools.values()) pool.destroy();
      await Promise.all(replicas.map(({ stop }) => stop()));
    },
  };
}

interface Posted {
  readonly status: number;
  readonly text: string;
}

/** Nothing is sent twice: a connection that ends at the wrong moment is a failed admission. */
function post(what: { readonly url: string; readonly agent: Agent; readonly body: string }): Promise<Posted> {
  return new Promise((resolve, reject) => {
    const sent = request(what.url, {
      method: "POST",
      agent: what.agent,
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(what.body) },
    });
    const fail = (cause: Error): void =>
      reject(new OperatorError("KUBE_FAILED", `failed calling webhook: ${cause.message}`, { cause }));
    sent.on("error", fail);
    sent.on("response", (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", fail);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") }),
      );
    });
    sent.end(what.body);
  });
}
