/**
 * Columns, selectable fields and the scale subresource name fields by their paths. The API server does not look whether
 * they exist: a typing mistake would be a column that is always empty, so it is found here.
 */
import type { KindDefinition } from "./kind.ts";
import type { StructuralSchema } from "./structural.ts";

/** Types of fields that a column of each type may show. */
const COLUMN_TYPES: Readonly<Record<string, readonly (string | undefined)[]>> = {
  string: ["string", "integer", "boolean", undefined],
  integer: ["integer"],
  boolean: ["boolean"],
  date: ["string"],
};

/** Sentences on paths of a kind that lead nowhere, or to a field of the wrong type. */
export function schemaPathProblems(kind: KindDefinition, root: StructuralSchema): string[] {
  const columns = kind.columns.flatMap(({ name, type, jsonPath }) => {
    if (jsonPath.startsWith(".metadata.")) return [];
    const field = fieldAt(root, jsonPath);
    if (field === undefined) return [`column ${name}: ${jsonPath} leads to no field`];
    return COLUMN_TYPES[type]?.includes(field.type) === true
      ? []
      : [`column ${name}: ${jsonPath} is of type ${field.type ?? "any"}, not ${type}`];
  });
  const selectable = kind.selectableFields.flatMap((path) => {
    const type = fieldAt(root, path)?.type;
    return type === "string" || type === "integer" || type === "boolean"
      ? []
      : [`selectable field ${path} must lead to a text, an integer or a boolean`];
  });
  return [...columns, ...selectable, ...scaleProblems(kind, root)];
}

function scaleProblems({ scale }: KindDefinition, root: StructuralSchema): string[] {
  if (scale === undefined) return [];
  const wanted = [
    [scale.specReplicasPath, ".spec.", "integer"],
    [scale.statusReplicasPath, ".status.", "integer"],
    [scale.labelSelectorPath, ".status.", "string"],
  ] as const;
  return wanted.flatMap(([path, start, type]) =>
    path.startsWith(start) && fieldAt(root, path)?.type === type
      ? []
      : [`scale: ${path} must lead to a field of type ${type} below ${start.slice(0, -1)}`],
  );
}

/** The schema at a path such as `.status.conditions[?(@.type=="Ready")].reason`. */
function fieldAt(root: StructuralSchema, path: string): StructuralSchema | undefined {
  const steps = path
    .replace(/\[[^\]]*\]/g, ".[]")
    .split(".")
    .filter((step) => step !== "");
  return steps.reduce<StructuralSchema | undefined>(
    (node, step) => (step === "[]" ? node?.items : (node?.properties?.[step] ?? node?.additionalProperties)),
    root,
  );
}
