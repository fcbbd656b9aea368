import { taking } from "../../crds/forced-fields.ts";
import { ANNOTATIONS, FIELD_MANAGER, HAND_OVER_MANAGER } from "../../crds/group.ts";
import { contentHash } from "../../lib/core/canonical.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { isOperatorError, OperatorError } from "../../lib/core/errors.ts";
import { createPace, type PaceLimits } from "../../lib/core/pace.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type ObjectRef, refOf } from "../../lib/kube/paths.ts";
import type { RequestOptions } from "../../lib/kube/request-options.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import { createAppliedMemory, type Wanted } from "./applied.ts";
import type { CacheView, KubeCache } from "./cache.ts";
import { isLabelled, isOfOurMaking, isOurs, isStripped, nameConflict, withoutEarlierOwners } from "./ours.ts";
import { covers, isSatisfied } from "./projection.ts";
import { createUnsettledWrites } from "./unsettled.ts";

/** Whether a step wrote to the server. */
export type WriteResult = "written" | "unchanged";

/** Writes on behalf of an owner. Every method throws an OperatorError and then has written nothing. */
export interface Applier {
  /**
   * Server-side apply of the whole desired object. Sends nothing when the object carries the hash of this very desired
   * object and the fields it names are still as our last apply left them. Fields that somebody else took are taken back
   * from an object that is ours, and so are labels; a stranger's object is never touched.
   * @throws OperatorError NAME_CONFLICT; KUBE_FIELD_CONFLICT when the fields are taken again and again; KUBE_…
   */
  apply(owner: KubeObject, object: KubeObject, how: WriteHow): Promise<WriteResult>;
  /**
   * Applies fields of an object of ours under another name, by no force: a later apply that leaves them out changes nothing.
   * @throws OperatorError KUBE_NOT_FOUND, NAME_CONFLICT; KUBE_FIELD_CONFLICT when they are others by now; KUBE_…
   */
  handOver(owner: KubeObject, object: KubeObject, how: WriteHow): Promise<WriteResult>;
  /**
   * Creates the object once; one of ours that exists is left as it is, but for labels that somebody took from it.
   * @throws OperatorError NAME_CONFLICT, KUBE_…
   */
  create(owner: KubeObject, object: KubeObject, how: WriteHow): Promise<WriteResult>;
  /**
   * Deletes the object with this uid; gone already is success. @throws OperatorError KUBE_CONFLICT for an object that is not
   * at `resourceVersion` any more, where one is given
   */
  remove(
    target: WriteTarget & { readonly uid: string | undefined; readonly resourceVersion?: string | undefined },
    how: WriteHow,
  ): Promise<WriteResult>;
  /** Merge patch; sends nothing when the object in memory satisfies it. */
  patch(target: WriteTarget & { readonly patch: unknown }, how: WriteHow): Promise<WriteResult>;
}

/** How a write goes out, and the reads that it needs. */
export interface WriteHow {
  readonly signal: AbortSignal;
  /** It waits for nobody: see `Priority`. */
  readonly urgent?: true | undefined;
}

export interface WriteTarget {
  readonly resource: ResourceType;
  readonly namespace: string;
  readonly name: string;
}

export interface ApplierOptions {
  readonly client: Pick<KubeClient, "apply" | "create" | "delete" | "patch" | "find">;
  readonly cache: Pick<KubeCache, "overlay" | "overlayDeleted">;
  readonly view: Pick<CacheView, "get">;
  /** Kinds that the view holds; others are read from the server each time. */
  readonly isWatched: (type: ResourceType) => boolean;
  /** The type of a kind. @throws when the kind is unknown to the program */
  readonly typeOf: (object: KubeObject) => ResourceType;
  /** Called before each write, and again when it is sent. @throws OperatorError LEASE_LOST */
  readonly fence: () => void;
  readonly clock: Clock;
  /** Fields that somebody else took were taken back. @param conflict the server's words: the fields, and who took them */
  readonly onTakenBack?: (object: KubeObject, conflict: OperatorError) => void;
}

