/** Words that stand where a name of a metric could. */
const WORDS = new Set([
  "and",
  "or",
  "unless",
  "by",
  "without",
  "on",
  "ignoring",
  "group_left",
  "group_right",
  "bool",
  "offset",
]);

/**
 * Names of the metrics that a PromQL expression asks for, in their order. It knows no more of the language than expressions of alerts
 * and dashboards need: what is neither in quotes, braces or brackets, nor a list of labels, nor called, nor a word of the language.
 */
export function metricsOf(expression: string): string[] {
  const bare = expression
    .replace(/"(\\.|[^"\\])*"/g, "")
    .replace(/\{[^}]*\}/g, "")
    .replace(/\[[^\]]*\]/g, "")
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, " ");
  return [...bare.matchAll(/(?<![\w.:$])[a-zA-Z_:][\w:]*(?!\w*\s*\()/g)]
    .map(([name]) => name)
    .filter((name) => !WORDS.has(name));
}
