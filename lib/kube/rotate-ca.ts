import { ANNOTATIONS } from "../../crds/group.ts";
import { type Clock, rfc3339Seconds } from "../core/clock.ts";
import { OperatorError } from "../core/errors.ts";
import type { KubeClient } from "./client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "./types.ts";

// Asks a controller for a new CA, and follows what becomes of it, for the command line.

/** Whose CA, and how. */
export interface RotateCa {
  readonly resource: ResourceType;
  /** "namespace/name" */
  readonly of: string;
  /** Stays as it is on the resource when left out, for example `24h`. */
  readonly overlap?: string | undefined;
  readonly wait: boolean;
  readonly timeoutSeconds: number;
}

export interface RotateCaContext {
  readonly client: Pick<KubeClient, "get" | "find" | "patch">;
  readonly clock: Clock;
  /** One line. */
  readonly print: (line: string) => void;
}

const LOOK_MS = 2_000;

/**
 * Asks for a new CA, and waits until the former one is out if that is wanted.
 * @throws OperatorError USAGE, ROTATION_UNFINISHED when it takes too long, and those of the client
 */
export async function rotateCa(asked: RotateCa, { client, clock, print }: RotateCaContext): Promise<void> {
  const { resource, of, overlap, wait, timeoutSeconds } = asked;
  const [, namespace = "", name = ""] = /^([a-z0-9-]+)\/([a-z0-9.-]+)$/.exec(of) ?? [];
  if (name === "") throw new OperatorError("USAGE", `"${of}" is not NAMESPACE/NAME`);
  const ref = { namespace, name };
  // Each request is another value, also two within a second.
  const value = new Date(clock.now()).toISOString();
  const annotations = {
    [ANNOTATIONS.rotateCa]: value,
    ...(overlap === undefined ? {} : { [ANNOTATIONS.caOverlap]: overlap }),
  };
  await client.patch(resource, ref, { format: "merge", patch: { metadata: { annotations } } });
  const what = `${resource.kind} ${namespace}/${name}`;
  print(`${what}: a new CA is asked for (${value})`);
  if (!wait) return;
  const until = clock.monotonic() + timeoutSeconds * 1_000;
  let told = "";
  for (;;) {
    const object = await client.get(resource, ref);
    const says = conditionOf(object);
    const { caSecret = `${name}-ca` } = (object["status"] ?? {}) as { readonly caSecret?: string };
    const bundle = await client.find(RESOURCES.Secret, { namespace, name: caSecret });
    // The condition may be older than the request: the bundle says which one was acted on.
    const isBegun = bundle?.metadata.annotations?.[ANNOTATIONS.rotateCa] === value;
    const line = isBegun ? says.message : "the controller has not begun yet";
    if (line !== told) print(`${rfc3339Seconds(clock.now())} ${line}`);
    told = line;
    if (isBegun && says.isTrue && !isOlder(says, value)) return;
    if (clock.monotonic() >= until) {
      const text = `after ${String(timeoutSeconds)} s the CA of ${what} is not replaced yet: ${line}`;
      throw new OperatorError("ROTATION_UNFINISHED", text);
    }
    await clock.sleep(LOOK_MS);
  }
}

interface Says {
  readonly isTrue: boolean;
  readonly since: string;
  readonly message: string;
}

function conditionOf(object: KubeObject): Says {
  const status = object["status"] as { readonly conditions?: readonly Readonly<Record<string, string>>[] } | undefined;
  const found = status?.conditions?.find(({ type }) => type === "AuthorityCurrent");
  return {
    isTrue: found?.["status"] === "True",
    since: found?.["lastTransitionTime"] ?? "",
    message: found?.["message"] ?? "the controller says nothing about its CA",
  };
}

/** True for a condition that was True before the request and has not been written anew since: it is about the former CA. */
function isOlder({ since }: Says, request: string): boolean {
  return Date.parse(since) < Math.floor(Date.parse(request) / 1_000) * 1_000;
}
