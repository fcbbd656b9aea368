/**
 * Which ConfigMaps and Secrets the containers of a pod read, and the same pod with others in their place: variables and
 * volumes of all containers. Not what the node needs to start them: credentials of registries and of storage.
 */

/** Kinds that hold configuration. */
export type SourceKind = "ConfigMap" | "Secret";

/** One object that a pod names. */
export interface Reference {
  readonly kind: SourceKind;
  readonly name: string;
  /** The pod starts without it. */
  readonly isOptional: boolean;
}

/** A pod spec, or a part of one. Nobody has checked it: the template of a Rollout is anything. */
type Part = Readonly<Record<string, unknown>>;

/** The name to put in the place of the one that is there. */
type NameOf = (reference: Reference) => string;

/** The objects that a pod spec names, each once, in name order; optional where it is so everywhere. */
export function referencesIn(spec: Part): readonly Reference[] {
  const found = new Map<string, Reference>();
  withNames(spec, (reference) => {
    const id = idOf(reference);
    const isOptional = reference.isOptional && found.get(id)?.isOptional !== false;
    found.set(id, { ...reference, isOptional });
    return reference.name;
  });
  return [...found.keys()].sort().flatMap((id) => found.get(id) ?? []);
}

/** Tells objects of both kinds apart: `Secret/name`. */
export function idOf({ kind, name }: Pick<Reference, "kind" | "name">): string {
  return `${kind}/${name}`;
}

/** The same pod spec with other names. */
export function withNames(spec: Part, nameOf: NameOf): Part {
  return {
    ...spec,
    ...each(spec, "initContainers", (part) => container(part, nameOf)),
    ...each(spec, "containers", (part) => container(part, nameOf)),
    ...each(spec, "volumes", (part) => volume(part, nameOf)),
  };
}

function container(part: Part, nameOf: NameOf): Part {
  return {
    ...part,
    ...each(part, "env", (variable) => ({
      ...variable,
      ...inside(variable, "valueFrom", (from) => ({
        ...from,
        ...renamed(from, { member: "configMapKeyRef", kind: "ConfigMap" }, nameOf),
        ...renamed(from, { member: "secretKeyRef", kind: "Secret" }, nameOf),
      })),
    })),
    ...each(part, "envFrom", (from) => ({
      ...from,
      ...renamed(from, { member: "configMapRef", kind: "ConfigMap" }, nameOf),
      ...renamed(from, { member: "secretRef", kind: "Secret" }, nameOf),
    })),
  };
}

function volume(part: Part, nameOf: NameOf): Part {
  return {
    ...part,
    ...renamed(part, { member: "configMap", kind: "ConfigMap" }, nameOf),
    ...renamed(part, { member: "secret", kind: "Secret", nameMember: "secretName" }, nameOf),
    ...inside(part, "projected", (projected) => ({
      ...projected,
      ...each(projected, "sources", (source) => ({
        ...source,
        ...renamed(source, { member: "configMap", kind: "ConfigMap" }, nameOf),
        ...renamed(source, { member: "secret", kind: "Secret" }, nameOf),
      })),
    })),
  };
}

interface Place {
  readonly member: string;
  readonly kind: SourceKind;
  /** Member of it that holds the name; `name` unless told. */
  readonly nameMember?: string;
}

function renamed(holder: Part, { member, kind, nameMember = "name" }: Place, nameOf: NameOf): Part {
  return inside(holder, member, (reference) => {
    const name = reference[nameMember];
    if (typeof name !== "string" || name === "") return reference;
    return { ...reference, [nameMember]: nameOf({ kind, name, isOptional: reference["optional"] === true }) };
  });
}

/** The member with its change, where it is there. */
function inside(holder: Part, member: string, change: (part: Part) => Part): Part {
  const value = holder[member];
  return isPart(value) ? { [member]: change(value) } : {};
}

/** The list with the change of each element, where it is there. */
function each(holder: Part, member: string, change: (part: Part) => Part): Part {
  const list = holder[member];
  return Array.isArray(list) ? { [member]: list.map((part: unknown) => (isPart(part) ? change(part) : part)) } : {};
}

function isPart(value: unknown): value is Part {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
