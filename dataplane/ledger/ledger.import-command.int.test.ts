import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { type ErrorCode, isOperatorError, toProblem } from "../../lib/core/errors.ts";
import { environment } from "../../lib/node/env.ts";
import { temporaryFolder, trackChild } from "../../lib/node/testing/leftovers.ts";
import { eventually } from "../../testkit/wait.ts";
import { EXPORT_FILES } from "../testing/export-files.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { WORLD_EXPORT_FILES } from "../testing/world-export-files.ts";
import { run } from "./ledger.main.ts";

// Goal: `shieldx ledger import` as a user meets it, with a real ledger behind: exit codes, sentences, the rejects file, and
// the way back in for what was refused.

const ROOT = join(import.meta.dirname, "..", "..");
const HEADER = "id,date,account,direction,operation,amount_minor,partner_bank,partner_account";

let postgres: TestPostgres;
let ledger: LocalLedger;
let access: readonly string[];
const folder = temporaryFolder("import-command");

beforeAll(async () => {
  postgres = await startTestPostgres();
  ledger = await startLocalLedger({ postgres, name: "impc", shards: 2 });
  writeFileSync(join(folder, "ca.crt"), ledger.caPem);
  writeFileSync(join(folder, "key"), ledger.adminKey, { mode: 0o600 });
  access = `--url ${ledger.url} --ca-file ${folder}/ca.crt --key-file ${folder}/key --asset CZK --scale 2`.split(" ");
}, 120_000);
afterAll(async () => {
  await ledger?.stop();
  await postgres?.stop();
});

interface Ended {
  /** The exit code, or the code of the error that becomes one. */
  readonly code: number | ErrorCode;
  readonly out: string;
  readonly err: string;
}

/** The command in this process. */
async function shieldx(args: readonly string[]): Promise<Ended> {
  const written = { out: "", err: "" };
  const catching = (["out", "err"] as const).map((name) => {
    const spy = jest.spyOn(process[`std${name}`], "write");
    return spy.mockImplementation((text) => {
      written[name] += text.toString();
      return true;
    });
  });
  try {
    return { code: await run(["import", ...args, ...access]), ...written };
  } catch (error) {
    if (!isOperatorError(error)) throw error;
    return { code: error.code, out: written.out, err: `${error.message}\n${toProblem(error).action}\n` };
  } finally {
    for (const spy of catching) spy.mockRestore();
  }
}

/** In a process of its own, as a script runs it. */
function program(args: readonly string[], options: { input?: string; tmp?: string } = {}): Promise<Ended> {
  const child = spawn(process.execPath, [join(ROOT, "operator/main.ts"), "ledger", "import", ...args, ...access], {
    env: { ...environment(), ...(options.tmp === undefined ? {} : { TMPDIR: options.tmp }) },
    cwd: folder,
  });
  trackChild(child);
  let out = "";
  let err = "";
  child.stdout.on("data", (text: Buffer) => (out += text.toString()));
  child.stderr.on("data", (text: Buffer) => (err += text.toString()));
  child.stdin.end(options.input ?? "");
  return new Promise((resolve) => child.once("close", (code) => resolve({ code: code ?? -1, out, err })));
}

/** Where a descriptor leads; "" when it has gone meanwhile. */
function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

let made = 0;
function write(content: string | Uint8Array): string {
  made += 1;
  const path = join(folder, `file${made}.csv`);
  writeFileSync(path, content);
  return path;
}

function rows(...lines: readonly string[]): string {
  return write(`${[HEADER, ...lines].join("\n")}\n`);
}

async function balance(account: string): Promise<number | undefined> {
  const answer = await ledger.client.send("GET", `/v1/accounts/${account}/balance`);
  return answer.status === 200 ? answer.json<{ posted: number }>().posted : undefined;
}

async function heads(): Promise<string> {
  return (await ledger.client.send("GET", "/v1/shards")).text;
}

