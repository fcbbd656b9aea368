/**
 * Checks that what pages and comments refer to is there: every relative link of a Markdown page leads to a file, and to a
 * heading where it names one; every path, decision and name that a page or a comment speaks of exists.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import {
  filesWrittenBy,
  namesOfCode,
  type Reference,
  referencesOfComments,
  referencesOfPage,
  type Vocabulary,
} from "./lib/references.ts";
import { createTree } from "./lib/tree.ts";

const ROOT = join(import.meta.dirname, "..");
const IGNORED = new Set(["node_modules", "dist", ".build", ".git", "coverage"]);

/** Files whose comments are read. */
const COMMENTED = /\.(ts|cjs|mjs|go|sh|sql|ya?ml|tpl)$|(^|\/)(Makefile|Containerfile)$|^(bin\/shieldx|\.ci\/run)$/;
/** Printed from others, whose words are checked where they are written. */
const GENERATED = /^crds\/generated\/|^charts\/operator\/templates\/crds\//;

/** References that need not be there, each with the reason. */
const EXCEPTIONS: readonly { readonly name: RegExp; readonly why: string; readonly in?: RegExp }[] = [
  { name: /^(dist|\.build|coverage)\//, why: "made by builds and runs" },
  { name: /(^|\/)x(\.\w+)*\.test\.ts$/, why: "x stands for any name" },
  { name: /^lib\/new\.ts$/, in: /^bin\/testing\/walk\.test\.ts$/, why: "a page inside a test" },
  { name: /./, in: /^bin\/lib\/references\.test\.ts$/, why: "the test shows references that lead nowhere" },
  { name: /^(erasableSyntaxOnly|requeueAfter|subPath)$/, why: "names of TypeScript, controller-runtime, Kubernetes" },
];

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return IGNORED.has(entry.name) ? [] : filesBelow(path);
    return entry.isFile() ? [relative(ROOT, path)] : [];
  });
}

/** The text without code, in which brackets are no links. */
function prose(text: string): string {
  return text.replace(/^(```|~~~)[\s\S]*?^\1/gm, "").replace(/`[^`\n]*`/g, "");
}

/** Anchors of the headings, as GitHub makes them. */
function anchors(text: string): Set<string> {
  const headings = [...text.replace(/^(```|~~~)[\s\S]*?^\1/gm, "").matchAll(/^#{1,6} +(.+?) *#*$/gm)];
  const seen = new Map<string, number>();
  return new Set(
    headings.map(([, heading = ""]) => {
      const slug = heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\- _]/gu, "")
        .replaceAll(" ", "-");
      const count = seen.get(slug) ?? 0;
      seen.set(slug, count + 1);
      return count === 0 ? slug : `${slug}-${count}`;
    }),
  );
}

function brokenLinks(page: string, text: string): string[] {
  const links = [...prose(text).matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)].map(([, to = ""]) => to);
  return links
    .filter((link) => !/^[a-z][a-z0-9+.-]*:/i.test(link))
    .flatMap((link) => {
      const [path = "", anchor] = decodeURIComponent(link).split("#");
      const target = path === "" ? join(ROOT, page) : join(ROOT, path.startsWith("/") ? "" : dirname(page), path);
      if (!existsSync(target)) return [`${page}: ${link} leads nowhere`];
      if (anchor === undefined || !statSync(target).isFile()) return [];
      return anchors(readFileSync(target, "utf8")).has(anchor) ? [] : [`${page}: ${link}: there is no such heading`];
    });
}

function isException({ name }: Reference, file: string): boolean {
  return EXCEPTIONS.some((exception) => exception.name.test(name) && (exception.in?.test(file) ?? true));
}

const WHAT = {
  path: "there is no such file",
  stem: "there is no such file",
  role: "there is no file of this role",
  decision: "there is no such decision record",
  symbol: "no source has this name",
} as const satisfies Record<Reference["kind"], string>;

const files = filesBelow(ROOT);
const texts = new Map(
  files
    .filter((file) => (file.endsWith(".md") || COMMENTED.test(file)) && !GENERATED.test(file))
    .map((file) => [file, readFileSync(join(ROOT, file), "utf8")]),
);
const names = new Set([...texts].flatMap(([file, text]) => (file.endsWith(".ts") ? [...namesOfCode(file, text)] : [])));
const tree = createTree(files, names);
const vocabulary: Vocabulary = {
  folders: new Set(files.filter((file) => /^[^.][^/]*\//.test(file)).map((file) => file.split("/")[0] ?? "")),
  kinds: new Set(files.flatMap((file) => /^controllers\/([^/]+)\/\1\./.exec(file)?.[1] ?? [])),
};

const problems = [...texts].flatMap(([file, text]) => {
  const isPage = file.endsWith(".md");
  const references = isPage ? referencesOfPage(text, vocabulary) : referencesOfComments(file, text, vocabulary);
  const written = isPage ? filesWrittenBy(text) : [];
  return [
    ...(isPage ? brokenLinks(file, text) : []),
    ...references
      .filter((reference) => !tree.has(reference, { file, written }) && !isException(reference, file))
      .map(({ kind, name, line }) => `${file}:${line}: ${name}: ${WHAT[kind]}`),
  ];
});
for (const problem of new Set(problems)) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
