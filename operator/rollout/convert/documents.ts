import { type Document, parseAllDocuments, stringify } from "yaml";
import { OperatorError } from "../../../lib/core/errors.ts";
import { createReading, type Reading } from "./reading.ts";

/** A file, or standard input. */
export interface Source {
  readonly name: string;
  readonly text: string;
}

/** A document of a source: what it is, and its fields. */
export interface Entry {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly reading: Reading;
}

/** All objects of the sources, those in lists too. @throws OperatorError ROLLOUT_UNCONVERTIBLE for what is no object of Kubernetes */
export function entriesOf(sources: readonly Source[]): readonly Entry[] {
  return sources.flatMap(({ name, text }) =>
    parseAllDocuments(text).flatMap((document) => {
      const [error] = document.errors;
      if (error !== undefined) throw new OperatorError("ROLLOUT_UNCONVERTIBLE", `${name}: ${error.message}`);
      const value = valueOf(document, name);
      return value === null || value === undefined ? [] : objectsOf(value, name);
    }),
  );
}

/** Aliases that grow without end are no values. */
function valueOf(document: Document, source: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw new OperatorError("ROLLOUT_UNCONVERTIBLE", `${source}: ${(cause as Error).message}`, { cause });
  }
}

interface Shape {
  readonly apiVersion?: unknown;
  readonly kind?: unknown;
  readonly metadata?: { readonly name?: unknown; readonly namespace?: unknown };
  readonly items?: unknown;
}

/** The object, or those of a list. @param source for sentences @throws OperatorError ROLLOUT_UNCONVERTIBLE */
export function objectsOf(value: unknown, source: string): readonly Entry[] {
  const { apiVersion, kind, metadata, items } = (value ?? {}) as Shape;
  if (Array.isArray(items)) return items.flatMap((item: unknown) => objectsOf(item, source));
  const name = metadata?.name;
  if (typeof apiVersion !== "string" || typeof kind !== "string" || typeof name !== "string") {
    throw new OperatorError(
      "ROLLOUT_UNCONVERTIBLE",
      `${source}: a document has no apiVersion, kind or metadata.name, so it is no object of Kubernetes`,
    );
  }
  const namespace = typeof metadata?.namespace === "string" ? metadata.namespace : undefined;
  const title = `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
  return [{ apiVersion, kind, namespace, name, reading: createReading(title, value) }];
}

/** Objects as documents of YAML. */
export function yamlOf(objects: readonly object[]): string {
  return objects.map((object) => stringify(object, { compat: "yaml-1.1", aliasDuplicateObjects: false })).join("---\n");
}
