import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Client } from "pg";
import { openClient } from "../../lib/node/postgres.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { verifyShard } from "./ledger.verify.ts";
import { NOT_COVERED } from "./verify-coverage.ts";

// Goal: whoever changes one value, or adds, removes or exchanges one row of any table of the ledger's schema, with every
// right and with triggers and constraints off, is found, and the sentence names the table. The changes are made from
// information_schema, so a column that somebody adds is tried too. What is not found stands in NOT_COVERED.

const SNAPSHOT_EVERY = 10;
const ASSETS = [
  { code: "CZK", scale: 2 },
  { code: "JPY", scale: 0 },
];
/** Tables that have one row by their meaning: nothing to exchange. */
const ONE_ROW = ["head", "seal_end"];

interface Column {
  readonly table: string;
  readonly name: string;
  readonly type: string;
}

let postgres: TestPostgres;
let database: string;
let superuser: Client;
let columns: Column[];
beforeAll(async () => {
  postgres = await startTestPostgres();
  database = await fill();
  superuser = await openClient(postgres.superuser(database));
  columns = await readColumns();
  await switchEverythingOff();
}, 120_000);
afterAll(async () => {
  await superuser?.end();
  await postgres?.stop();
});

/** Two runs of a ledger, so that two epochs have written. Nothing writes afterwards. @returns its database */
async function fill(): Promise<string> {
  const adminKey = `sxk_${"a".repeat(43)}`;
  const begin = (): Promise<LocalLedger> =>
    startLocalLedger({ postgres, name: "columns", shards: 1, snapshotEvery: SNAPSHOT_EVERY, adminKey, assets: ASSETS });
  const first = await begin();
  for (const name of ["one", "two"]) {
    const { id } = (
      await first.client.send("POST", "/v1/api-keys", { body: { name, scopes: ["read", "write"] } })
    ).json<{ id: string }>();
    expect((await first.client.send("DELETE", `/v1/api-keys/${id}`)).status).toBe(204);
  }
  await transfers(first, "a");
  await first.stop();
  const second = await begin();
  await transfers(second, "b");
  for (const id of ["far", "further"]) {
    const body = { id, asset: "CZK", placementKey: `key-${id}` };
    expect((await second.client.send("POST", "/v1/accounts", { body })).status).toBe(201);
  }
  await second.stop();
  return first.databases[0] as string;
}

/** Two batches, each with a refusal that is kept, and one that only binds its key. */
async function transfers(ledger: LocalLedger, prefix: string): Promise<void> {
  for (let batch = 0; batch < 2; batch += 1) {
    const items = Array.from({ length: 40 }, (_, index) => ({
      id: `${prefix}${batch}-${index}`,
      debitAccount: index === 20 ? `acc${prefix}1` : "system:external:CZK",
      creditAccount: `acc${prefix}${index === 20 ? 2 : index % 5}`,
      amount: index === 20 ? 1_000_000 : 100 + index,
      metadata: { note: `n${index}` },
      ...(index === 30 ? { asset: "JPY" } : {}),
    }));
    const answer = await ledger.client.send("POST", "/v1/transfers:bulk", { body: { createAccounts: true, items } });
    expect(answer.status).toBe(200);
  }
}

async function readColumns(): Promise<Column[]> {
  const { rows } = await superuser.query<Column>(`
    SELECT c.table_name::text AS table, c.column_name::text AS name, c.data_type::text AS type
      FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
     WHERE c.table_schema = 'ledger' AND t.table_type = 'BASE TABLE' ORDER BY c.table_name, c.ordinal_position`);
  return rows;
}

/** Triggers, checks and references; keys stay, since what is changed gets a value of its own. */
async function switchEverythingOff(): Promise<void> {
  for (const table of tablesOf(columns)) await superuser.query(`ALTER TABLE ledger.${table} DISABLE TRIGGER ALL`);
  const { rows } = await superuser.query<{ table: string; name: string }>(`
    SELECT r.relname AS table, c.conname AS name FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
     WHERE c.connamespace = 'ledger'::regnamespace AND c.contype IN ('c', 'f')`);
  for (const { table, name } of rows) await superuser.query(`ALTER TABLE ledger.${table} DROP CONSTRAINT ${name}`);
}

const tablesOf = (all: readonly Column[]): string[] => [...new Set(all.map(({ table }) => table))];
const columnsOf = (table: string): Column[] => columns.filter((column) => column.table === table);

/** Another value of the same type; SQL over the column, in a copy of the table with row numbers (n). */
function anotherValue({ name, type }: Column): string {
  switch (type) {
    case "bigint":
    case "integer":
    case "smallint":
      return `(SELECT max(${name}) FROM public.work) + 1`;
    case "text":
      return `${name} || 'X'`;
    case "uuid":
      return `md5(${name}::text)::uuid`;
    case "bytea":
      return `set_bit(${name}, octet_length(${name}) * 4, 1 - get_bit(${name}, octet_length(${name}) * 4))`;
    case "timestamp with time zone":
      return `${name} + interval '1 microsecond'`;
    case "json":
      return `'{"forged":1}'`;
    case "boolean":
      return `NOT ${name}`;
    case "ARRAY":
      return `${name}[2:]`;
    default:
      throw new Error(`column ${name} has type ${type}, of which this test knows no other value`);
  }
}

async function keyColumns(table: string): Promise<string[]> {
  const { rows } = await superuser.query<{ name: string }>(
    `SELECT DISTINCT a.attname::text AS name FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
      WHERE i.indrelid = $1::regclass AND i.indisunique`,
    [`ledger.${table}`],
  );
  return rows.map(({ name }) => name);
}

