/** Finds what pages and comments say about this repository's own files, decisions and names. It reads text, never a disk. */

/** A place in a text that speaks of something in this repository. */
export interface Reference {
  /**
   *   path      a file or folder, with a folder or an ending: `operator/runtime/queue.ts`, `queue.ts`, `lib/kube`
   *   stem      a file without its ending, in a table of files or after a kind's name: `rotation`, `creditledger.plan`
   *   role      a file of each kind by its role: `.plan`
   *   decision  a record in docs/adr, by its number
   *   symbol    a name in the sources: `podConfigHash`, and any name after "see"
   */
  readonly kind: "path" | "stem" | "role" | "decision" | "symbol";
  readonly name: string;
  /** Counted from 1. */
  readonly line: number;
}

/** What tells a path from prose. */
export interface Vocabulary {
  /** Top-level folders. */
  readonly folders: ReadonlySet<string>;
  /** Names of the kinds' folders: `creditledger.plan` is a file of such a one. */
  readonly kinds: ReadonlySet<string>;
}

const ENDINGS: readonly string[] = ["ts", "cjs", "mjs", "md", "sh", "sql", "yaml", "yml", "tpl"];
/** A name that can only be one of the sources, or of the API's. */
const CAMEL_CASE = /^[a-z]+[a-z0-9]*[A-Z]\w*(?:\(\))?$/;

interface Piece {
  readonly text: string;
  readonly line: number;
}

/** A word that may be a path, with placeholders: `<kind>.plan.ts`, `*.story.txt` and lists in braces. Not the rest of a longer one. */
const WORD = /(?<![\w./@$~:>}-])(?:\.{1,2}\/)?[\w<*{.][\w.<>*{},-]*(?:\/[\w.<>*{},-]+)*\/?/g;
/** Endings of files that are spoken of by their bare name. `Node.js` and keys such as `ca.crt` or `map.json` are none. */
const FILE = /[\w>*}-]\.(?:ts|cjs|mjs|md|sh|sql|ya?ml|tpl)$/;
/** Endings that need a folder in front of them to be a file of ours. */
const FILE_IN_FOLDER = /\/[\w.<>*{},-]*\.(?:ts|js|cjs|mjs|json|md|sh|sql|ya?ml|tpl|txt)$/;

