/** What every conversion shares: options, metadata, gateway, target, service. */
import { OperatorError } from "../../../lib/core/errors.ts";
import type { Entry } from "./documents.ts";
import type { Path, Reading, Rule } from "./reading.ts";

/** What the documents of other projects do not say. */
export interface ConvertOptions {
  /** Gateway that serves the route. */
  readonly gateway: { readonly namespace?: string; readonly name: string } | undefined;
  /** Service by which the Deployment is reached, where no document names it. */
  readonly service: string | undefined;
}

/** A Rollout that was made of another kind, before its schema has seen it. */
export interface Draft {
  readonly metadata: object;
  readonly spec: object;
  readonly notes: readonly string[];
}

/** Fields of metadata that servers and tools write for themselves. */
export const COMMON_RULES: readonly Rule[] = [
  ...["apiVersion", "kind", "status"].map((pattern) => ({ pattern, why: undefined })),
  ...["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"].map((name) => ({
    pattern: `metadata.${name}`,
    why: undefined,
  })),
  { pattern: "metadata.annotations", why: undefined },
  {
    pattern: "metadata.annotations.*",
    why: "it is of the tool that applied the document, or of the other project",
  },
  { pattern: "metadata.ownerReferences", why: "an owner of the other object is none of the Rollout" },
  { pattern: "metadata.finalizers", why: "finalizers are of the controllers that set them" },
];

/** Annotations of tools, that would say something wrong on another object. */
const FOREIGN = /(^|\.)(kubectl\.kubernetes\.io|deployment\.kubernetes\.io|argoproj\.io|flagger\.app)\//;

/** Name, namespace, labels and annotations. */
export function metadataOf({ reading, name }: Entry): object {
  const annotations = Object.keys(reading.peek(["metadata", "annotations"]) ?? {})
    .filter((key) => !FOREIGN.test(key))
    .map((key) => [key, reading.use(["metadata", "annotations", key])] as const);
  const namespace = reading.use(["metadata", "namespace"]);
  const labels = reading.use(["metadata", "labels"]);
  reading.use(["metadata", "name"]);
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined || labels === null ? {} : { labels }),
    ...(annotations.length === 0 ? {} : { annotations: Object.fromEntries(annotations) }),
  };
}

/** The Gateway of the command line. @throws OperatorError ROLLOUT_UNCONVERTIBLE where there is none */
export function gatewayOf(reading: Reading, { gateway }: ConvertOptions): object {
  if (gateway !== undefined) return { parentRefs: [gateway] };
  throw new OperatorError(
    "ROLLOUT_UNCONVERTIBLE",
    `${reading.title}: no document says which Gateway serves the route: give --gateway NAMESPACE/NAME`,
  );
}

/** A member that is a whole number within bounds; one that is not is reported. */
export function wholeOf(
  reading: Reading,
  path: Path,
  [min, max]: readonly [min: number, max: number],
): number | undefined {
  const value = reading.peek(path);
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
    reading.use(path);
    return value;
  }
  reading.drop(path, `it is not within ${String(min)} and ${String(max)}`, "set the field of the Rollout by hand");
  return undefined;
}

/** Nothing at all where the value is absent; for members of a spec. */
export function optional<K extends string>(name: K, value: unknown): object {
  return value === undefined ? {} : { [name]: value };
}

/** The items of a list; nothing else. Items that are nothing become objects without members. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.map((item: unknown) => item ?? {}) : [];
}

/** The text at a path; nothing for other values. */
export function textOf(reading: Reading, path: Path): string | undefined {
  const value = reading.peek(path);
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Notes fields whose value says what a Rollout does anyway. */
export function useIf(reading: Reading, values: readonly (readonly [path: Path, value: unknown])[]): void {
  for (const [path, value] of values) if (reading.peek(path) === value) reading.use(path);
}