/** Changes a table, verifies, and puts the table back. @returns what was violated, in words */
async function afterChange(table: string, change: string): Promise<string[]> {
  const names = columnsOf(table).map(({ name }) => name);
  const list = names.join(", ");
  const key = await superuser.query<{ definition: string }>(
    `SELECT string_agg(a.attname, ', ' ORDER BY array_position(i.indkey::int2[], a.attnum)) AS definition
       FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
      WHERE i.indrelid = $1::regclass AND i.indisprimary`,
    [`ledger.${table}`],
  );
  await superuser.query(`
    CREATE TABLE public.kept AS SELECT row_number() OVER (ORDER BY ${key.rows[0]?.definition}) AS n, * FROM ledger.${table};
    CREATE TABLE public.work AS TABLE public.kept`);
  const replaceWith = (source: string): string =>
    `TRUNCATE ledger.${table}; INSERT INTO ledger.${table} (${list}) SELECT ${list} FROM public.${source} ORDER BY n`;
  try {
    await superuser.query(change);
    const { rows } = await superuser.query<{ changed: boolean }>(
      `SELECT EXISTS (SELECT ${names.map((name) => `${name}::text`).join(", ")} FROM public.work EXCEPT ALL
                      SELECT ${names.map((name) => `${name}::text`).join(", ")} FROM public.kept) OR
              (SELECT count(*) FROM public.work) < (SELECT count(*) FROM public.kept) AS changed`,
    );
    if (rows[0]?.changed !== true) throw new Error(`the change of ${table} changes nothing: ${change}`);
    await superuser.query(replaceWith("work"));
    return await violations();
  } finally {
    await superuser.query(replaceWith("kept"));
    await superuser.query("DROP TABLE public.kept, public.work");
  }
}

async function violations(): Promise<string[]> {
  const replay = await verifyShard({ shard: 0, target: postgres.role(database, "reader"), snapshotEvery: 0 });
  return Object.values(replay.findings).flatMap(({ violations, first }) => (violations > 0 ? [first ?? ""] : []));
}

const FIRST = "n = 1";
const LAST = "n = (SELECT max(n) FROM public.work)";

/** Every single change of a table: its name, and SQL over public.work. */
async function changesOf(table: string): Promise<[name: string, sql: string][]> {
  const all = columnsOf(table);
  const keys = await keyColumns(table);
  const changes: [string, string][] = [];
  for (const column of all) {
    for (const [which, row] of [
      ["first", FIRST],
      ["last", LAST],
    ] as const) {
      changes.push([
        `${table}.${column.name}, ${which} row`,
        `UPDATE public.work SET ${column.name} = ${anotherValue(column)} WHERE ${row}`,
      ]);
    }
  }
  for (const [which, row] of [
    ["first", FIRST],
    ["last", LAST],
  ] as const) {
    changes.push([`${table}: ${which} row deleted`, `DELETE FROM public.work WHERE ${row}`]);
  }
  const values = all.map((column) => (keys.includes(column.name) ? anotherValue(column) : column.name));
  const names = all.map(({ name }) => name).join(", ");
  changes.push([
    `${table}: row inserted`,
    `INSERT INTO public.work (n, ${names}) SELECT n + 1, ${values.join(", ")} FROM public.work WHERE ${LAST}`,
  ]);
  if (ONE_ROW.includes(table)) return changes;
  const others = all.filter(({ name }) => !keys.includes(name)).map(({ name }) => name);
  const exchanged = others.length > 0 ? others : all.map(({ name }) => name);
  // With nothing but keys there is nothing to exchange: the rows are the keys.
  if (others.length === 0) return changes;
  changes.push([
    `${table}: two rows exchanged`,
    `UPDATE public.work w SET (${exchanged.join(", ")}) = (SELECT ${exchanged.join(", ")} FROM public.kept k WHERE k.n = pair.other)
       FROM (SELECT a.n, b.n AS other FROM public.kept a, public.kept b
              WHERE (a.n, b.n) IN (SELECT 1, max(n) FROM public.kept UNION SELECT max(n), 1 FROM public.kept)) pair
      WHERE w.n = pair.n`,
  ]);
  return changes;
}

test("what nobody touched is intact, and every table has rows to tamper with", async () => {
  expect(await violations()).toEqual([]);
  for (const table of tablesOf(columns)) {
    const { rows } = await superuser.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ledger.${table}`);
    expect([table, (rows[0]?.rows ?? 0) >= (ONE_ROW.includes(table) ? 1 : 2)]).toEqual([table, true]);
  }
});

describe("tampering with any table and column", () => {
  test("is found, named by its table, or stands in the list of what is not covered", async () => {
    const unnoticed: string[] = [];
    const unnamed: string[] = [];
    let tried = 0;
    for (const table of tablesOf(columns)) {
      for (const [name, sql] of await changesOf(table)) {
        tried += 1;
        const found = await afterChange(table, sql);
        if (found.length === 0) unnoticed.push(name);
        else if (!found.some((sentence) => sentence.includes(table))) unnamed.push(`${name}: ${found.join("; ")}`);
      }
    }
    expect(tried).toBeGreaterThan(columns.length * 2);
    const covered = unnoticed.filter(
      (name) => !NOT_COVERED.some(({ columns }) => columns.includes(name.split(/[,:]/)[0] ?? "")),
    );
    expect({ unnoticed: covered, unnamed }).toEqual({ unnoticed: [], unnamed: [] });
  }, 240_000);
});
