import { describe, expect, test } from "@jest/globals";
import { checkCsv } from "../../testing/csv-file.ts";
import type { FileFlags } from "./import-options.ts";
import type { CsvRow } from "./rows.ts";

// Goal: rows that are no money of the account stay out of it, by an option that the refusal names; and a row means what its
// bank meant by it. Each fault here posted wrong money silently, or had no way out.

const FLAGS = { value: ["account=a", "operation=x"] };

async function rowsOf(text: string, flags: Partial<FileFlags>): Promise<CsvRow[]> {
  const checked = await checkCsv(text, { ...FLAGS, ...flags });
  const rows = [...checked.read()].flatMap((parsed) => ("row" in parsed ? [parsed.row] : []));
  checked.close();
  return rows;
}

const signed = (rows: readonly CsvRow[]): number[] =>
  rows.map(({ direction, amount }) => (direction === "credit" ? amount : -amount));

describe("rows that are chosen", () => {
  const wallet = [
    "id,date,Currency,State,Net",
    "1,2026-03-02,CZK,Completed,10.00",
    "2,2026-03-02,EUR,Completed,8.00",
    "3,2026-03-03,CZK,Pending,5.00",
    "4,2026-03-04,CZK,Completed,-3.00",
    "5,2026-03-05,CZK, Reverted ,-2.00",
    "",
  ].join("\n");
  const columns = { column: ["amount=Net"] };

  test("several currencies are refused, with the option for one of them", async () => {
    await expect(checkCsv(wallet, { ...FLAGS, ...columns })).rejects.toMatchObject({
      code: "CSV_CURRENCY_UNCLEAR",
      message: expect.stringMatching(
        /column "Currency" has CZK \(line 2\) and EUR \(line 3\).* as CZK.*--only Currency=CZK.*--value asset=CZK/,
      ),
    });
  });

  test("one other currency is refused too, a small-letter one of the asset is not", async () => {
    await expect(
      checkCsv("id,date,Cur,N\n1,2026-03-02,eur,10.00\n", { ...FLAGS, column: ["amount=N"] }),
    ).rejects.toThrow(
      'column "Cur" has EUR (line 2), and every amount would be posted as CZK. --asset EUR posts them as what they are',
    );
    expect(await rowsOf("id,date,Cur,N\n1,2026-03-02,czk,10.00\n", { column: ["amount=N"] })).toHaveLength(1);
    expect(
      await rowsOf("id,date,Cur,N\n1,2026-03-02,eur,10.00\n", {
        column: ["amount=N"],
        value: [...FLAGS.value, "asset=CZK"],
      }),
    ).toHaveLength(1);
  });

  test("three letters that are no currency, and columns with other words, are no matter", async () => {
    const text = "id,date,Kind,Word,N\n1,2026-03-02,POS,EUR,10.00\n2,2026-03-02,ATM,euros,10.00\n";
    expect(await rowsOf(text, { column: ["amount=N"] })).toHaveLength(2);
  });

  test("--column asset=... checks each row", async () => {
    const asset = { column: ["amount=Net", "asset=Currency"] };
    await expect(checkCsv(wallet, { ...FLAGS, ...asset })).rejects.toThrow(
      'line 3: asset "EUR" is not CZK; --only Currency=CZK passes such rows over',
    );
    expect(await rowsOf(wallet, { ...asset, only: ["Currency=CZK"] })).toHaveLength(4);
    await expect(checkCsv(wallet, { ...FLAGS, ...columns, value: ["account=a", "asset=EUR"] })).rejects.toThrow(
      "--value asset=EUR: the amounts are read as CZK",
    );
  });

  test("--only takes rows that have one of its values in every column, and says how many it passed over", async () => {
    const flags = { ...columns, only: ["Currency=CZK", "State=Completed", "State=Reverted"] };
    expect((await rowsOf(wallet, flags)).map(({ id }) => id)).toEqual(["1", "4", "5"]);
    const checked = await checkCsv(wallet, { ...FLAGS, ...flags });
    expect([checked.rows, checked.passedOver]).toEqual([3, 2]);
    expect(checked.notes).toEqual(["2 rows are passed over (--only, --without)"]);
    checked.close();
  });

  test("--without passes rows over, empty ones too", async () => {
    const flags = { ...columns, only: ["Currency=CZK"], without: ["State=Pending", "State=Reverted"] };
    expect((await rowsOf(wallet, flags)).map(({ id }) => id)).toEqual(["1", "4"]);
    const orders = "Name,date,Total\n#1,2026-03-02,10.00\n#1,2026-03-02,\n#2,2026-03-03,5.00\n";
    const order = { column: ["id=Name", "amount=Total"] };
    await expect(checkCsv(orders, { ...FLAGS, ...order })).rejects.toThrow(
      'line 3: amount is empty; --without "Total=" passes such rows over',
    );
    expect(signed(await rowsOf(orders, { ...order, without: ["Total="] }))).toEqual([1_000, 500]);
  });

  test("an empty date names the option too", async () => {
    const text = "id,Completed Date,Net\n1,,5.00\n2,2026-03-02,5.00\n";
    const flags = { column: ["date=Completed Date", "amount=Net"] };
    await expect(checkCsv(text, { ...FLAGS, ...flags })).rejects.toThrow(
      'date is empty; --without "Completed Date=" passes such rows over',
    );
  });

  test("a value that no row has is a mistake, and the refusal shows what there is", async () => {
    await expect(checkCsv(wallet, { ...FLAGS, ...columns, only: ["Currency=czech"] })).rejects.toThrow(
      'no row has Currency "czech" of --only; the column has "CZK", "EUR"',
    );
    // A file of refused rows need not have them all, and is read with the same options.
    const some = await checkCsv(wallet, { ...FLAGS, ...columns, only: ["Currency=CZK", "Currency=USD"] });
    expect(some.notes).toEqual(["1 row is passed over (--only, --without)", 'no row has Currency "USD" of --only']);
    some.close();
    await expect(checkCsv(wallet, { ...FLAGS, ...columns, only: ["Devise=CZK"] })).rejects.toThrow(
      "Not among them: Devise",
    );
    await expect(checkCsv(wallet, { ...FLAGS, ...columns, only: ["Currency"] })).rejects.toThrow("--only");
  });
});

