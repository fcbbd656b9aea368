/** Checks that every relative link of the Markdown pages leads to a file, and to a heading where it names one. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const IGNORED = new Set(["node_modules", "dist", ".build", ".git", "coverage"]);

function pages(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return IGNORED.has(entry.name) ? [] : pages(join(folder, entry.name));
    return entry.name.endsWith(".md") ? [join(folder, entry.name)] : [];
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

function problemsOf(page: string): string[] {
  const links = [...prose(readFileSync(page, "utf8")).matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)].map(
    ([, to = ""]) => to,
  );
  return links
    .filter((link) => !/^[a-z][a-z0-9+.-]*:/i.test(link))
    .flatMap((link) => {
      const [path = "", anchor] = decodeURIComponent(link).split("#");
      const target = path === "" ? page : join(path.startsWith("/") ? ROOT : dirname(page), path);
      if (!existsSync(target)) return [`${relative(ROOT, page)}: ${link} leads nowhere`];
      if (anchor === undefined || !statSync(target).isFile()) return [];
      return anchors(readFileSync(target, "utf8")).has(anchor)
        ? []
        : [`${relative(ROOT, page)}: ${link}: there is no such heading`];
    });
}

const problems = pages(ROOT).flatMap(problemsOf);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
