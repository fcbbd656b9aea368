import { posix } from "node:path";
import type { Reference } from "./references.ts";

/** Who refers to something. */
export interface Referrer {
  /** Path from the root. */
  readonly file: string;
  /** Files that it writes itself. */
  readonly written: readonly string[];
}

/** What is in the repository. */
export interface Tree {
  /** False for what leads nowhere, neither from the folder of the referrer nor from the root. */
  has(reference: Reference, by: Referrer): boolean;
}

/** @param files paths from the root, without a leading slash @param names that the sources use */
export function createTree(files: readonly string[], names: ReadonlySet<string>): Tree {
  const paths = new Set(files.flatMap((file) => [file, ...foldersOf(file)]));
  const stems = new Set([...paths].flatMap(stemsOf));
  const bases = new Set([...paths].map((path) => posix.basename(path)));
  const baseStems = new Set([...bases].flatMap(stemsOf));

  const isPath = (path: string, { written }: Referrer): boolean =>
    paths.has(path) ||
    stems.has(path) ||
    written.some((file) => file === path || file.startsWith(`${path}/`)) ||
    matches(patternOf(path), paths);
  /** A page of a folder means its own files by their bare names, whatever else has the same name elsewhere. */
  const isFileName = (name: string, { file, written }: Referrer): boolean => {
    const inside = ownFolder(file);
    const known =
      inside === ""
        ? bases
        : new Set([...paths].filter((path) => path.startsWith(inside)).map((path) => posix.basename(path)));
    return (
      known.has(name) ||
      written.some((path) => posix.basename(path) === name) ||
      (name.startsWith(".") && [...bases].some((base) => base.endsWith(name))) ||
      matches(patternOf(name), known)
    );
  };
  const isAnyFolder = (path: string): boolean => matches(patternOf(path, "(?:.*/)?"), paths);
  /** A page of a kind speaks of its own files, any other page of the files that every kind has. */
  const hasRole = (role: string, { file }: Referrer): boolean =>
    files.some((known) => known.startsWith(ownFolder(file)) && known.endsWith(`.${role}.ts`));

  return {
    has: ({ kind, name }, by) => {
      const isThere = [posix.join(posix.dirname(by.file), name), posix.normalize(name)].some((path) =>
        isPath(path, by),
      );
      switch (kind) {
        case "path":
          return isThere || (name.includes("/") ? isAnyFolder(name) : isFileName(name, by));
        case "stem":
          return isThere || (ownFolder(by.file) === "" && baseStems.has(name));
        case "role":
          return hasRole(name, by);
        case "decision":
          return files.some((file) => file.startsWith(`docs/adr/${name.padStart(4, "0")}-`));
        case "symbol":
          return names.has(name);
      }
    },
  };
}

/** The folder that a page is about, with its slash; "" for pages and files about more than a folder. */
function ownFolder(file: string): string {
  return posix.basename(file) === "README.md" && file.includes("/") ? `${posix.dirname(file)}/` : "";
}

function foldersOf(file: string): string[] {
  const folder = posix.dirname(file);
  return folder === "." ? [] : [folder, ...foldersOf(folder)];
}

/** A file without its endings, one after the other: `fault-schedule.test.ts` is also `fault-schedule.test` and `fault-schedule`. */
function stemsOf(path: string): string[] {
  const base = posix.basename(path);
  const parts = base.split(".");
  const folder = path.slice(0, path.length - base.length);
  return parts.slice(1).map((_, at) => `${folder}${parts.slice(0, at + 1).join(".")}`);
}

/** Of a path with placeholders; a file may be named without its ending. @param before what may stand in front of it */
function patternOf(path: string, before = ""): RegExp | undefined {
  if (!/<[^>]*>|\*|\{[^}]*\}/.test(path)) return undefined;
  const source = path
    .replace(/[.+^$()|[\]\\]/g, "\\$&")
    .replace(/<[^>]*>|\*\*?/g, "[^/]*")
    .replace(/\{([^}]*)\}/g, (_, list: string) => `(?:${list.split(",").join("|")})`);
  return new RegExp(`^${before}${source.replace(/[{}]/g, "\\$&")}(?:\\.[\\w.]+)?$`);
}

function matches(pattern: RegExp | undefined, paths: ReadonlySet<string>): boolean {
  return pattern !== undefined && [...paths].some((path) => pattern.test(path));
}
