// What is done for a request, decided from what the cluster holds. The SQL itself is tried in shardagent.int.test.ts.
import { describe, expect, test } from "@jest/globals";
import type { DatabaseRequest } from "../../crds/database-request.ts";
import { type ClusterFacts, planRequest } from "./databases.ts";

const OLD = "SCRAM-SHA-256$4096:b2xk$old:old";
const NEW = "SCRAM-SHA-256$4096:bmV3$new:new";
const MARK = "shieldx database bank";

const request: DatabaseRequest = {
  database: "bank",
  owner: { name: "bank_owner", verifier: NEW },
  writer: { name: "bank_writer", verifier: NEW },
  reader: { name: "bank_reader", verifier: NEW },
};

type Role = { verifier: string | undefined; mark: string | undefined };

function facts(roles: Record<string, Role>, database?: { owner: string; mark: string | undefined }): ClusterFacts {
  return {
    roles: new Map(Object.entries(roles)),
    databases: new Map(database === undefined ? [] : [["bank", database]]),
  };
}

function allRoles(verifier: string, mark: string | null = MARK): Record<string, Role> {
  return Object.fromEntries(
    ["bank_owner", "bank_writer", "bank_reader"].map((name) => [name, { verifier, mark: mark ?? undefined }]),
  );
}

const finish = [
  'REVOKE ALL ON DATABASE "bank" FROM PUBLIC',
  'GRANT CONNECT ON DATABASE "bank" TO "bank_writer", "bank_reader"',
  `COMMENT ON DATABASE "bank" IS '${MARK}'`,
];

describe("a request", () => {
  test("on an empty cluster makes roles without any power, the database, and marks all of it", () => {
    const attributes = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT";
    expect(planRequest(request, facts({}))).toEqual({
      type: "run",
      statements: [
        ...["owner", "writer", "reader"].map(
          (role) =>
            `CREATE ROLE "bank_${role}" ${attributes} PASSWORD '${NEW}'; COMMENT ON ROLE "bank_${role}" IS '${MARK}'`,
        ),
        `CREATE DATABASE "bank" OWNER "bank_owner" TEMPLATE template0 ENCODING 'UTF8'`,
        ...finish,
      ],
    });
  });

  test("that is carried out needs nothing", () => {
    expect(planRequest(request, facts(allRoles(NEW), { owner: "bank_owner", mark: MARK }))).toEqual({
      type: "run",
      statements: [],
    });
  });

  test("with a new password changes that role alone", () => {
    const roles = { ...allRoles(NEW), bank_writer: { verifier: OLD, mark: MARK } };
    expect(planRequest(request, facts(roles, { owner: "bank_owner", mark: MARK }))).toEqual({
      type: "run",
      statements: [`ALTER ROLE "bank_writer" PASSWORD '${NEW}'`],
    });
  });

  test("that was interrupted after CREATE DATABASE is taken up there", () => {
    expect(planRequest(request, facts(allRoles(NEW), { owner: "bank_owner", mark: undefined }))).toEqual({
      type: "run",
      statements: finish,
    });
  });

  test.each([
    [
      "a role of somebody else",
      facts({ bank_writer: { verifier: undefined, mark: undefined } }),
      "role bank_writer exists and belongs to somebody else",
    ],
    [
      "a role of another request",
      facts({ bank_reader: { verifier: NEW, mark: "shieldx database other" } }),
      "role bank_reader exists and belongs to somebody else",
    ],
    [
      "a database of another request",
      facts(allRoles(NEW), { owner: "bank_owner", mark: "shieldx database other" }),
      "database bank exists and belongs to somebody else",
    ],
    [
      "a database with another owner",
      facts(allRoles(NEW), { owner: "postgres", mark: undefined }),
      "database bank belongs to role postgres, not bank_owner",
    ],
  ])("that meets %s is refused, and nothing is run", (_name, found, message) => {
    expect(planRequest(request, found)).toEqual({ type: "refuse", message });
  });
});

describe("a drop", () => {
  const drop = { ...request, drop: true };
  const dropRoles = ["owner", "writer", "reader"].map((role) => `DROP ROLE "bank_${role}"`);

  test("removes database and roles of the request", () => {
    expect(planRequest(drop, facts(allRoles(NEW), { owner: "bank_owner", mark: MARK }))).toEqual({
      type: "run",
      statements: ['DROP DATABASE "bank" WITH (FORCE)', ...dropRoles],
    });
  });

  test("of what is gone already is done", () => {
    expect(planRequest(drop, facts({}))).toEqual({ type: "run", statements: [] });
  });

  test("of a half-made database removes it too", () => {
    expect(planRequest(drop, facts(allRoles(NEW), { owner: "bank_owner", mark: undefined }))).toEqual({
      type: "run",
      statements: ['DROP DATABASE "bank" WITH (FORCE)', ...dropRoles],
    });
  });

  test("never touches what somebody else made", () => {
    expect(planRequest(drop, facts(allRoles(NEW, null), { owner: "bank_owner", mark: undefined }))).toEqual({
      type: "refuse",
      message: "database bank belongs to somebody else and is not dropped",
    });
    expect(planRequest(drop, facts(allRoles(NEW, null)))).toEqual({ type: "run", statements: [] });
  });
});
