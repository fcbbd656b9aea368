import type { KubeObject } from "../../lib/kube/types.ts";
import { StatusError } from "../status-error.ts";

/** A predicate over labels or fields. */
type Requirement = (values: (key: string) => string | undefined) => boolean;

const KEY = "[A-Za-z0-9./_-]+";
const FORMS: readonly { readonly form: RegExp; readonly requirement: (found: RegExpExecArray) => Requirement }[] = [
  {
    form: new RegExp(`^(${KEY})\\s+(in|notin)\\s+\\(([^)]*)\\)$`),
    requirement: ([, key = "", operator, list = ""]) => {
      const wanted = new Set(list.split(",").map((value) => value.trim()));
      // As the real server: an object without the label is "not in" any set.
      return (value) => {
        const found = value(key);
        return operator === "in" ? found !== undefined && wanted.has(found) : found === undefined || !wanted.has(found);
      };
    },
  },
  {
    form: new RegExp(`^!\\s*(${KEY})$`),
    requirement:
      ([, key = ""]) =>
      (value) =>
        value(key) === undefined,
  },
  {
    form: new RegExp(`^(${KEY})$`),
    requirement:
      ([, key = ""]) =>
      (value) =>
        value(key) !== undefined,
  },
  {
    form: new RegExp(`^(${KEY})\\s*(==?|!=)\\s*([A-Za-z0-9._-]*)$`),
    requirement: ([, key = "", operator, wanted]) =>
      operator === "!=" ? (value) => value(key) !== wanted : (value) => value(key) === wanted,
  },
];

/** Fields that every kind can be selected by, and the one of events by which those about an object are found. */
const FIELDS: Readonly<Record<string, (object: KubeObject) => string>> = {
  "metadata.name": ({ metadata }) => metadata.name,
  "metadata.namespace": ({ metadata }) => metadata.namespace ?? "",
  "regarding.uid": (object) => (object["regarding"] as { readonly uid?: string } | undefined)?.uid ?? "",
};

/**
 * What `labelSelector` and `fieldSelector` of a request select. Labels take all forms of the API: `a`, `!a`, `a=b`, `a==b`,
 * `a!=b`, `a in (b,c)`, `a notin (b,c)`. Fields take name and namespace with `=`, `==` and `!=`.
 * @throws StatusError 400
 */
export function selectionOf(query: URLSearchParams): (object: KubeObject) => boolean {
  const labels = parse(query.get("labelSelector") ?? "", "label");
  const fields = parse(query.get("fieldSelector") ?? "", "field");
  return (object) =>
    labels.every((holds) => holds((key) => object.metadata.labels?.[key])) &&
    fields.every((holds) => holds((key) => FIELDS[key]?.(object)));
}

function parse(selector: string, what: "label" | "field"): Requirement[] {
  // Commas inside parentheses belong to the set.
  return (selector.match(/(?:[^,(]|\([^)]*\))+/g) ?? [])
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      for (const { form, requirement } of FORMS) {
        const found = form.exec(part);
        if (found === null) continue;
        if (what === "field" && (FIELDS[found[1] ?? ""] === undefined || !/=/.test(found[2] ?? ""))) break;
        return requirement(found);
      }
      const message =
        what === "label"
          ? `unable to parse requirement: ${part}`
          : `field label not supported: ${part.split(/[!=]/)[0]}`;
      throw new StatusError({ status: 400, message });
    });
}
