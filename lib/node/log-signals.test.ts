import { EventEmitter } from "node:events";
import { expect, it } from "@jest/globals";
import { switchLevelOnSignals } from "./log-signals.ts";
import { createLogger } from "./logger.ts";

it("raises the level step by step, takes it back, and says so", () => {
  const written: string[] = [];
  const log = createLogger("error", {}, { write: (line) => void written.push(line) });
  const signals = new EventEmitter();
  const stop = switchLevelOnSignals(log, signals);
  const levels: string[] = [];
  for (const signal of ["SIGUSR1", "SIGUSR1", "SIGUSR1", "SIGUSR1", "SIGUSR2"]) {
    signals.emit(signal);
    levels.push(log.level());
  }
  expect(levels).toEqual(["warn", "info", "debug", "debug", "error"]);
  expect(written.map((line) => (JSON.parse(line) as { logLevel: string }).logLevel)).toEqual(levels);
  stop();
  signals.emit("SIGUSR1");
  expect(log.level()).toBe("error");
});
