import { describe, expect, it } from "@jest/globals";
import { createLogger, LOG_LEVELS, type LogLevel, parseLogLevel, type RootLogger, withLogContext } from "./logger.ts";

// Goal: one level for a process, whoever made a logger when; the lines of one piece of work can be told; no secrets.

function capture(level: LogLevel, bindings: Record<string, unknown> = {}): { log: RootLogger; lines: () => unknown[] } {
  const written: string[] = [];
  const log = createLogger(level, bindings, { write: (line) => void written.push(line) });
  return {
    log,
    lines: () => written.splice(0).map((line) => JSON.parse(line) as unknown),
  };
}

describe("the level", () => {
  it.each(LOG_LEVELS.map((level, index) => [level, index] as const))(
    "%s lets %d kinds of lines through",
    (level, count) => {
      const { log, lines } = capture(level);
      for (const kind of ["error", "warn", "info", "debug"] as const) log[kind]({}, kind);
      expect(lines()).toHaveLength(count);
    },
  );

  it("changes for children that were made before, and for theirs", () => {
    const { log, lines } = capture("info");
    const child = log.child({ controller: "shardset" });
    const grandchild = child.child({ namespace: "a" });
    grandchild.debug({}, "hidden");
    log.setLevel("debug");
    grandchild.debug({}, "shown");
    expect(log.level()).toBe("debug");
    log.setLevel("error");
    child.warn({}, "hidden again");
    expect(lines()).toMatchObject([{ level: "debug", message: "shown", controller: "shardset", namespace: "a" }]);
  });

  it("is read by its name only", () => {
    expect(parseLogLevel("warn")).toBe("warn");
    expect(() => parseLogLevel("loud")).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });
});

describe("the context", () => {
  it("marks every line of a piece of work, also after it waited, and none of another", async () => {
    const { log, lines } = capture("info", { process: "test" });
    const work = async (id: string): Promise<void> => {
      await withLogContext({ reconcileId: id }, async () => {
        log.info({}, "before");
        await new Promise(setImmediate);
        log.child({ part: "client" }).info({ code: 1 }, "after");
      });
    };
    await Promise.all([work("1"), work("2")]);
    log.info({}, "outside");
    const written = lines() as { reconcileId?: string; message: string; process: string }[];
    expect(written.map(({ reconcileId, message }) => `${reconcileId} ${message}`).sort()).toEqual([
      "1 after",
      "1 before",
      "2 after",
      "2 before",
      "undefined outside",
    ]);
    expect(written.every((line) => line.process === "test")).toBe(true);
  });

  it("gives way to members of the line", () => {
    const { log, lines } = capture("info");
    withLogContext({ name: "outer" }, () => log.info({ name: "inner" }, "x"));
    expect(lines()).toMatchObject([{ name: "inner" }]);
  });
});

it("never prints what is named like a secret", () => {
  const { log, lines } = capture("info");
  log.info({ password: "p", request: { token: "t", deep: { privateKey: "k" } } }, "x");
  expect(JSON.stringify(lines())).not.toMatch(/"[ptk]"/);
});
