import { describe, expect, test } from "@jest/globals";
import { createServerLog } from "./server-log.ts";
import { settingIn } from "./settings-trial.ts";

const AT = "2026-11-29 01:44:20.512 GMT [24]";

function complaint(...lines: readonly string[]): string | undefined {
  const log = createServerLog();
  log.take(`${lines.join("\n")}\n`);
  return log.complaint();
}

describe("what a server complained of", () => {
  test.each<[string, readonly string[], string | undefined]>([
    ["nothing", [`${AT} LOG:  database system is ready to accept connections`], undefined],
    [
      "a setting that does not exist, without the file that the agent wrote",
      [
        `${AT} LOG:  skipping missing configuration file "/x/postgresql.auto.conf"`,
        `${AT} LOG:  unrecognized configuration parameter "no_such_setting" in file "/run/conf/postgresql.conf" line 27`,
        `${AT} FATAL:  configuration file "/run/conf/postgresql.conf" contains errors`,
      ],
      'unrecognized configuration parameter "no_such_setting"',
    ],
    [
      "several settings at once",
      [
        `${AT} LOG:  invalid value for parameter "work_mem": "8mb"`,
        `${AT} LOG:  0 kB is outside the valid range for parameter "maintenance_work_mem" (1024 kB .. 2147483647 kB)`,
        `${AT} FATAL:  configuration file "/run/conf/postgresql.conf" contains errors`,
      ],
      'invalid value for parameter "work_mem": "8mb"; 0 kB is outside the valid range for parameter "maintenance_work_mem" (1024 kB .. 2147483647 kB)',
    ],
    [
      "what it says before its log is set up",
      [
        'postgres: "superuser_reserved_connections" (5) plus "reserved_connections" (0) must be less than "max_connections" (3)',
      ],
      'FATAL: "superuser_reserved_connections" (5) plus "reserved_connections" (0) must be less than "max_connections" (3)',
    ],
    [
      "the cause and not what follows from it",
      [
        `${AT} PANIC:  could not write to file "pg_wal/xlogtemp.27": No space left on device`,
        `${AT} LOG:  startup process (PID 27) was terminated by signal 6: Aborted`,
        `${AT} LOG:  database system is shut down`,
      ],
      'PANIC: could not write to file "pg_wal/xlogtemp.27": No space left on device',
    ],
    [
      "nothing of a session, whose errors may quote what a client sent",
      [`${AT} ledger_bank_writer@ledger_bank ERROR:  invalid input syntax for type bigint: "CZ6508000000192000145399"`],
      undefined,
    ],
    ["a line that is cut", [`${AT} FATAL:  ${"x".repeat(900)}`], `FATAL: ${"x".repeat(400)}…`],
  ])("%s", (_name, lines, want) => {
    expect(complaint(...lines)).toBe(want);
  });

  test("also when lines come in pieces", () => {
    const log = createServerLog();
    for (const piece of [`${AT} FA`, "TAL:  could not map anonymous", " shared memory\n"]) log.take(piece);
    expect(log.complaint()).toBe("FATAL: could not map anonymous shared memory");
  });

  test("however much a server writes, little is kept", () => {
    const log = createServerLog();
    for (let line = 0; line < 10_000; line += 1) log.take(`${AT} FATAL:  number ${line}\n`);
    log.take("y".repeat(1_000_000));
    expect(log.complaint()).toBe("FATAL: number 9999");
  });
});

test.each<[string, readonly string[], string | undefined]>([
  ['invalid value for parameter "work_mem": "8mb"', ["maintenance_work_mem", "work_mem"], "work_mem"],
  ['"max_wal_size" must be at least twice "wal_segment_size"', ["max_wal_size"], "max_wal_size"],
  [
    '"superuser_reserved_connections" (5) must be less than "max_connections" (3)',
    ["max_connections"],
    "max_connections",
  ],
  ['invalid value for parameter "TimeZone": "Mars"', ["timezone"], "timezone"],
  ["could not map anonymous shared memory: Cannot allocate memory", ["work_mem", "huge_pages"], "huge_pages"],
  ["could not map anonymous shared memory: Cannot allocate memory", ["shared_buffers"], "shared_buffers"],
  ["could not locate a valid checkpoint record", ["work_mem"], undefined],
  ['"superuser_reserved_connections" (5) must be less', ["reserved_connections"], undefined],
])("the setting that a complaint is about: %s of %j", (said, names, want) => {
  expect(settingIn(said, Object.fromEntries(names.map((name) => [name, "1"])))).toBe(want);
});
