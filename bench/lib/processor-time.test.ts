import { expect, test } from "@jest/globals";
import { createMeter, parseStat, treeMicros } from "./processor-time.ts";
import { parsePgbench } from "./stage.ts";

/** A line of /proc/PID/stat with times in ticks: user, system, and those of children that have ended. */
const statLine = (pid: number, name: string, parent: number, ticks: readonly number[]): string =>
  `${pid} (${name}) S ${parent} 1 1 0 -1 4194560 27862 62 0 0 ${ticks.join(" ")} 20 0 1 0 261038`;

test("a name with blanks and parentheses does not shift the times of a process", () => {
  expect(parseStat(statLine(7, "a) (b c", 3, [10, 2, 300, 40]))).toEqual({
    pid: 7,
    name: "a) (b c",
    parent: 3,
    own: 120_000,
    ended: 3_400_000,
  });
});

test("a tree has what its processes took, and those that ended, but nothing of its parent and its siblings", () => {
  const processes = [
    statLine(1, "init", 0, [900, 0, 0, 0]),
    statLine(10, "postgres", 1, [1, 1, 5, 0]),
    statLine(11, "postgres", 10, [10, 0, 0, 0]),
    statLine(12, "sh", 11, [0, 3, 0, 0]),
    statLine(20, "pgbench", 1, [700, 0, 0, 0]),
  ].map(parseStat);
  expect(treeMicros(processes, 10)).toBe((2 + 5 + 10 + 3) * 10_000);
  expect(treeMicros(processes, 99)).toBeUndefined();
});

test("a meter adds up what is under its rounds, and knows nothing once a process was not seen", async () => {
  let micros: { postgres: number; ledger: number } | undefined = { postgres: 100, ledger: 10 };
  const meter = createMeter({ processorTime: () => Promise.resolve(micros) });
  const round = (): Promise<void> =>
    meter.around(() => {
      micros = micros && { postgres: micros.postgres + 5, ledger: micros.ledger + 2 };
      return Promise.resolve();
    });
  await round();
  micros = { postgres: 1_000, ledger: 1_000 };
  await round();
  expect(meter.sum()).toMatchObject({ postgres: 10, ledger: 4 });
  micros = undefined;
  await round();
  expect(meter.sum()).toBeUndefined();
});

test("pgbench's report and the shell's times give rate, transactions and processor time", () => {
  const report = [
    "number of transactions actually processed: 12345",
    "latency average = 2.0 ms",
    "tps = 2570.125 (without initial connection time)",
    "0m0.00s 0m0.01s",
    "1m2.50s 0m3.25s",
  ];
  expect(parsePgbench(report.join("\n"))).toEqual({
    perSecond: 2570.125,
    transactions: 12345,
    clientMicros: 65_750_000,
  });
  expect(() => parsePgbench("connection refused")).toThrow("pgbench reported nothing");
});
