/** Which column of a foreign header may be which of ours, for an example that people can copy. */
import { FIELDS, type Field } from "./columns.ts";
import { shellWord } from "./shell-word.ts";

/** Names that banks and shops give their columns; the first pattern that fits a name of the header wins. */
const NAMES: Readonly<Partial<Record<Field, readonly RegExp[]>>> = {
  id: [
    /^(?:id|ref|reference|referenz|arkivref|transaction (?:id|no|number)|id transakce|buchungsnummer|verifikationsnummer)\.?$/i,
    /^(?:交易号|取引番号)$/,
  ],
  date: [
    /^(?:date|datum|dato|data|fecha|transaction date|txn date|buchungstag|buchungsdatum|bokföringsdatum|datum zaúčtování|dátum|päivä)$/i,
    /^(?:ご利用日|取引日|日付|交易创建时间)$/,
    /^(?:created|completed)\b/i,
  ],
  account: [/^(?:account|konto|auftragskonto|rekening|card|számla|kontonummer|compte|conto)$/i],
  operation: [
    /^(?:type|typ|description|details|narration|text|buchungstext|mutatiesoort|typ transakce|típus|forklaring|treść|libellé|concepto)$/i,
  ],
  amount: [
    // What is left of an amount after its fee.
    /^net$/i,
    /^(?:amount|betrag|belopp|beløp|bedrag|importe|importo|montant|částka|kwota|összeg|total)$/i,
    /^(?:amount|bedrag|betrag)\b/i,
    /^(?:ご利用金額|金額|金额(?:（元）)?)$/,
  ],
};

/**
 * @param missing what the header lacks: names of ours, and names of theirs that the user gave
 * @returns options for the columns that sound like ours; one with dots where none does, "" where nothing of ours is missing
 */
export function exampleFor(missing: readonly string[], header: readonly string[]): string {
  const names = header.map((name) => name.trim());
  const wanted = missing
    .map((name) => (name === "amount_minor" ? "amount" : name))
    .filter((name): name is Field => (FIELDS as readonly string[]).includes(name));
  const options = wanted.flatMap((field) => {
    const column = (NAMES[field] ?? []).map((pattern) => names.find((name) => pattern.test(name))).find(Boolean);
    return column === undefined ? [] : [`--column ${field}=${quotedFor(column)}`];
  });
  if (options.length > 0) return options.join(" ");
  return wanted.length === 0 ? "" : `--column ${wanted[0]}=...`;
}

/** Quotes around the column alone, as people write it. */
function quotedFor(column: string): string {
  return /^[\p{L}\p{N}_.-]+$/u.test(column) ? column : shellWord(column);
}