describe("which way money goes", () => {
  const card = "id,date,N\n1,2026-03-02,4.50\n2,2026-03-03,-500.00\n3,2026-03-04,20.00 CR\n";

  test("--positive debit reads card statements: charges without a sign, payments with a minus", async () => {
    const flags = { column: ["amount=N"], positive: "debit" as const, direction: ["credit=CR"] };
    expect(signed(await rowsOf(card, flags))).toEqual([-450, 50_000, 2_000]);
    await expect(checkCsv(card, { ...FLAGS, ...flags, value: [...FLAGS.value, "direction=debit"] })).rejects.toThrow(
      "--positive",
    );
  });

  test("a minus is refused where every row was said to be a debit: a payment would be charged", async () => {
    await expect(
      checkCsv(card, { ...FLAGS, column: ["amount=N"], value: [...FLAGS.value, "direction=debit"] }),
    ).rejects.toThrow(/line 3: amount "-500.00" has a minus, and --value direction=debit .*--positive debit/);
  });

  test("debits with a minus and without one in a file are refused: one of them takes the other back", async () => {
    const text = "id,date,direction,N\n1,2026-03-02,debit,5.00\n2,2026-03-03,debit,-5.00\n";
    await expect(checkCsv(text, { ...FLAGS, column: ["amount=N"] })).rejects.toThrow(
      "line 2 is a debit without a minus, and line 3 is one with it",
    );
    const apart = "id,date,In,Out\n1,2026-03-02,,5.00\n2,2026-03-03,,-5.00\n";
    await expect(checkCsv(apart, { ...FLAGS, column: ["credit=In", "debit=Out"] })).rejects.toThrow(
      "debit without a minus",
    );
  });

  test("words beside the amounts tell the direction", async () => {
    const text = 'id,date,N\n1,2026-03-02,"1,00,000.00 Cr"\n2,2026-03-03,"10,000.00Dr"\n3,2026-03-04,Dr 5\n';
    const flags = { column: ["amount=N"], direction: ["credit=Cr", "debit=Dr"] };
    expect(signed(await rowsOf(text, flags))).toEqual([10_000_000, -1_000_000, -500]);
    await expect(checkCsv("id,date,N\n1,2026-03-02,-5 Dr\n", { ...FLAGS, ...flags })).rejects.toThrow(
      'amount "-5 Dr" has a sign and "Dr"',
    );
  });
});

