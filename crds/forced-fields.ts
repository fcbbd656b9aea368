/**
 * The fields that we take from other field managers, all of them. `docs/lifecycle.md` shows this table, and a test compares
 * both.
 */
export const FORCED_FIELDS = {
  owned: {
    fields: "what we apply of an object that is ours, by label or owner reference",
    why: "an expired certificate that somebody wrote there, or the object that a backup brought back, would stay for ever",
  },
  status: {
    fields: "what we state in `status` of a reconciled kind",
    why: "it is the controller's by design; a status that somebody damaged would stay wrong",
  },
  trust: {
    fields: "`caBundle` of the webhooks and conversions that we serve",
    why: "it is ours by design; a value that somebody left there would end all admissions",
  },
} as const;

/** The option of an apply that takes fields of the table. */
export function taking(_fields: keyof typeof FORCED_FIELDS): { readonly force: true } {
  return { force: true };
}
