// What is done for a request, decided from what the cluster holds. The SQL itself is tried in databases.int.test.ts.
import { describe, expect, test } from "@jest/globals";
import type { DatabaseRequest } from "../../crds/database-request.ts";
import { type ClusterFacts, type DatabaseFacts, planRequest, type RoleFacts } from "./database-plan.ts";

const OLD = "SCRAM-SHA-256$4096:b2xk$old:old";
const NEW = "SCRAM-SHA-256$4096:bmV3$new:new";
const MARK = "shieldx database bank";

const request: DatabaseRequest = {
  database: "bank",
  owner: { name: "bank_owner", verifier: NEW },
  writer: { name: "bank_writer", verifier: NEW },
  reader: { name: "bank_reader", verifier: NEW },
};

const AT_REST = { canLogin: true, mayConnect: true, isConnected: true } as const;
const OPEN = { acceptsConnections: true, connectionLimit: -1, isTemplate: false, isPublic: false } as const;

function facts(
  roles: Record<string, Partial<RoleFacts>>,
  database?: Pick<DatabaseFacts, "owner" | "mark"> & Partial<DatabaseFacts>,
): ClusterFacts {
  const whole = Object.entries(roles).map(
    ([name, role]) => [name, { ...AT_REST, verifier: NEW, mark: MARK, ...role }] as const,
  );
  return {
    roles: new Map(whole),
    databases: new Map(database === undefined ? [] : [["bank", { ...OPEN, ...database }]]),
  };
}

function allRoles(changes: Partial<RoleFacts> = {}): Record<string, Partial<RoleFacts>> {
  return Object.fromEntries(["bank_owner", "bank_writer", "bank_reader"].map((name) => [name, changes]));
}

const COMPLETE = { owner: "bank_owner", mark: MARK } as const;

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
    expect(planRequest(request, facts(allRoles(), COMPLETE))).toEqual({
      type: "run",
      statements: [],
    });
  });

  test("with a new password changes that role alone", () => {
    const roles = { ...allRoles(), bank_writer: { verifier: OLD } };
    expect(planRequest(request, facts(roles, COMPLETE))).toEqual({
      type: "run",
      statements: [`ALTER ROLE "bank_writer" LOGIN PASSWORD '${NEW}'`],
    });
  });

  test("that was interrupted after CREATE DATABASE is taken up there", () => {
    const found = { owner: "bank_owner", mark: undefined, isPublic: true };
    expect(planRequest(request, facts(allRoles({ mayConnect: false }), found))).toEqual({
      type: "run",
      statements: finish,
    });
  });

  test.each([
    ["is closed", { acceptsConnections: false }, ['ALTER DATABASE "bank" ALLOW_CONNECTIONS true']],
    ["has a limit of connections", { connectionLimit: 0 }, ['ALTER DATABASE "bank" CONNECTION LIMIT -1']],
    ["lets everybody in", { isPublic: true }, ['REVOKE ALL ON DATABASE "bank" FROM PUBLIC']],
    ["has another comment", { mark: "mine" }, [`COMMENT ON DATABASE "bank" IS '${MARK}'`]],
  ])("whose database %s puts that right", (_name, changes, statements) => {
    expect(planRequest(request, facts(allRoles(), { ...COMPLETE, ...changes }))).toEqual({ type: "run", statements });
  });

  test("that names a role anew lets it in, and the former one out", () => {
    const roles = { bank_owner: {}, bank_reader: {}, bank_old: { verifier: OLD } };
    expect(planRequest(request, facts(roles, COMPLETE))).toEqual({
      type: "run",
      statements: [
        expect.stringMatching(/^CREATE ROLE "bank_writer" LOGIN /),
        'GRANT CONNECT ON DATABASE "bank" TO "bank_writer"',
        'REVOKE ALL ON DATABASE "bank" FROM "bank_old" CASCADE',
        'ALTER ROLE "bank_old" NOLOGIN PASSWORD NULL',
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'bank_old'",
      ],
    });
  });

  test("ends sessions of a former role that an interrupted run has left", () => {
    const retired = { verifier: undefined, canLogin: false, mayConnect: false };
    const plan = (isConnected: boolean) =>
      planRequest(request, facts({ ...allRoles(), bank_old: { ...retired, isConnected } }, COMPLETE));
    expect(plan(false)).toEqual({ type: "run", statements: [] });
    expect(plan(true)).toEqual({
      type: "run",
      statements: ["SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'bank_old'"],
    });
  });

  test("that names a former role again lets it in again", () => {
    const roles = { ...allRoles(), bank_writer: { verifier: undefined, canLogin: false, mayConnect: false } };
    expect(planRequest(request, facts(roles, COMPLETE))).toEqual({
      type: "run",
      statements: [
        `ALTER ROLE "bank_writer" LOGIN PASSWORD '${NEW}'`,
        'GRANT CONNECT ON DATABASE "bank" TO "bank_writer"',
      ],
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
      "a database that a former owner role of the request has",
      facts({ bank_chief: {} }, { owner: "bank_chief", mark: MARK }),
      "database bank belongs to role bank_chief, not bank_owner; name bank_chief as its owner, since everything in the database belongs to it",
    ],
    [
      "a database whose drop was interrupted",
      facts(allRoles(), { ...COMPLETE, connectionLimit: -2 }),
      'database bank is half dropped and cannot be used; a request with "drop": true ends it, then it can be made anew',
    ],
    [
      "a database with another owner",
      facts(allRoles(), { owner: "postgres", mark: undefined }),
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
    expect(planRequest(drop, facts(allRoles(), COMPLETE))).toEqual({
      type: "run",
      statements: ['DROP DATABASE "bank" WITH (FORCE)', ...dropRoles],
    });
  });

  test("of what is gone already is done", () => {
    expect(planRequest(drop, facts({}))).toEqual({ type: "run", statements: [] });
  });

  test("of a half-made database removes it too", () => {
    expect(planRequest(drop, facts(allRoles(), { owner: "bank_owner", mark: undefined }))).toEqual({
      type: "run",
      statements: ['DROP DATABASE "bank" WITH (FORCE)', ...dropRoles],
    });
  });

  test("takes former roles with it, and a database that its owner made a template or commented on", () => {
    const found = { owner: "bank_owner", mark: "mine", isTemplate: true };
    expect(planRequest(drop, facts({ ...allRoles(), bank_old: {} }, found))).toEqual({
      type: "run",
      statements: [
        'ALTER DATABASE "bank" IS_TEMPLATE false',
        'DROP DATABASE "bank" WITH (FORCE)',
        ...dropRoles,
        'DROP ROLE "bank_old"',
      ],
    });
  });

  test("never touches what somebody else made", () => {
    expect(planRequest(drop, facts(allRoles({ mark: undefined }), { owner: "bank_owner", mark: undefined }))).toEqual({
      type: "refuse",
      message: "database bank belongs to somebody else and is not dropped",
    });
    expect(planRequest(drop, facts(allRoles({ mark: undefined })))).toEqual({ type: "run", statements: [] });
  });
});
