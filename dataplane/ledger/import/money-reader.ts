/** The amount of a record and which way it goes. */
import { parseCredits } from "../../../lib/core/money.ts";
import { type AmountForm, readAmount } from "./amount.ts";
import type { Field } from "./columns.ts";
import type { RecordFields } from "./record-fields.ts";
import type { CsvRow } from "./rows.ts";
import { shellWord } from "./shell-word.ts";
import { allFaults, orFault, quoted, Unreadable } from "./unreadable.ts";

/** How a file writes money. */
export interface MoneyForm {
  readonly amounts: AmountForm;
  /** Words for the two directions. */
  readonly directions: Readonly<Record<"credit" | "debit", readonly string[]>>;
  /** What an amount without a minus is, where no direction is given. */
  readonly positive: "credit" | "debit";
  readonly values: Readonly<Partial<Record<Field, string>>>;
}

/** What a row moves. */
export type Money = Pick<CsvRow, "direction" | "amount" | "debitMinus">;

/** What databases and banks write for nothing. */
const NULL_LIKE = /^(?:\\N|null|nil|none|n\/?a|[-–—]+)$/i;

/** A reader of the amounts of one file; it throws Unreadable. */
export function createMoneyReader(
  { valueOf, has, columnOf, passing }: RecordFields,
  form: MoneyForm,
): (fields: readonly string[]) => Money {
  const readMoney = (fields: readonly string[]): Money => {
    if (has("credit")) return readApart(valueOf(fields, "credit"), valueOf(fields, "debit"));
    if (!has("direction")) return readSize(fields, undefined);
    try {
      return readSize(fields, readDirection(valueOf(fields, "direction")));
    } catch (error) {
      const faults: Unreadable[] = [];
      orFault(faults, () => readDirection(valueOf(fields, "direction")));
      if (faults.length > 0) orFault(faults, () => readSize(fields, undefined));
      throw faults.length === 0 ? error : allFaults(faults);
    }
  };

  const readSize = (fields: readonly string[], direction: "credit" | "debit" | undefined): Money => {
    if (!has("amount")) {
      return { direction: direction ?? "credit", amount: readMinor(fields) };
    }
    const text = valueOf(fields, "amount");
    if (text === "") throw new Unreadable(`amount is empty${passing("amount", "")}`);
    const marked = direction === undefined ? markedDirection(text) : undefined;
    const minor = readSigned("amount", marked?.rest ?? text);
    if (minor === 0) throw nothing("amount", text, passing("amount", text));
    if (marked !== undefined) return { direction: marked.direction, amount: minor };
    const isSigned = minor < 0;
    const amount = Math.abs(minor);
    if (direction === undefined) return { direction: isSigned ? opposite(form.positive) : form.positive, amount };
    if (isSigned && form.values.direction !== undefined) {
      throw new Unreadable(
        `amount ${quoted(text)} has a minus, and --value direction=${direction} is for amounts without: without that option the sign tells the direction, and --positive debit says that a minus is a credit`,
      );
    }
    if (isSigned && direction === "credit") {
      throw new Unreadable(`amount ${quoted(text)} is negative, and its direction is credit`);
    }
    return { direction, amount, ...(direction === "debit" ? { debitMinus: isSigned } : {}) };
  };

  /** The direction of an amount such as "5.00 Dr", by the words of the file. */
  const markedDirection = (text: string): { direction: "credit" | "debit"; rest: string } | undefined => {
    for (const direction of ["credit", "debit"] as const) {
      for (const word of form.directions[direction]) {
        const rest = text.endsWith(word)
          ? text.slice(0, -word.length)
          : text.startsWith(word)
            ? text.slice(word.length)
            : undefined;
        if (rest === undefined) continue;
        if (/[-+\u2212(]/.test(rest)) throw new Unreadable(`amount ${quoted(text)} has a sign and "${word}"`);
        return { direction, rest };
      }
    }
    return undefined;
  };

  const readDirection = (text: string): "credit" | "debit" => {
    for (const direction of ["credit", "debit"] as const) {
      if (form.directions[direction].includes(text)) return direction;
    }
    const words = [...form.directions.credit, ...form.directions.debit].map((word) => `"${word}"`).join(" nor ");
    const help = `--direction credit=... and --direction debit=... name other words`;
    throw new Unreadable(`direction ${quoted(text)} is neither ${words} (${help})`);
  };

  const readMinor = (fields: readonly string[]): number => {
    const text = valueOf(fields, "amount_minor");
    const amount = parseCredits(text);
    if (amount === undefined) {
      const help = `a decimal amount is read with --column amount=${JSON.stringify(columnOf("amount_minor"))}`;
      throw new Unreadable(
        `amount_minor ${quoted(text)} is not a whole number of minor units of at most ${Number.MAX_SAFE_INTEGER} (${help})`,
      );
    }
    if (amount < 1) throw nothing("amount_minor", text, passing("amount_minor", text));
    return amount;
  };

  const readSigned = (field: Field, text: string): number => {
    if (NULL_LIKE.test(text)) {
      throw new Unreadable(
        `${field} ${quoted(text)} is not an amount; --null ${shellWord(text)} says that it stands for nothing`,
      );
    }
    const read = readAmount(text, form.amounts);
    if ("reason" in read) throw new Unreadable(`${field} ${quoted(text)} ${read.reason}`);
    return read.minor;
  };

  /** Of two columns one holds an amount; debits may carry a minus, in all rows or in none. */
  const readApart = (credit: string, debit: string): Money => {
    const given = {
      credit: credit === "" ? 0 : readSigned("credit", credit),
      debit: debit === "" ? 0 : readSigned("debit", debit),
    };
    if (given.credit !== 0 && given.debit !== 0) {
      throw new Unreadable(`credit ${quoted(credit)} and debit ${quoted(debit)} are both given`);
    }
    if (given.credit < 0) throw new Unreadable(`credit ${quoted(credit)} is negative`);
    if (given.credit > 0) return { direction: "credit", amount: given.credit };
    if (given.debit !== 0) {
      return { direction: "debit", amount: Math.abs(given.debit), debitMinus: given.debit < 0 };
    }
    if (credit === "" && debit === "") throw new Unreadable("credit and debit are both empty");
    throw nothing(
      "credit and debit",
      credit === "" ? debit : credit,
      passing(credit === "" ? "debit" : "credit", credit === "" ? debit : credit),
    );
  };

  return readMoney;
}

function nothing(field: string, text: string, help: string): Unreadable {
  return new Unreadable(`${field} ${quoted(text)} is not positive${help}`, "AMOUNT_NOT_POSITIVE");
}

function opposite(direction: "credit" | "debit"): "credit" | "debit" {
  return direction === "credit" ? "debit" : "credit";
}
