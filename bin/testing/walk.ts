/** Reads a walk from a Markdown page: the files that it writes, the changes that it makes, the commands that it runs. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** One block of a page, in the order of the page. */
export type Step =
  | { readonly type: "file"; readonly line: number; readonly path: string; readonly text: string }
  | { readonly type: "change"; readonly line: number; readonly path: string; readonly hunks: readonly Hunk[] }
  | { readonly type: "command"; readonly line: number; readonly script: string };

/** A place in a file: what is there, and what is to be there. */
export interface Hunk {
  readonly before: string;
  readonly after: string;
}

/** First lines that name the file which the rest of the block is. */
const FILE_LINE = /^(?:\/\/|#|<!--) ([\w.-]+(?:\/[\w.-]+)+)(?: -->)?$/;

/** Every step of a page. Blocks without a file name, and of other languages, are prose. */
export function stepsOf(page: string): Step[] {
  const steps: Step[] = [];
  for (const { index, groups } of page.matchAll(/^```(?<language>\w+)\n(?<body>[\s\S]*?)^```$/gm)) {
    const { language = "", body = "" } = groups ?? {};
    const line = page.slice(0, index).split("\n").length;
    if (language === "sh") steps.push({ type: "command", line, script: body });
    else if (language === "diff") steps.push({ type: "change", line, ...changeOf(body) });
    else {
      const [first = "", ...rest] = body.split("\n");
      const path = FILE_LINE.exec(first)?.[1];
      if (path !== undefined) steps.push({ type: "file", line, path, text: rest.join("\n") });
    }
  }
  return steps;
}

function changeOf(body: string): { readonly path: string; readonly hunks: readonly Hunk[] } {
  const [head = "", ...hunks] = body.split(/^@@.*\n/m);
  const path = /^--- (\S+)\n$/.exec(head)?.[1];
  if (path === undefined) throw new Error(`a block of differences begins with '--- path', not with: ${head}`);
  return { path, hunks: hunks.map(hunkOf) };
}

function hunkOf(text: string): Hunk {
  const lines = text.split("\n").slice(0, -1);
  const side = (other: string): string =>
    lines
      .filter((line) => !line.startsWith(other))
      .map((line) => `${line.slice(1)}\n`)
      .join("");
  return { before: side("+"), after: side("-") };
}

/** Writes a file or changes one. @throws Error when the file is there already, or the place is not there exactly once */
export function carryOut(step: Exclude<Step, { type: "command" }>, root: string): void {
  const full = join(root, step.path);
  if (step.type === "file") {
    if (existsSync(full)) throw new Error(`line ${String(step.line)}: ${step.path} exists already`);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, step.text);
    return;
  }
  let text = readFileSync(full, "utf8");
  for (const { before, after } of step.hunks) {
    const places = text.split(before).length - 1;
    if (places !== 1) {
      throw new Error(`line ${String(step.line)}: ${step.path} has this ${String(places)} times, not once:\n${before}`);
    }
    text = text.replace(before, () => after);
  }
  writeFileSync(full, text);
}
