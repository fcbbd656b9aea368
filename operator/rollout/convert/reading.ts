/**
 * A document of another project, and an account of its fields: each is translated, reported, or of no meaning here. What a
 * converter does not ask for is reported too, so nothing is dropped in silence.
 */

/** Members and indexes from the root. */
export type Path = readonly (string | number)[];

/** What became of a field that is not, or not quite, in the result. */
export interface Finding {
  /** `spec.steps[2].setWeight` */
  readonly path: string;
  /** `changed`: it is in the result, with a meaning that differs. */
  readonly outcome: "dropped" | "changed";
  readonly why: string;
  /** What to do about it. */
  readonly instead?: string | undefined;
}

/** What is known of fields that are not translated. The longest pattern that fits a field counts. */
export interface Rule {
  /** `spec.steps[].pause`: a field and all below it; `*` is any one member. */
  readonly pattern: string;
  /** Why it is not in the result; `undefined`: it needs nothing to be the same here. */
  readonly why: string | undefined;
  readonly instead?: string;
}

/** One document while it is read. */
export interface Reading {
  /** `Rollout shop/web` */
  readonly title: string;
  /** The value, without any note of it. */
  peek(path: Path): unknown;
  /** The value; it and all below it are in the result. */
  use(path: Path): unknown;
  /** It is in the result, and means something else. */
  change(path: Path, why: string, instead?: string): void;
  /** It and all below it are not in the result. */
  drop(path: Path, why: string, instead?: string): void;
  /** Whether any field was asked for. */
  isUsed(): boolean;
  /** What became of all fields; those that nobody asked for go by the rules. */
  findings(rules: readonly Rule[]): readonly Finding[];
}

const UNKNOWN: Omit<Rule, "pattern"> = {
  why: "this field is not known to the converter",
  instead: "see what it does there, and whether it is still needed",
};

export function createReading(title: string, document: unknown): Reading {
  const covered: Path[] = [];
  const found: Finding[] = [];
  const peek = (path: Path): unknown => path.reduce<unknown>(memberOf, document);
  const note = (
    path: Path,
    outcome: Finding["outcome"],
    { why, instead }: { why: string; instead?: string | undefined },
  ) => {
    covered.push(path);
    found.push({ path: pathText(path), outcome, why, instead });
  };
  return {
    title,
    peek,
    use: (path) => {
      const value = peek(path);
      if (value !== undefined) covered.push(path);
      return value;
    },
    change: (path, why, instead) => note(path, "changed", { why, instead }),
    drop: (path, why, instead) => note(path, "dropped", { why, instead }),
    isUsed: () => covered.length > 0,
    findings: (rules) => {
      const left = leavesOf(document).filter((leaf) => !covered.some((path) => startsWith(leaf, path)));
      const settled = new Map<string, Finding>();
      for (const leaf of left) {
        const { path, why, instead } = settle(leaf, rules);
        if (why !== undefined) settled.set(pathText(path), { path: pathText(path), outcome: "dropped", why, instead });
      }
      return [...found, ...settled.values()];
    },
  };
}

/** All ends of a document: scalars, and lists and objects without members. */
export function leavesOf(value: unknown, path: Path = []): Path[] {
  const isBranch = typeof value === "object" && value !== null && Object.keys(value).length > 0;
  if (!isBranch) return [path];
  if (Array.isArray(value)) return value.flatMap((item, index) => leavesOf(item, [...path, index]));
  return Object.entries(value).flatMap(([name, member]) => leavesOf(member, [...path, name]));
}

/** `spec.steps[2].setWeight`; members that are no plain words stand in brackets. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${String(part)}]`;
    if (!/^[A-Za-z_][\w-]*$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text === "" ? part : `${text}.${part}`;
  }, "");
}

function memberOf(value: unknown, part: string | number): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
  return (value as Readonly<Record<string | number, unknown>>)[part];
}

function startsWith(path: Path, start: Path): boolean {
  return start.length <= path.length && start.every((part, index) => part === path[index]);
}

/** A field that no rule knows is reported whole, at the highest place at which it is not known. */
function settle(leaf: Path, rules: readonly Rule[]): Omit<Rule, "pattern"> & { readonly path: Path } {
  let best: { readonly rule: Rule; readonly depth: number } | undefined;
  for (const rule of rules) {
    const parts = rule.pattern.replaceAll("[]", ".[]").split(".");
    const fits = parts.length <= leaf.length && parts.every((part, index) => fitsPart(part, leaf[index]));
    if (fits && parts.length > (best?.depth ?? 0)) best = { rule, depth: parts.length };
  }
  if (best === undefined) return { ...UNKNOWN, path: leaf };
  return {
    why: best.rule.why,
    ...(best.rule.instead === undefined ? {} : { instead: best.rule.instead }),
    path: leaf.slice(0, best.depth),
  };
}

function fitsPart(pattern: string, part: string | number | undefined): boolean {
  if (typeof part === "number") return pattern === "[]";
  return pattern === "*" || pattern === part;
}
