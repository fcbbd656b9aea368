import { describe, expect, test } from "@jest/globals";
import { type DatabaseRequest, parseDatabaseRequest, parseDatabases, requestHash } from "./database-request.ts";

const VERIFIER =
  "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

const REQUEST: DatabaseRequest = {
  database: "ledger_bank",
  owner: { name: "ledger_bank_owner", verifier: VERIFIER },
  writer: { name: "ledger_bank_writer", verifier: VERIFIER },
  reader: { name: "ledger_bank_reader", verifier: VERIFIER },
};

function refusal(json: string): string {
  try {
    parseDatabaseRequest(json);
  } catch (error) {
    expect(error).toMatchObject({ code: "DATABASE_REQUEST_INVALID" });
    return (error as Error).message;
  }
  throw new Error("the request was accepted");
}

describe("a database request", () => {
  test("is read as it was written, alone and in the merged list", () => {
    expect(parseDatabaseRequest(JSON.stringify(REQUEST))).toEqual(REQUEST);
    expect(parseDatabases(JSON.stringify({ databases: [REQUEST, { ...REQUEST, drop: true }] }))).toEqual([
      REQUEST,
      { ...REQUEST, drop: true },
    ]);
  });

  test("has a hash that depends on its content only", () => {
    const { database, ...roles } = REQUEST;
    expect(requestHash({ ...roles, database })).toBe(requestHash(REQUEST));
    expect(requestHash({ ...REQUEST, drop: true })).not.toBe(requestHash(REQUEST));
  });

  test.each([
    ["not JSON", "{", "not JSON"],
    [
      "a password instead of a verifier",
      JSON.stringify({ ...REQUEST, owner: { name: "o", verifier: "hunter2" } }),
      "owner.verifier",
    ],
    ["upper case", JSON.stringify({ ...REQUEST, database: "Ledger" }), "database"],
    ["SQL in the name", JSON.stringify({ ...REQUEST, database: 'x"; drop' }), "database"],
    ["a name of PostgreSQL", JSON.stringify({ ...REQUEST, database: "postgres" }), "keeps for itself"],
    [
      "a reserved role",
      JSON.stringify({ ...REQUEST, reader: { name: "pg_monitor", verifier: VERIFIER } }),
      "reader.name",
    ],
    ["the same role twice", JSON.stringify({ ...REQUEST, reader: REQUEST.writer }), "three different roles"],
    ["an unknown field", JSON.stringify({ ...REQUEST, superuser: true }), "superuser"],
    ["too long a name", JSON.stringify({ ...REQUEST, database: "x".repeat(64) }), "database"],
  ])("%s is refused with a sentence", (_name, json, sentence) => {
    const message = refusal(json);
    expect(message).toContain(sentence);
    expect(message).not.toContain("hunter2");
  });
});