/** What a Markdown page refers to, links aside. Code in a language is left out: it is not about this tree. */
export function referencesOfPage(page: string, vocabulary: Vocabulary): Reference[] {
  const text = page.replace(/^(```|~~~)\w[\s\S]*?^\1/gm, blank).replace(/\]\([^)\n]*\)/g, blank);
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(({ 1: span = "", index }) => ({
    text: span,
    line: lineAt(text, index),
  }));
  return [
    ...wordsOf({ text, line: 1 }, vocabulary),
    ...spans.flatMap(({ text: span, line }): Reference[] => {
      const role = /^(?:<kind>|\*)?\.([a-z]+)$/.exec(span)?.[1];
      if (role !== undefined && !ENDINGS.includes(role)) return [{ kind: "role", name: role, line }];
      return CAMEL_CASE.test(span) ? [{ kind: "symbol", name: span.replace("()", ""), line }] : [];
    }),
    ...filesOfTables(text),
  ];
}

/** What the comments of a file refer to. @param file its path, which tells how comments are written there */
export function referencesOfComments(file: string, content: string, vocabulary: Vocabulary): Reference[] {
  return commentsOf(file, content).flatMap((comment) => [...wordsOf(comment, vocabulary), ...symbolsOf(comment)]);
}

/** Names that the code of a TypeScript file uses, its comments left out. */
export function namesOfCode(file: string, content: string): Set<string> {
  const code = commentsOf(file, content).reduce((text, comment) => text.replace(comment.text, ""), content);
  return new Set(code.match(/[A-Za-z_$][\w$]*/g));
}

/** Files that a page writes itself, by the first lines of its blocks: to its readers they exist. */
export function filesWrittenBy(page: string): string[] {
  return [...page.matchAll(/^```\w+\n(?:\/\/|#|<!--) ([\w.-]+(?:\/[\w.-]+)+)/gm)].map(([, path = ""]) => path);
}

const SLASHES = /^[ \t]*\/\*[\s\S]*?\*\/|(?<=^|[\s;{(,])\/\/ .*$/gm;
const HASHES = /(?<=^|\s)#[ !].*$/gm;
const TEMPLATES = /\{\{-?\s*\/\*[\s\S]*?\*\//g;
const DASHES = /(?<=^|\s)--\s.*$/gm;

function commentsOf(file: string, content: string): Piece[] {
  const styles = /\.(ts|cjs|mjs|go)$/.test(file) ? [SLASHES] : file.endsWith(".sql") ? [DASHES] : [HASHES, TEMPLATES];
  return styles.flatMap((style) =>
    [...content.matchAll(style)].map(({ 0: text, index }) => ({ text, line: lineAt(content, index) })),
  );
}

function wordsOf({ text, line }: Piece, { folders, kinds }: Vocabulary): Reference[] {
  const decisions = [...text.matchAll(/\bADRs? (\d{1,4})\b/g)].map(
    ({ 1: name = "", index }): Reference => ({ kind: "decision", name, line: line + lineAt(text, index) - 1 }),
  );
  const words = [...text.matchAll(WORD)].flatMap(({ 0: word, index }): Reference[] => {
    const name = word.replace(/^\.\//, "").replace(/[.,/]+$/, "");
    const kind = kindOf(name, { folders, kinds });
    return kind === undefined ? [] : [{ kind, name, line: line + lineAt(text, index) - 1 }];
  });
  return [...decisions, ...words];
}

function kindOf(name: string, { folders, kinds }: Vocabulary): "path" | "stem" | undefined {
  const [first = "", ...rest] = name.split("/");
  if (rest.length > 0) return folders.has(first) || FILE_IN_FOLDER.test(name) ? "path" : undefined;
  if (FILE.test(name)) return "path";
  const [kind = "", role = "", ...more] = name.split(".");
  return kinds.has(kind) && /^[a-z]+$/.test(role) && more.length === 0 ? "stem" : undefined;
}

/** Tables of files and their duties name files without their ending. */
function filesOfTables(text: string): Reference[] {
  const tables = text.matchAll(/^\|(.*)\|\n\|[-|: ]+\|\n((?:\|.*\n?)+)/gm);
  return [...tables].flatMap(({ 0: table, 1: head = "", 2: rows = "", index }) => {
    const columns = head.split("|").map((cell) => cell.trim());
    const column = columns.findIndex((name) => name === "file" || name === "files");
    if (column < 0 || !columns.includes("duty")) return [];
    const top = lineAt(text, index + table.length - rows.length);
    return rows.split("\n").flatMap((row, at) => {
      const cell = row.split("|")[column + 1] ?? "";
      return [...cell.matchAll(/`([^`.]\S*?)\/?`/g)].map(
        ([, name = ""]): Reference => ({ kind: "stem", name, line: top + at }),
      );
    });
  });
}

function symbolsOf({ text, line }: Piece): Reference[] {
  const at = (index: number): number => line + lineAt(text, index) - 1;
  const seen = [...text.matchAll(/\b[Ss]ee\s(?:\*\s)?`([A-Za-z_$][\w$]*(?:\.[\w$]+)*)`/g)].flatMap(
    ({ 1: path = "", index }): Reference[] =>
      FILE.test(path) || CAMEL_CASE.test(path)
        ? []
        : path.split(".").map((name) => ({ kind: "symbol", name, line: at(index) })),
  );
  const named = [...text.matchAll(/`([^`\n]+)`/g)].flatMap(({ 1: span = "", index }): Reference[] =>
    CAMEL_CASE.test(span) ? [{ kind: "symbol", name: span.replace("()", ""), line: at(index) }] : [],
  );
  return [...seen, ...named];
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

/** Nothing, in as many lines. */
function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}