describe("files as banks, card companies, payment providers and shops export them, trial 18", () => {
  test.each([...EXPORT_FILES, ...WORLD_EXPORT_FILES])("$name", async (file) => {
    const path = write(file.content);
    const before = await heads();
    if (file.says !== undefined) {
      const plain = await shieldx([path]);
      expect(plain.code).toMatch(/^CSV_/);
      expect(plain.err).toMatch(new RegExp(file.says.source, "s"));
    }
    const dry = await shieldx([path, ...file.options, "--dry-run"]);
    const notes = (file.notes ?? "") === "" ? "" : `${path}: ${file.notes}\n`;
    expect({ code: dry.code, err: dry.err }).toEqual({ code: 0, err: notes });
    expect(dry.out).toContain("Nothing was posted");
    expect(await heads()).toBe(before);

    const posted = await shieldx([path, ...file.options, "--json"]);
    expect({ code: posted.code, err: posted.err }).toEqual({ code: 0, err: notes });
    expect(JSON.parse(posted.out)).toMatchObject({ rows: file.rows, posted: file.rows, rejected: {} });
    for (const [account, minor] of Object.entries(file.balances)) expect(await balance(account)).toBe(minor);

    const again = await shieldx([path, ...file.options, "--json"]);
    expect(again.code).toBe(0);
    expect(JSON.parse(again.out)).toMatchObject({ posted: 0, alreadyThere: file.rows });
  });
});

describe("the rejects file", () => {
  const bad = (name: string): string[] => [
    `${name}-1,1993-01-01,${name},credit,"cash, counted",100,,`,
    `${name}-2,1993-01-02,${name},debit,"a ""big"" one",500,,`,
  ];

  test("has the row with code and reason; the exit code is 3, and --retry brings the row in once", async () => {
    const path = rows(...bad("rej"));
    const first = await shieldx([path]);
    expect(first.code).toBe(3);
    expect(first.err).toBe(
      `1 row was not posted; ${path}.rejects.csv has it, each with its reason.\n` +
        `A refusal for want of credit is final: the same row gets the same answer for ever, also when the account has the money by now or an earlier --retry has posted the row. To try again, import ${path}.rejects.csv with the same options and --retry.\n`,
    );
    const rejects = readFileSync(`${path}.rejects.csv`, "utf8");
    expect(rejects).toBe(
      `${HEADER},reject_code,reject_reason\n` +
        'rej-2,1993-01-02,rej,debit,"a ""big"" one",500,,,INSUFFICIENT_CREDIT,"account ""rej"" has 100 available, the transfer takes 500; this answer is final for the id, --retry tries again"\n',
    );
    expect((await shieldx([rows("rej-3,1993-01-03,rej,credit,x,1000,,")])).code).toBe(0);
    const plain = await shieldx([`${path}.rejects.csv`]);
    expect(plain.code).toBe(3);
    expect(await balance("rej")).toBe(1_100);
    for (const [expected, file] of [
      ["1", `${path}.rejects.csv`],
      ["0", `${path}.rejects.csv`],
      ["0", path],
    ] as const) {
      const retried = await shieldx([file, "--retry", "--json"]);
      expect([retried.code, String((JSON.parse(retried.out) as { posted: number }).posted)]).toEqual([0, expected]);
      expect(await balance("rej")).toBe(600);
    }
  });

  test("an existing file stays as it is: another name beside it, or a sentence", async () => {
    const path = rows(...bad("keep"));
    writeFileSync(`${path}.rejects.csv`, "mine\n");
    expect((await shieldx([path])).code).toBe(3);
    expect(readFileSync(`${path}.rejects.csv`, "utf8")).toBe("mine\n");
    expect(readFileSync(`${path}.rejects-2.csv`, "utf8")).toContain("keep-2");
    const named = await shieldx([path, "--rejects", `${path}.rejects.csv`]);
    expect([named.code, named.err]).toEqual(["FILE_EXISTS", expect.stringContaining("is there already")]);
    expect((await shieldx([path, "--rejects", `${path}.rejects.csv`, "--force"])).code).toBe(3);
    expect(readFileSync(`${path}.rejects.csv`, "utf8")).toContain("keep-2");
  });

  test("trial 7: one that cannot be written is refused before anything is posted; none stays when all is well", async () => {
    const path = rows("fine-1,1993-01-01,fine,credit,x,100,,");
    const before = await heads();
    const refused = await shieldx([path, "--rejects", join(folder, "no-such-folder", "x.csv")]);
    expect([refused.code, refused.err]).toEqual([
      "FILE_UNREADABLE",
      expect.stringMatching(/no-such-folder.*--rejects FILE/),
    ]);
    expect(await heads()).toBe(before);
    expect((await shieldx([path])).code).toBe(0);
    expect(existsSync(`${path}.rejects.csv`)).toBe(false);
  });

  test("--partial writes broken rows like the file they come from, and the mended file goes in with the same options", async () => {
    const text =
      "Konto;x\r\nNr;Datum;Konto;Text;Betrag\r\nP1;02.03.2026;part;Größe;5,00\r\nP2;2.3.;part;Größe;7,00\r\n";
    const path = write(Buffer.from(text, "latin1"));
    const options = [
      ..."--encoding latin1 --skip-lines 1 --date-format DD.MM.YYYY --decimal-comma --column id=Nr --column date=Datum".split(
        " ",
      ),
      ..."--column account=Konto --column operation=Text --column amount=Betrag".split(" "),
    ];
    expect((await shieldx([path, ...options])).code).toBe("CSV_ROW_INVALID");
    expect((await shieldx([path, ...options, "--partial"])).code).toBe(3);
    const rejects = readFileSync(`${path}.rejects.csv`, "latin1");
    expect(rejects).toBe(
      'Konto;x\r\nNr;Datum;Konto;Text;Betrag;reject_code;reject_reason\r\nP2;2.3.;part;Größe;7,00;CSV_ROW_INVALID;"date ""2.3."" is not DD.MM.YYYY"\r\n',
    );
    writeFileSync(`${path}.rejects.csv`, Buffer.from(rejects.replace("2.3.;", "02.03.2026;"), "latin1"));
    expect((await shieldx([`${path}.rejects.csv`, ...options])).code).toBe(0);
    expect(await balance("part")).toBe(1_200);
  });
});

