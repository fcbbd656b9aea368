/**
 * What JavaScript's patterns (without flags) and the API server's (Go's RE2 syntax) read differently. The server refuses
 * some of it when the CRD is created; the rest would quietly match other texts than zod does.
 */

/** Larger repetitions are refused by RE2. */
const REPEAT_MAX = 1000;

/** Escapes that RE2 does not know, or understands in another way, with what to write instead. */
const ESCAPES: Readonly<Record<string, string>> = {
  s: "\\s matches other spaces there: list the characters",
  S: "\\S matches other spaces there: list the characters",
  u: "the API server's patterns (RE2) know no \\u: write the character itself",
  c: "the API server's patterns (RE2) know no \\c: write \\x and two digits",
  k: "the API server's patterns (RE2) know no look-around and no back-references",
};

/** Sentences on a pattern's source; none when both sides read it alike. */
export function re2Problems(source: string): string[] {
  const problems = new Set<string>();
  let inClass = false;
  for (let at = 0; at < source.length; at += 1) {
    const char = source.charAt(at);
    const next = source.charAt(at + 1);
    if (char === "\\") {
      if (!inClass && /[1-9]/.test(next)) problems.add(ESCAPES["k"] ?? "");
      if (next in ESCAPES) problems.add(ESCAPES[next] ?? "");
      at += 1;
    } else if (inClass) {
      inClass = char !== "]";
    } else if (char === "[") {
      inClass = true;
      if (/^\[\^?\]/.test(source.slice(at))) problems.add("an empty class of characters means something else there");
    } else if (char === "(" && next === "?" && source.charAt(at + 2) !== ":") {
      problems.add("the API server's patterns (RE2) know no look-around and no back-references");
    } else if (char === ".") {
      problems.add("'.' leaves out other line ends there: name the characters, for example [^\\n]");
    } else if (char === "{" && repeats(source.slice(at)) > REPEAT_MAX) {
      problems.add(
        `the API server's patterns (RE2) repeat at most ${String(REPEAT_MAX)} times: bound the length instead`,
      );
    }
  }
  return [...problems];
}

/** The larger number of `{n}`, `{n,}` or `{n,m}` at the start; 0 when there is none. */
function repeats(rest: string): number {
  const [, from = "0", to] = /^\{(\d+)(?:,(\d*))?\}/.exec(rest) ?? [];
  return Math.max(Number(from), Number(to ?? 0));
}
