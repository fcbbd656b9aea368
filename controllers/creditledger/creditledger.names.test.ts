import { describe, expect, test } from "@jest/globals";
import { databaseName, ledgerNames } from "./creditledger.names.ts";

// Names are a contract with the agents, the ledger's program and people: they are compared letter by letter.

describe("names of a ledger's database", () => {
  test.each([
    ["bank", "ledger_bank"],
    ["bank-eu-1", "ledger_bank_eu_1"],
    ["a".repeat(49), `ledger_${"a".repeat(49)}`],
  ])("%s", (ledger, database) => {
    expect(databaseName(ledger)).toBe(database);
  });

  test("a long name is cut, and two long names stay apart", () => {
    const first = databaseName(`${"a".repeat(60)}-one`);
    const second = databaseName(`${"a".repeat(60)}-two`);
    expect(first).toMatch(/^ledger_a{40}_[0-9a-f]{8}$/);
    expect(first).not.toBe(second);
  });

  test("role names fit into PostgreSQL's 63 characters and are legal", () => {
    const names = ledgerNames(`${"b-".repeat(40)}b`);
    for (const role of [names.ownerRole, names.writerRole, names.readerRole]) {
      expect(role).toMatch(/^[a-z][a-z0-9_]{0,62}$/);
    }
  });
});
