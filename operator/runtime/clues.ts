import type { Clock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { createThrottle } from "./throttle.ts";
import type { ReconcileContext } from "./types.ts";

// What only events and StorageClasses know about an object that does not come up. Neither is worth a memory: they are
// asked for, about exactly these objects, and only while something is wrong.

/** The newest complaint about an object. */
export interface Complaint {
  /** For example `FailedMount`. */
  readonly reason: string;
  readonly message: string;
}

/** A StorageClass of the cluster. */
export interface StorageClassFacts {
  readonly name: string;
  readonly isDefault: boolean;
}

/** What was found out. */
export interface Clues {
  /** By the uid of the object. */
  readonly complaints: ReadonlyMap<string, Complaint>;
  /** In name order; `undefined` when nobody asked, or when we may not know (an operator of a few namespaces). */
  readonly classes: readonly StorageClassFacts[] | undefined;
}

/** Nothing was asked. */
export const NO_CLUES: Clues = { complaints: new Map(), classes: undefined };

/** Something that may not come up. */
export interface Suspect {
  readonly namespace: string;
  readonly uid: string | undefined;
  /** Milliseconds since the epoch. */
  readonly createdAt: number | undefined;
  /** It waits for a volume, so that the StorageClasses count. */
  readonly isClaim?: boolean;
}

/** Asks about suspects; never fails: words are not worth a reconcile. */
export type ClueReader = (
  suspects: readonly Suspect[],
  context: Pick<ReconcileContext, "live" | "clock" | "log" | "signal">,
) => Promise<Clues>;

/** What is younger is still starting: nobody is asked about it. */
export const SUSPECT_AFTER_MS = 3_000;

/** An answer is kept for so long: suspects are looked at every 2 s, and their controllers complain less often. */
export const CLUES_KEPT_SECONDS = 10;

/** Suspects that are asked about at once; a whole ShardSet fails for one reason. */
const SUSPECTS_MAX = 8;

/** A reader of one controller. */
export function createClueReader(): ClueReader {
  const told = createThrottle<Complaint | undefined>(CLUES_KEPT_SECONDS);
  const classes = createThrottle<readonly StorageClassFacts[] | undefined>(CLUES_KEPT_SECONDS);
  return async (suspects, context) => {
    const { clock } = context;
    const old = suspects.filter((suspect) => isOld(suspect, clock)).slice(0, SUSPECTS_MAX);
    if (old.length === 0) return NO_CLUES;
    const complaints = await Promise.all(
      old.map(async ({ uid = "", namespace }) => {
        if (told.waitSeconds(uid, clock) === 0) told.mark(uid, clock, await complaintAbout(namespace, uid, context));
        const complaint = told.last(uid, clock);
        return complaint === undefined ? [] : [[uid, complaint] as const];
      }),
    );
    if (old.some(({ isClaim }) => isClaim === true) && classes.waitSeconds("", clock) === 0) {
      classes.mark("", clock, await classesOf(context));
    }
    return { complaints: new Map(complaints.flat()), classes: classes.last("", clock) };
  };
}

function isOld({ uid, createdAt }: Suspect, clock: Clock): boolean {
  return uid !== undefined && createdAt !== undefined && clock.now() - createdAt >= SUSPECT_AFTER_MS;
}

interface EventShape extends KubeObject {
  readonly type?: string;
  readonly reason?: string;
  readonly note?: string;
  readonly eventTime?: string | null;
  readonly deprecatedLastTimestamp?: string | null;
  readonly series?: { readonly lastObservedTime?: string };
}

/** Told as Normal by the volume controller, though nothing goes on: no class, and no volume without one. */
const NORMAL_COMPLAINTS = ["FailedBinding"];

type Asking = Parameters<ClueReader>[1];

async function complaintAbout(namespace: string, uid: string, context: Asking): Promise<Complaint | undefined> {
  const events = await listOrNothing<EventShape>(context, () =>
    context.live.list(RESOURCES.Event, {
      namespace,
      fieldSelector: `regarding.uid=${uid}`,
      signal: context.signal,
    }),
  );
  const [newest] = (events ?? [])
    .filter(({ type, reason = "" }) => type === "Warning" || NORMAL_COMPLAINTS.includes(reason))
    .sort((a, b) => timeOf(b) - timeOf(a));
  return newest === undefined ? undefined : { reason: newest.reason ?? "Failed", message: newest.note ?? "" };
}

function timeOf({ series, deprecatedLastTimestamp, eventTime, metadata }: EventShape): number {
  const time = series?.lastObservedTime ?? deprecatedLastTimestamp ?? eventTime ?? metadata.creationTimestamp;
  return time === undefined ? 0 : Date.parse(time);
}

const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";

async function classesOf(context: Asking): Promise<readonly StorageClassFacts[] | undefined> {
  const found = await listOrNothing<KubeObject>(context, () =>
    context.live.list(RESOURCES.StorageClass, { signal: context.signal }),
  );
  return found
    ?.map(({ metadata }) => ({ name: metadata.name, isDefault: metadata.annotations?.[DEFAULT_CLASS] === "true" }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function listOrNothing<T extends KubeObject>(
  { log }: Asking,
  list: () => Promise<{ readonly items: readonly KubeObject[] }>,
): Promise<readonly T[] | undefined> {
  try {
    return (await list()).items as readonly T[];
  } catch (error) {
    log.debug({ error: toOperatorError(error).message }, "nobody can be asked why something does not come up");
    return undefined;
  }
}
