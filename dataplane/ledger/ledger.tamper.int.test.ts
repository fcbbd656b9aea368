import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type PostgresAddress, withClient } from "../../lib/node/postgres.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { verifyShard } from "./ledger.verify.ts";
import { type Invariant, isIntact } from "./verify-fold.ts";

// Goal (C37): whoever changes one bit in any table, with every right and every trigger off, is found, and the report
// names the place. Each case tampers, verifies, and puts the bit back.

let postgres: TestPostgres;
let ledger: LocalLedger;
let database: string;
beforeAll(async () => {
  postgres = await startTestPostgres();
  ledger = await startLocalLedger({ postgres, name: "tamper", shards: 1, snapshotEvery: 10 });
  database = ledger.databases[0] as string;
  for (let batch = 0; batch < 4; batch += 1) {
    const items = Array.from({ length: 50 }, (_, index) => ({
      id: `t${batch}-${index}`,
      debitAccount: "system:external:CZK",
      creditAccount: `acc${index % 7}`,
      amount: 100 + index,
      metadata: { note: `n${index}` },
    }));
    const answer = await ledger.client.send("POST", "/v1/transfers:bulk", { body: { createAccounts: true, items } });
    expect(answer.status).toBe(200);
  }
  const pointer = { id: "elsewhere", asset: "CZK", placementKey: "key" };
  await ledger.client.send("POST", "/v1/accounts", { body: pointer });
}, 120_000);
afterAll(async () => {
  await ledger?.stop();
  await postgres?.stop();
});

async function asSuperuser(...statements: string[]): Promise<void> {
  await withClient(postgres.superuser(database), async (client) => {
    for (const table of ["event", "journal", "balance", "snapshot", "account", "account_directory", "head"]) {
      await client.query(`ALTER TABLE ledger.${table} DISABLE TRIGGER ALL`);
    }
    for (const statement of statements) await client.query(statement);
  });
}

async function verify(): Promise<{ intact: boolean; violated: Partial<Record<Invariant, string>> }> {
  const replay = await verifyShard({ shard: 0, target: postgres.role(database, "reader"), snapshotEvery: 10 });
  const violated: Partial<Record<Invariant, string>> = {};
  for (const { invariant, violations, first } of Object.values(replay.findings)) {
    if (violations > 0) violated[invariant] = first ?? "";
  }
  return { intact: isIntact(replay), violated };
}

beforeEach(async () => {
  expect(await verify()).toEqual({ intact: true, violated: {} });
});

test("the rows are read over a way of their own, since connections that share a tunnel hold each other up", async () => {
  const target = postgres.role(database, "reader");
  const rowsTarget = { ...target, password: "not the password" };
  await expect(verifyShard({ shard: 0, target, rowsTarget, snapshotEvery: 10 })).rejects.toMatchObject({
    message: expect.stringContaining("password"),
  });
});