/**
 * How often fields of one object are taken back: whoever changed them by hand loses them at once, and with somebody who
 * writes them again each time there is no war of writes, but a failure that names him.
 */
const TAKE_BACK: PaceLimits = { burst: 5, intervalSeconds: 120 };
/**
 * A version that no object ever has (etcd's first write is version 2): the server creates an object that is not there, and
 * answers 409 for one that is, whatever it is. So nobody else's object is merged into, without a read before each creation.
 */
const ONLY_IF_ABSENT = "1";

/** An applier of one controller. */
export function createApplier(options: ApplierOptions): Applier {
  const { client, cache, view, fence } = options;
  const applied = createAppliedMemory(options);
  /** By uid and priority. */
  const takes = createPace(TAKE_BACK, options.clock);
  const { send, doubt, has: isUnsettled, settle } = createUnsettledWrites({ client, cache });

  const held = (type: ResourceType, { namespace = "", name }: ObjectRef): KubeObject | undefined =>
    options.isWatched(type) ? view.get(type, namespace, name) : undefined;

  /** True where memory does not tell what is there. */
  const mustLook = (type: ResourceType, ref: ObjectRef): boolean => !options.isWatched(type) || isUnsettled(type, ref);

  const observe = async (type: ResourceType, ref: ObjectRef, how: RequestHow): Promise<KubeObject | undefined> => {
    const known = held(type, ref);
    if (isUnsettled(type, ref)) return settle(type, ref, { held: known, ...how });
    // Watches are narrowed by labels: what they do not show may still be there, and may be somebody else's.
    return known ?? (await client.find(type, ref, how));
  };

  /** Memory keeps no managed fields, which tell who made what somebody has taken labels from. */
  const wasMadeHere = async (type: ResourceType, { live, object }: Found, how: RequestHow): Promise<boolean> => {
    if (!isStripped(live, object)) return false;
    const raw = live.metadata["managedFields"] === undefined ? await client.find(type, refOf(live), how) : live;
    if (raw === undefined || raw.metadata.uid !== live.metadata.uid) return false;
    return isOfOurMaking(raw) && isStripped(raw, object);
  };

  /** @throws OperatorError NAME_CONFLICT; from then on what memory does not show is looked at before it is written to */
  const requireOurs = async (type: ResourceType, found: Found, how: RequestHow): Promise<void> => {
    const { owner, live } = found;
    if (isOurs(owner, live) || (await wasMadeHere(type, found, how))) return;
    if (held(type, refOf(live)) === undefined) doubt(type, refOf(live));
    throw nameConflict(owner, live);
  };

  /** Changes metadata of this very object, as it was looked at. */
  const amend = async (live: KubeObject, metadata: object, how: RequestHow): Promise<KubeObject> => {
    const type = options.typeOf(live);
    const { uid, resourceVersion } = live.metadata;
    const patch = { metadata: { uid, resourceVersion, ...metadata } };
    fence();
    const answer = await send(type, refOf(live), () =>
      client.patch(type, refOf(live), { format: "merge", patch, fieldManager: FIELD_MANAGER, ...how, fence }),
    );
    cache.overlay(type, answer);
    return answer;
  };

  /** @throws the conflict when it is not the first time */
  const allowTakingBack = (live: KubeObject, conflict: OperatorError, { priority }: RequestHow): void => {
    // What undoes harm has takes of its own: a war about what was before it must not hold it up.
    const taker = `${live.metadata.uid ?? ""} ${priority ?? ""}`;
    if (takes.earliest(taker) > options.clock.monotonic()) throw contested(live, conflict);
    takes.spend(taker);
    options.onTakenBack?.(live, conflict);
  };

  /** True when a further apply would change nothing. */
  const isApplied = (live: KubeObject, wanted: Wanted): boolean =>
    // The annotation says what was applied, the fields say whether it is still so.
    live.metadata.annotations?.[ANNOTATIONS.appliedHash] === wanted.hash &&
    // What the server writes in another form costs one request after a restart, and no write.
    (covers(live, wanted.object) || applied.isAsLeft(live, wanted));

  return {
    apply: async (owner, object, asked) => {
      const how = requestHow(asked);
      const type = options.typeOf(object);
      const wanted = { object, hash: contentHash(object) };
      const sendApply = async (
        precondition: Precondition,
        force: { readonly force?: true } = {},
      ): Promise<KubeObject> => {
        const annotations = { ...object.metadata.annotations, [ANNOTATIONS.appliedHash]: wanted.hash };
        fence();
        const answer = await client.apply(
          type,
          { ...object, metadata: { ...object.metadata, ...precondition, annotations } },
          { fieldManager: FIELD_MANAGER, ...force, ...how, fence },
        );
        applied.remember(type, answer, wanted);
        cache.overlay(type, answer);
        return answer;
      };
      const sendOver = async (found: KubeObject): Promise<KubeObject> => {
        const { uid } = found.metadata;
        // The uid makes the server refuse when the object was replaced by another one of its name meanwhile.
        const precondition = uid === undefined ? {} : { uid };
        try {
          return await sendApply(precondition);
        } catch (error) {
          if (!isOperatorError(error, "KUBE_FIELD_CONFLICT")) throw error;
          // Not by force at once: the refusal says what was taken, and by whom.
          allowTakingBack(found, error, how);
          return sendApply(precondition, taking("owned"));
        }
      };

      let live = held(type, refOf(object));
      if (live === undefined && mustLook(type, refOf(object))) live = await observe(type, refOf(object), how);
      if (live === undefined) {
        try {
          await sendApply({ resourceVersion: ONLY_IF_ABSENT });
          return "written";
        } catch (error) {
          if (!isOperatorError(error, "KUBE_CONFLICT") && !isOperatorError(error, "KUBE_FIELD_CONFLICT")) throw error;
          // Watches are narrowed by labels: what they do not show is there, and may be somebody else's.
          live = await client.find(type, refOf(object), how);
          // Gone again between the two answers; or a server that takes version 1 for a version that must exist.
          if (live === undefined) {
            await sendApply({});
            return "written";
          }
          await requireOurs(type, { owner, live, object }, how);
          cache.overlay(type, live);
        }
      }
      await requireOurs(type, { owner, live, object }, how);
      if (isApplied(live, wanted)) return "unchanged";
      const ownerReferences = withoutEarlierOwners(owner, live);
      if (ownerReferences !== undefined) live = await amend(live, { ownerReferences }, how);
      const answer = await sendOver(live);
      return live.metadata.resourceVersion === answer.metadata.resourceVersion ? "unchanged" : "written";
    },
    handOver: async (owner, object, asked) => {
      const how = requestHow(asked);
      const type = options.typeOf(object);
      const live = await observe(type, refOf(object), how);
      if (live === undefined)
        throw new OperatorError("KUBE_NOT_FOUND", `${object.kind} ${object.metadata.name} is gone`);
      await requireOurs(type, { owner, live, object }, how);
      const { uid } = live.metadata;
      const precondition = uid === undefined ? {} : { uid };
      fence();
      const answer = await client.apply(
        type,
        { ...object, metadata: { ...object.metadata, ...precondition } },
        { fieldManager: HAND_OVER_MANAGER, ...how, fence },
      );
      cache.overlay(type, answer);
      return live.metadata.resourceVersion === answer.metadata.resourceVersion ? "unchanged" : "written";
    },
    create: async (owner, object, asked) => {
      const how = requestHow(asked);
      const type = options.typeOf(object);
      // What memory does not show is asked for at once: the server makes it, or says that the name is taken.
      const ref = refOf(object);
      const keep = async (live: KubeObject): Promise<WriteResult> => {
        if (isLabelled(owner, live)) {
          cache.overlay(type, live);
          return "unchanged";
        }
        await requireOurs(type, { owner, live, object }, how);
        // Without its labels no watch would ever show it.
        await amend(live, { labels: object.metadata.labels ?? {} }, how);
        return "written";
      };
      const known = mustLook(type, ref) ? await observe(type, ref, how) : held(type, ref);
      if (known !== undefined) return keep(known);
      fence();
      try {
        const made = await send(type, refOf(object), () =>
          client.create(type, object, { fieldManager: FIELD_MANAGER, ...how, fence }),
        );
        cache.overlay(type, made);
        return "written";
      } catch (error) {
        if (!isOperatorError(error, "KUBE_ALREADY_EXISTS")) throw error;
        const live = await client.find(type, refOf(object), how);
        // Gone again between the two answers: the next reconcile makes it.
        if (live === undefined) throw error;
        return keep(live);
      }
    },
    remove: async ({ resource, namespace, name, uid, resourceVersion }, asked) => {
      const how = requestHow(asked);
      const ref = { namespace, name };
      const live = await observe(resource, ref, how);
      if (live === undefined || (uid !== undefined && live.metadata.uid !== uid)) return "unchanged";
      if (live.metadata.deletionTimestamp !== undefined) return "unchanged";
      fence();
      try {
        const rest = await send(resource, ref, () =>
          client.delete(resource, ref, { uid: live.metadata.uid, resourceVersion, ...how, fence }),
        );
        if (rest !== undefined) cache.overlay(resource, rest);
        else if (live.metadata.uid !== undefined) cache.overlayDeleted(resource, ref, live.metadata.uid);
        return "written";
      } catch (error) {
        if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
        if (live.metadata.uid !== undefined) cache.overlayDeleted(resource, ref, live.metadata.uid);
        return "unchanged";
      }
    },
    patch: async ({ resource, namespace, name, patch }, asked) => {
      const how = requestHow(asked);
      const ref = { namespace, name };
      const before = held(resource, ref);
      const known = isUnsettled(resource, ref) ? await settle(resource, ref, { held: before, ...how }) : before;
      if (known !== undefined && isSatisfied(known, patch)) return "unchanged";
      fence();
      const answer = await send(resource, ref, () =>
        client.patch(resource, ref, { format: "merge", patch, fieldManager: FIELD_MANAGER, ...how, fence }),
      );
      if (isRemoved(answer)) {
        cache.overlayDeleted(resource, ref, answer.metadata.uid ?? "");
      } else {
        cache.overlay(resource, answer);
      }
      return "written";
    },
  };
}

