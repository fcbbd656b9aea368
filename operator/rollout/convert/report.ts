import type { DocumentReport } from "./convert.ts";

const OUTCOMES = { dropped: "not translated", changed: "translated, but" } as const;

/** What a person has to know of a conversion, one document after the other. */
export function reportText(reports: readonly DocumentReport[]): string {
  return reports.map(documentText).join("\n");
}

function documentText({ title, isConverted, findings, notes }: DocumentReport): string {
  const dropped = findings.filter(({ outcome }) => outcome === "dropped").length;
  const head = isConverted
    ? `${title}: converted, ${String(dropped)} not translated, ${String(findings.length - dropped)} with another meaning`
    : `${title}: makes no Rollout of its own`;
  const lines = findings.map(({ path, outcome, why, instead }) => {
    const place = path === "" ? "" : `${path}: `;
    return `  ${place}${OUTCOMES[outcome]}: ${why}${instead === undefined ? "" : `\n    instead: ${instead}`}`;
  });
  return [head, ...lines, ...notes.map((note) => `  note: ${note}`)].map((line) => `${line}\n`).join("");
}
