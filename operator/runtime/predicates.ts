import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../../lib/kube/types.ts";
import type { Predicate } from "./types.ts";

/*
 * Which updates wake somebody, for `Watch.changed` and `Controller.changed`. A predicate saves reconciles and decides
 * nothing: the cache keeps every update. One trap: with `generationChanged` alone a controller does not see what others
 * do to labels, annotations, finalizers or the status.
 */

/** The spec was changed: the server counts that, and nothing else, in the generation. */
export const generationChanged: Predicate = (previous, current) =>
  previous.metadata.generation !== current.metadata.generation;

export const labelsChanged: Predicate = (previous, current) =>
  !isDeepStrictEqual(previous.metadata.labels ?? {}, current.metadata.labels ?? {});

export const annotationsChanged: Predicate = (previous, current) =>
  !isDeepStrictEqual(previous.metadata.annotations ?? {}, current.metadata.annotations ?? {});

export const statusChanged: Predicate = (previous, current) =>
  !isDeepStrictEqual(previous["status"], current["status"]);

/** The object begins to go, or somebody holds it or lets it go. */
export const deletionChanged: Predicate = (previous, current) =>
  previous.metadata.deletionTimestamp !== current.metadata.deletionTimestamp ||
  !isDeepStrictEqual(previous.metadata.finalizers ?? [], current.metadata.finalizers ?? []);

/** What the function reads from an object was changed, compared in depth. It must not throw. */
export function factsChanged<T extends KubeObject>(read: (object: T) => unknown): Predicate<T> {
  return (previous, current) => !isDeepStrictEqual(read(previous), read(current));
}

/**
 * The object asks for something else than before: its spec, labels, annotations or deletion. Not its status and not its
 * finalizers, which controllers write themselves, failures included. Of a kind without generations everything else counts.
 */
export const inputChanged: Predicate = (previous, current) =>
  generationChanged(previous, current) ||
  previous.metadata.deletionTimestamp !== current.metadata.deletionTimestamp ||
  labelsChanged(previous, current) ||
  annotationsChanged(previous, current) ||
  (current.metadata.generation === undefined && bodyChanged(previous, current));

const bodyChanged = factsChanged(({ metadata: _metadata, status: _status, ...body }) => body);

/** At least one of them. */
export function any<T extends KubeObject>(...predicates: readonly Predicate<T>[]): Predicate<T> {
  return (previous, current) => predicates.some((predicate) => predicate(previous, current));
}

/** Every one of them. */
export function all<T extends KubeObject>(...predicates: readonly Predicate<T>[]): Predicate<T> {
  return (previous, current) => predicates.every((predicate) => predicate(previous, current));
}

export function not<T extends KubeObject>(predicate: Predicate<T>): Predicate<T> {
  return (previous, current) => !predicate(previous, current);
}
