import { describe, expect, test } from "@jest/globals";
import { DatabaseError } from "pg";
import { OperatorError } from "../core/errors.ts";
import { isConnectionLoss, openClient, sqlState, toPostgresError, toWriteError } from "./postgres.ts";

function serverError(code: string, message = "refused", severity = "ERROR"): DatabaseError {
  const error = new DatabaseError(message, message.length, "error");
  error.code = code;
  error.severity = severity;
  error.detail = "Key (iban)=(CZ65) already exists.";
  return error;
}

function networkError(code: string): Error {
  return Object.assign(new Error(`connect ${code} 10.0.0.1:5432`), { code });
}

describe("errors of PostgreSQL and the network", () => {
  test.each([
    ["refused connection", networkError("ECONNREFUSED"), "SHARD_UNAVAILABLE", true],
    ["reset", networkError("ECONNRESET"), "SHARD_UNAVAILABLE", true],
    ["unknown host", networkError("ENOTFOUND"), "SHARD_UNAVAILABLE", true],
    ["driver lost it", new Error("Connection terminated unexpectedly"), "SHARD_UNAVAILABLE", true],
    ["no answer", new Error("Query read timeout"), "SHARD_UNAVAILABLE", true],
    ["no TLS", new Error("The server does not support SSL connections"), "SHARD_UNAVAILABLE", true],
    ["expired certificate", networkError("CERT_HAS_EXPIRED"), "SHARD_UNAVAILABLE", false],
    ["starting up", serverError("57P03"), "SHARD_UNAVAILABLE", false],
    ["shut down by the administrator", serverError("57P01"), "SHARD_UNAVAILABLE", true],
    ["too many connections", serverError("53300"), "SHARD_UNAVAILABLE", false],
    ["disk full", serverError("53100"), "SHARD_DISK_FULL", false],
    ["no room for the log: the server ends", serverError("53100", "no room", "PANIC"), "SHARD_UNAVAILABLE", false],
    ["no room in /dev/shm", serverError("53100", "could not resize shared memory segment"), "SHARD_UNAVAILABLE", false],
    ["read-only, for whatever reason", serverError("25006"), "SHARD_UNAVAILABLE", false],
    ["role not made yet", serverError("28P01"), "SHARD_UNAVAILABLE", false],
    ["database not made yet", serverError("3D000"), "SHARD_UNAVAILABLE", false],
    ["serialization failure", serverError("40001"), "SHARD_UNAVAILABLE", false],
    ["stale map", serverError("SH001"), "SHARD_MAP_STALE", false],
    ["unique violation", serverError("23505"), "INTERNAL", false],
    ["syntax", serverError("42601"), "INTERNAL", false],
    ["something else", new TypeError("x is not a function"), "INTERNAL", false],
  ])("%s", (_name, error, code, loss) => {
    const mapped = toPostgresError(error, "PostgreSQL bank-0");
    expect(mapped.code).toBe(code);
    expect(mapped.cause).toBe(error);
    expect(isConnectionLoss(error)).toBe(loss);
    expect(isConnectionLoss(mapped)).toBe(loss);
  });

  test("the server's DETAIL, which quotes data, stays out of the message", () => {
    expect(toPostgresError(serverError("23505", "duplicate key"), "here").message).toBe(
      "here: duplicate key (SQLSTATE 23505)",
    );
  });

  test("a write that a full server refuses as read-only says why, in the server's own words", async () => {
    const error = serverError("25006", "cannot execute INSERT in a read-only transaction");
    const says = (why: string | null) => ({ query: async () => ({ rows: [{ why }] }) });
    const full = await toWriteError(error, "shard 0", says("the volume is full (98% of 1.0 GiB used)"));
    expect(full).toMatchObject({
      code: "SHARD_DISK_FULL",
      message: "shard 0: the volume is full (98% of 1.0 GiB used)",
      retryAfterSeconds: 5,
    });
    expect(await toWriteError(error, "shard 0", says(null))).toMatchObject({ code: "SHARD_UNAVAILABLE" });
    const silent = { query: () => Promise.reject(new Error("gone")) };
    expect(await toWriteError(error, "shard 0", silent)).toMatchObject({ code: "SHARD_UNAVAILABLE" });
  });

  test("an error that is coded already is passed on, and keeps its SQLSTATE", () => {
    const coded = new OperatorError("FENCED", "newer epoch", { cause: serverError("P0001") });
    expect(toPostgresError(coded, "x")).toBe(coded);
    expect(sqlState(coded)).toBe("P0001");
  });

  test("nobody listens", async () => {
    const target = {
      address: { socketDir: "/nonexistent", port: 5432 },
      database: "postgres",
      user: "postgres",
      applicationName: "test",
    };
    await expect(openClient(target)).rejects.toMatchObject({ code: "SHARD_UNAVAILABLE" });
  });
});