/** What must still be so at the server. */
type Precondition = { readonly uid?: string; readonly resourceVersion?: string };

/** An object that has a wanted name. */
interface Found {
  readonly owner: KubeObject;
  readonly live: KubeObject;
  /** As it is to be. */
  readonly object: KubeObject;
}

type RequestHow = Pick<RequestOptions, "priority"> & { readonly signal: AbortSignal };

function requestHow({ signal, urgent }: WriteHow): RequestHow {
  return urgent === true ? { signal, priority: "urgent" } : { signal };
}

/**
 * True when the server removed the object with this very write: the last finalizer went, and no grace period is left (that
 * of a pod ends when its kubelet says so).
 */
function isRemoved({ metadata }: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = metadata;
  return deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0 && finalizers.length === 0;
}

/** The failure that names who writes the fields again each time that they are taken back. */
function contested(live: KubeObject, conflict: OperatorError): OperatorError {
  return new OperatorError(
    "KUBE_FIELD_CONFLICT",
    `${live.kind} "${live.metadata.name}": somebody writes fields of ours again each time that they are taken back, so that is tried once in ${TAKE_BACK.intervalSeconds / 60} minutes now: ${conflict.message}`,
    { cause: conflict, details: { kind: live.kind, name: live.metadata.name } },
  );
}