describe("how banks write fields", () => {
  test("blanks around names of columns, ids, dates and directions are no part of them", async () => {
    const text = "Date    ,Ref   ,Dr/Cr,Amount\t,Text \n02-Mar-26  , N1   ,Cr   ,     5.00,  two  words \n";
    const rows = await rowsOf(text, {
      column: ["date=Date", "id=Ref", "direction=Dr/Cr", "amount=Amount"],
      direction: ["credit=Cr", "debit=Dr"],
      dateFormat: "DD-MMM-YY",
      keep: ["text=Text"],
    });
    expect(rows).toMatchObject([
      { id: "N1", date: "2026-03-02", direction: "credit", amount: 500, details: { text: "  two  words " } },
    ]);
  });

  test("a number that is guarded from a spreadsheet is the number", async () => {
    const text = 'id,date,account,N,Text\n"=""0012""",2026-03-02,"=""777""","=""5.00""","=""x"""\n';
    const [row] = await rowsOf(text, { column: ["amount=N"], value: ["operation=x"], keep: ["text=Text"] });
    expect(row).toMatchObject({ id: "0012", account: "777", amount: 500, details: { text: '="x"' } });
  });

  test("an amount in another currency is refused, unless the user says what it is in", async () => {
    const text = "id,date,N\n1,2026-03-02,$5.00\n";
    await expect(checkCsv(text, { ...FLAGS, column: ["amount=N"] })).rejects.toThrow(
      'amount "$5.00" has "$" beside the number, which is not CZK (--asset names another one; --value asset=CZK says',
    );
    expect(await rowsOf(text, { column: ["amount=N"], value: [...FLAGS.value, "asset=CZK"] })).toHaveLength(1);
  });

  test("empty fields behind the last column are nothing, others are something", async () => {
    const text = "id,date,N\n1,2026-03-02,5.00,\n2,2026-03-02,5.00,,\n3,2026-03-02,5.00\n";
    const rows = await rowsOf(text, { column: ["amount=N"] });
    expect(rows.map(({ fields }) => fields.length)).toEqual([3, 3, 3]);
    await expect(checkCsv("id,date,N\n1,2026-03-02,5,00\n", { ...FLAGS, column: ["amount=N"] })).rejects.toThrow(
      "4 fields instead of 3",
    );
  });

  test("--null names what stands for nothing", async () => {
    const text = "id\tdate\tIn\tOut\tMemo\n1\t2026-03-02\t5.00\t\\N\tNULL\n2\t2026-03-02\t\\N\t4.00\tx\n";
    const flags = { column: ["credit=In", "debit=Out"], keep: ["memo=Memo"] };
    await expect(checkCsv(text, { ...FLAGS, ...flags })).rejects.toThrow(
      `debit "\\\\N" is not an amount; --null '\\N' says that it stands for nothing`,
    );
    await expect(checkCsv("id,date,N\n1,2026-03-02,-\n", { ...FLAGS, column: ["amount=N"] })).rejects.toThrow(
      "--null - says",
    );
    const rows = await rowsOf(text, { ...flags, null: ["\\N", "NULL"] });
    expect(signed(rows)).toEqual([500, -400]);
    expect(rows.map(({ details }) => details["memo"])).toEqual([undefined, "x"]);
    // What goes to the rejects is the file's.
    expect(rows[0]?.fields).toEqual(["1", "2026-03-02", "5.00", "\\N", "NULL"]);
  });

  test("months that are not English say so", async () => {
    const flags = { column: ["amount=N"], dateFormat: "DD-MMM-YYYY" };
    await expect(checkCsv("id,date,N\n1,02-ene-2026,5\n", { ...FLAGS, ...flags })).rejects.toThrow(
      'date "02-ene-2026" is not DD-MMM-YYYY; names of months are read in English',
    );
  });

  test.each([
    [
      "rows wider than the header",
      "Account : x\nNo : 1\nRef,Day,N\n1,2026-03-02,5,,,\n2,2026-03-02,5,,,\n",
      "--skip-lines 2",
    ],
    [
      "lines above as wide as the header",
      "Konto:;CH1;;\nVon:;2026-03-01;;\nRef;Day;N;Text\n1;2026-03-02;5;x\n",
      "--skip-lines 2",
    ],
  ])("%s: the header is told from them", async (_name, text, words) => {
    await expect(checkCsv(text, FLAGS)).rejects.toThrow(words);
  });
});
