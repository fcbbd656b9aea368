/** Text as one word of a command line, for sentences that name an option with its value. */

/** In quotes where a shell would take it apart; in single ones where double ones would not do. */
export function shellWord(text: string): string {
  if (/^[\w./:@%+-]+(?:=[\w./:@%+-]+)?$/.test(text)) return text;
  return /["$`\\!]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`;
}