/** Hands on what the server says, up to `bytes`: more than handshake and login, less than the table. Then nothing, open. */
async function startSilentProxy(port: number, bytes: number): Promise<{ port: number; close(): void }> {
  const sockets: Socket[] = [];
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    sockets.push(client, upstream);
    // What ends one side is told by the verification, not by this proxy.
    for (const socket of [client, upstream]) socket.on("error", () => undefined);
    client.pipe(upstream);
    upstream.on("data", (chunk: Buffer) => {
      if (upstream.bytesRead <= bytes) client.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

test("a network that falls silent ends the verification with an error", async () => {
  const target = postgres.role(database, "reader");
  const address = target.address as Extract<PostgresAddress, { host: string }>;
  const silent = await startSilentProxy(address.port, 10_000);
  try {
    const rowsTarget = { ...target, address: { ...address, port: silent.port } };
    await expect(verifyShard({ shard: 0, target, rowsTarget, snapshotEvery: 10, stallMs: 600 })).rejects.toMatchObject({
      code: "SHARD_UNAVAILABLE",
      message: expect.stringContaining("sent nothing"),
    });
  } finally {
    silent.close();
  }
});

const flipBody = (bit: string): string =>
  `UPDATE ledger.journal SET body = set_bit(body, ${bit}, 1 - get_bit(body, ${bit})) WHERE block = 4`;
/** A bit within the last record of a block, counted in the way of set_bit. */
const RECORD_BIT = "(octet_length(body) - 2000) * 8";

interface Case {
  name: string;
  tamper: string;
  undo: string;
  invariant: Invariant;
  says: RegExp;
}
const cases: Case[] = [
  {
    name: "a bit of a journal block",
    tamper: flipBody(RECORD_BIT),
    undo: flipBody(RECORD_BIT),
    invariant: "chain",
    says: /position 101: block 4 /,
  },
  {
    name: "the header of a journal block",
    tamper: "UPDATE ledger.journal SET recorded_at = recorded_at + interval '1 microsecond' WHERE block = 3",
    undo: "UPDATE ledger.journal SET recorded_at = recorded_at - interval '1 microsecond' WHERE block = 3",
    invariant: "chain",
    says: /block 3 of table journal does not have its hash/,
  },
  {
    name: "the amount of an event",
    tamper: "UPDATE ledger.event SET amount = amount + 1 WHERE position = 77",
    undo: "UPDATE ledger.event SET amount = amount - 1 WHERE position = 77",
    invariant: "events",
    says: /^position 77: table event: column amount differs/,
  },
  {
    name: "the metadata of an event",
    tamper: `UPDATE ledger.event SET metadata = '{"note":"x1"}' WHERE position = 52`,
    undo: `UPDATE ledger.event SET metadata = '{"note":"n1"}' WHERE position = 52`,
    invariant: "events",
    says: /^position 52: table event: column metadata differs/,
  },
  {
    name: "an event that is removed",
    tamper:
      "CREATE TABLE public.kept AS SELECT * FROM ledger.event WHERE position = 120; DELETE FROM ledger.event WHERE position = 120",
    undo: "INSERT INTO ledger.event SELECT * FROM public.kept; DROP TABLE public.kept",
    invariant: "events",
    says: /^position 120: /,
  },
  {
    name: "an event that is added behind the end",
    tamper:
      "INSERT INTO ledger.event SELECT 201, gen_random_uuid(), fingerprint, debit_account, credit_account, amount, debit_balance, credit_balance, debit_version, credit_version, debit_previous, credit_previous, recorded_at, effective_at, kind, 'forged', metadata FROM ledger.event WHERE position = 200",
    undo: "DELETE FROM ledger.event WHERE position = 201",
    invariant: "events",
    says: /^position 201: /,
  },
  {
    name: "a balance",
    tamper: "UPDATE ledger.balance SET posted = posted + 1 WHERE account = 3",
    undo: "UPDATE ledger.balance SET posted = posted - 1 WHERE account = 3",
    invariant: "current",
    says: /table balance, account 3: column posted says /,
  },
  {
    name: "a snapshot",
    tamper: "UPDATE ledger.snapshot SET posted = posted + 1 WHERE account = 1 AND version = 100",
    undo: "UPDATE ledger.snapshot SET posted = posted - 1 WHERE account = 1 AND version = 100",
    invariant: "snapshots",
    says: /^position 100: snapshot of account 1/,
  },
  {
    name: "a snapshot that is removed",
    tamper:
      "CREATE TABLE public.kept AS SELECT * FROM ledger.snapshot WHERE account = 1 AND version = 50; DELETE FROM ledger.snapshot WHERE account = 1 AND version = 50",
    undo: "INSERT INTO ledger.snapshot SELECT * FROM public.kept; DROP TABLE public.kept",
    invariant: "snapshots",
    says: /^position 50: account 1 has no snapshot here/,
  },
  {
    name: "the limit of an account",
    tamper: "UPDATE ledger.account SET floor = -5 WHERE id = 4",
    undo: "UPDATE ledger.account SET floor = 0 WHERE id = 4",
    invariant: "accounts",
    says: /account 4/,
  },
  {
    name: "a pointer",
    tamper: "UPDATE ledger.account_directory SET placement_key = 'mine'",
    undo: "UPDATE ledger.account_directory SET placement_key = 'key'",
    invariant: "accounts",
    says: /elsewhere/,
  },
  {
    name: "the head",
    tamper: "UPDATE ledger.head SET position = position - 1",
    undo: "UPDATE ledger.head SET position = position + 1",
    invariant: "head",
    says: /column position says 199, the journal 200/,
  },
];

describe("tampering", () => {
  test.each(cases)("$name is found", async ({ tamper, undo, invariant, says }) => {
    await asSuperuser(tamper);
    const found = await verify();
    await asSuperuser(undo);
    expect(found.intact).toBe(false);
    expect(found.violated[invariant]).toMatch(says);
  });

  test("the journal alone is replayed on request: what is wrong beside it is not looked at", async () => {
    const target = postgres.role(database, "reader");
    const alone = (): ReturnType<typeof verifyShard> =>
      verifyShard({ shard: 0, target, snapshotEvery: 10, journalOnly: true });
    await asSuperuser("UPDATE ledger.event SET amount = amount + 1 WHERE position = 77");
    const beside = await alone();
    await asSuperuser("UPDATE ledger.event SET amount = amount - 1 WHERE position = 77", flipBody(RECORD_BIT));
    const within = await alone();
    await asSuperuser(flipBody(RECORD_BIT));
    expect([isIntact(beside), beside.state.position]).toEqual([true, 200]);
    expect(within.findings.chain.first).toMatch(/block 4 /);
  });

  test("a block that is rewritten with its own hash breaks the chain behind it", async () => {
    await asSuperuser("CREATE TABLE public.kept AS SELECT * FROM ledger.journal WHERE block = 3");
    await asSuperuser("UPDATE ledger.journal SET hash = sha256(hash) WHERE block = 3");
    const found = await verify();
    await asSuperuser(
      "UPDATE ledger.journal j SET hash = k.hash FROM public.kept k WHERE j.block = k.block",
      "DROP TABLE public.kept",
    );
    expect(found.violated.chain).toBeDefined();
  });
});
