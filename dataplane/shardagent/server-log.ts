// What the server's own log says about its end. Lines of sessions are never kept: an error text of a session may quote
// what a client sent.

/** Most lines that are kept; what a server says when it cannot start is fewer. */
const LINES_MAX = 32;

/** Longest line that is kept, in characters. */
const LINE_MAX_LENGTH = 400;

/** Of the server's own processes: prefix `%m [%p] ` and a severity. Sessions have user and database in between. */
const SERVER_LINE = /^\d\S+ \S+ \S+ \[\d+\] (LOG|WARNING|ERROR|FATAL|PANIC): {1,2}(.*)$/;

/** Written before the log is set up. */
const EARLY_LINE = /^postgres: (.*)$/;

/** What every file that cannot be used ends with; the lines before it say what is wrong. */
const CONTAINS_ERRORS = /^configuration file ".*" contains errors/;

/** Said of every start, or about the file that the agent itself wrote. */
const IN_FILE = / in file ".*" line \d+$/;

interface Line {
  readonly severity: string;
  readonly text: string;
}

/** Keeps the last lines of one server, and nothing of sessions. */
export interface ServerLog {
  /** Takes output as it comes; a line may come in pieces. */
  take(chunk: string): void;
  /** What the server complained of last, without time and process: "FATAL: …"; `undefined` when it did not. */
  complaint(): string | undefined;
}

/** An empty log. */
export function createServerLog(): ServerLog {
  const lines: Line[] = [];
  let rest = "";
  return {
    take: (chunk) => {
      const parts = (rest + chunk).split("\n");
      rest = (parts.pop() ?? "").slice(0, LINE_MAX_LENGTH);
      for (const part of parts) {
        const line = lineOf(part);
        if (line !== undefined) lines.push(line);
      }
      lines.splice(0, lines.length - LINES_MAX);
    },
    complaint: () => complaintOf(lines),
  };
}

function lineOf(text: string): Line | undefined {
  const early = EARLY_LINE.exec(text);
  if (early !== null) return { severity: "FATAL", text: cut(early[1] ?? "") };
  const [, severity, said] = SERVER_LINE.exec(text) ?? [];
  return severity === undefined || said === undefined ? undefined : { severity, text: cut(said) };
}

function cut(text: string): string {
  return text.length <= LINE_MAX_LENGTH ? text : `${text.slice(0, LINE_MAX_LENGTH)}…`;
}

function complaintOf(lines: readonly Line[]): string | undefined {
  const at = lines.findLastIndex(({ severity }) => severity === "FATAL" || severity === "PANIC");
  const last = lines[at];
  if (last === undefined) {
    const error = lines.findLast(({ severity }) => severity === "ERROR");
    return error && `${error.severity}: ${error.text}`;
  }
  if (!CONTAINS_ERRORS.test(last.text)) return `${last.severity}: ${last.text}`;
  const wrong = lines
    .slice(0, at)
    .filter(({ severity, text }) => severity === "LOG" && !text.startsWith("skipping missing configuration file"));
  return wrong.length === 0
    ? `${last.severity}: ${last.text}`
    : wrong.map(({ text }) => text.replace(IN_FILE, "")).join("; ");
}