describe("newest first, trial 19", () => {
  const newest = ["1", "2"].flatMap((n) =>
    [5, 4, 3, 2, 1, 0].map(
      (day) =>
        `N${n}-${day},2026-03-1${day},acc-${n},${day % 2 === 0 ? "credit" : "debit"},x,${day % 2 === 0 ? 10_000 : 9_000},,`,
    ),
  );

  test("is refused before anything is posted, and right with --sort date", async () => {
    const path = rows(...newest.map((line) => line.replaceAll("acc-", "sorted-").replace(/^N/, "S")));
    const refused = await shieldx([path]);
    expect([refused.code, refused.err]).toEqual([
      "CSV_NEWEST_FIRST",
      expect.stringMatching(/final for its id\n.*--sort date.*--keep-order/s),
    ]);
    expect(await balance("sorted-1")).toBeUndefined();
    expect((await shieldx([path, "--sort", "date"])).code).toBe(0);
    expect([await balance("sorted-1"), await balance("sorted-2")]).toEqual([3_000, 3_000]);
  });

  test("what --keep-order spoils, the rejects with --retry mend", async () => {
    const path = rows(...newest);
    expect((await shieldx([path, "--keep-order"])).code).toBe(3);
    expect(await balance("acc-1")).toBe(12_000);
    const sorted = await shieldx([path, "--sort", "date"]);
    expect([sorted.code, sorted.err]).toEqual([3, expect.stringContaining("--retry")]);
    expect((await shieldx([`${path}.rejects.csv`, "--sort", "date", "--retry"])).code).toBe(0);
    expect([await balance("acc-1"), await balance("acc-2")]).toEqual([3_000, 3_000]);
  });
});

