import { describe, expect, test } from "@jest/globals";
import { exampleFor } from "./column-guess.ts";

// Goal: the example names columns that are what it says, or none: people copy it.

describe("an example of columns", () => {
  test.each<[header: string, missing: string, example: string]>([
    [
      "Date,Time,Type,Currency,Gross,Fee,Net,Transaction ID",
      "id,date,account,direction,operation,amount_minor",
      '--column id="Transaction ID" --column date=Date --column operation=Type --column amount=Net',
    ],
    [
      "Dato;Forklaring;Rentedato;Ut fra konto;Inn på konto;Arkivref",
      "id,date,account,direction,operation,amount_minor",
      "--column id=Arkivref --column date=Dato --column operation=Forklaring",
    ],
    [
      "Datum;Auftragskonto;Buchungstext;Betrag",
      "date,account,operation,amount_minor",
      "--column date=Datum --column account=Auftragskonto --column operation=Buchungstext --column amount=Betrag",
    ],
    [
      "ご利用日,ご利用店名,ご利用金額",
      "id,date,operation,amount_minor",
      "--column date=ご利用日 --column amount=ご利用金額",
    ],
    ["Datum von:;2026-03-01", "date", "--column date=..."],
    ["id,Amount,Fee,Net", "amount_minor", "--column amount=Net"],
    ["a,b,c", "id,date", "--column id=..."],
    ["a,Betrag", "Summe", ""],
  ])("%s", (header, missing, example) => {
    expect(exampleFor(missing.split(","), header.split(/[,;]/))).toBe(example);
  });
});