describe("pipes, sources and ids", () => {
  test("- reads standard input, and the temporary copy is gone at the end", async () => {
    const tmp = temporaryFolder("import-tmp");
    const input = `${HEADER}\nPIPE-1,1993-01-01,pipe,credit,x,100,,\nPIPE-2,1993-01-01,pipe,debit,x,500,,\n`;
    expect((await program(["-"], { input, tmp })).code).toBe(3);
    expect(await balance("pipe")).toBe(100);
    expect(readFileSync(join(folder, "import.rejects.csv"), "utf8")).toContain("PIPE-2");
    expect(readdirSync(tmp)).toEqual([]);
  });

  test("an interrupted import leaves no copy behind", async () => {
    const tmp = temporaryFolder("import-tmp");
    const child = spawn(process.execPath, [join(ROOT, "operator/main.ts"), "ledger", "import", "-", ...access], {
      env: { ...environment(), TMPDIR: tmp },
      cwd: folder,
      stdio: ["pipe", "ignore", "ignore"],
    });
    trackChild(child);
    const ended = new Promise((resolve) => child.once("close", (_code, signal) => resolve(signal)));
    // What is still on its way when the program ends has nobody to read it.
    child.stdin.on("error", () => undefined);
    child.stdin.write(`${HEADER}\n${"1,1993-01-01,int,credit,x,100,,\n".repeat(5_000)}`);
    await eventually("the copy is made", async () => {
      const open = readdirSync(`/proc/${child.pid}/fd`).map((name) => readLink(`/proc/${child.pid}/fd/${name}`));
      return open.some((target) => target.startsWith(join(tmp, "shieldx-import-")));
    });
    expect(readdirSync(tmp)).toEqual([]);
    child.kill("SIGINT");
    expect(await ended).toBe("SIGINT");
    expect(readdirSync(tmp)).toEqual([]);
  });

  test("--source keeps the ids of one origin apart; without it an id is the ledger's", async () => {
    const one = rows("1,1993-01-01,src-a,credit,x,100,,");
    const two = rows("1,1993-01-01,src-b,credit,x,200,,");
    expect((await shieldx([one])).code).toBe(0);
    expect((await shieldx([two, "--source", "bank-b"])).code).toBe(0);
    expect((await shieldx([two, "--source", "bank-b", "--json"])).out).toContain('"alreadyThere":1');
    expect([await balance("src-a"), await balance("src-b")]).toEqual([100, 200]);
  });

  test("a changed row under a posted id is refused, and the sentence says what it needs", async () => {
    expect((await shieldx([rows("C-1,1993-01-01,chg,credit,x,100,,")])).code).toBe(0);
    const changed = await shieldx([rows("C-1,1993-01-01,chg,credit,x,900,,")]);
    expect([changed.code, changed.err]).toEqual([3, expect.stringContaining("A corrected row needs an id of its own")]);
    expect(await balance("chg")).toBe(100);
  });

  test("trial 15: an id twice in a file is refused before anything is posted", async () => {
    const path = rows("DUP-1,1993-01-01,dup-a,credit,x,100,,", "DUP-1,1993-01-01,dup-b,credit,x,100,,");
    const refused = await shieldx([path]);
    expect([refused.code, refused.err]).toEqual([
      "CSV_ROW_INVALID",
      expect.stringContaining('id "DUP-1" is that of line 2 already'),
    ]);
    expect([await balance("dup-a"), await balance("dup-b")]).toEqual([undefined, undefined]);
  });

  test("files that are not there, and options that contradict each other", async () => {
    for (const [args, code, words] of [
      [["nothing.csv"], "FILE_UNREADABLE", "no such file"],
      [[folder], "FILE_UNREADABLE", "it is a folder"],
      [[rows(), "--column", "id"], "USAGE", "write OURS=THEIRS"],
      [[rows(), "--column", "key=X"], "USAGE", '"key" is none of id, date'],
      [[rows(), "--date-format", "dd.mm"], "USAGE", "needs a year, a month and a day"],
      [[rows(), "--encoding", "ebcdic"], "USAGE", "--encoding ebcdic is none of utf-8"],
      [["same.csv", "--rejects", "./same.csv", "--force"], "USAGE", "it would be lost"],
      [[rows(), "--source", "a:b"], "USAGE", "--source"],
      [[rows(), "--sort", "amount"], "CONFIG_INVALID", "--sort: can be date only"],
      [[rows()], "CSV_ROW_INVALID", "there are no rows below the header"],
    ] as const) {
      const ended = await shieldx(args);
      expect([args, ended.code, ended.err]).toEqual([args, code, expect.stringContaining(words)]);
    }
  });

  test("a file that is refused ends the program with 2", async () => {
    const ended = await program([write("Konto;1\n")]);
    expect([ended.code, ended.out, ended.err]).toEqual([
      2,
      "",
      expect.stringMatching(/^shieldx ledger: CSV_HEADER_INVALID: /),
    ]);
  });
});
