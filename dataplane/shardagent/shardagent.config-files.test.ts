import { describe, expect, test } from "@jest/globals";
import { FORBIDDEN_PARAMETERS } from "../../crds/postgres-parameters.ts";
import { type ConfigInput, renderHba, renderPostgresqlConf } from "./shardagent.config-files.ts";

function input(parameters: Record<string, string> = {}): ConfigInput {
  return {
    clusterName: "bank-0",
    port: 5432,
    socketDir: "/run/postgresql",
    hbaFile: "/run/postgresql/conf/pg_hba.conf",
    identFile: "/run/postgresql/conf/pg_ident.conf",
    certFile: "/run/postgresql/tls/tls.crt",
    keyFile: "/run/postgresql/tls/tls.key",
    parameters,
    machine: { volumeBytes: 2 ** 30, memoryLimitBytes: undefined, kernel: "6.1.0" },
  };
}

function settings(text: string): Record<string, string> {
  const pairs = text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => /^([a-z_.]+) = '(.*)'$/.exec(line))
    .map((match) => [match?.[1] ?? "unreadable", match?.[2] ?? ""]);
  return Object.fromEntries(pairs) as Record<string, string>;
}

describe("postgresql.conf", () => {
  test("is TLS 1.3 only, SCRAM, durable and silent about data", () => {
    expect(settings(renderPostgresqlConf(input()))).toMatchObject({
      ssl: "on",
      ssl_min_protocol_version: "TLSv1.3",
      password_encryption: "scram-sha-256",
      allow_alter_system: "off",
      fsync: "on",
      full_page_writes: "on",
      synchronous_commit: "on",
      log_statement: "none",
      log_min_error_statement: "panic",
      log_error_verbosity: "terse",
      log_parameter_max_length: "0",
      jit: "off",
      cluster_name: "bank-0",
    });
  });

  test("has each setting once, and the user's value in place of the default", () => {
    const text = renderPostgresqlConf(input({ shared_buffers: "64MB", "pg_trgm.word_similarity_threshold": "0.5" }));
    const names = text.split("\n").map((line) => line.split(" = ")[0]);
    expect(new Set(names).size).toBe(names.length);
    expect(settings(text)).toMatchObject({ shared_buffers: "64MB", "pg_trgm.word_similarity_threshold": "0.5" });
  });

  test("logs slow statements, lock waits and checkpoints, never values, and counts statements", () => {
    expect(settings(renderPostgresqlConf(input()))).toMatchObject({
      log_min_duration_statement: "1s",
      log_lock_waits: "on",
      log_checkpoints: "on",
      log_parameter_max_length: "0",
      log_parameter_max_length_on_error: "0",
      shared_preload_libraries: "pg_stat_statements",
      "pg_stat_statements.track_utility": "off",
      huge_pages: "off",
    });
    const chosen = { log_min_duration_statement: "-1", log_checkpoints: "off", log_lock_waits: "off" };
    expect(settings(renderPostgresqlConf(input(chosen)))).toMatchObject(chosen);
  });

  test("a full volume makes transactions read-only and says why; without one neither is set", () => {
    const full = settings(renderPostgresqlConf({ ...input(), writesRefused: "the volume is full" }));
    expect(full).toMatchObject({
      default_transaction_read_only: "on",
      "shieldx.writes_refused": "the volume is full",
    });
    const names = Object.keys(settings(renderPostgresqlConf(input())));
    expect(names).not.toContain("default_transaction_read_only");
    expect(names).not.toContain("shieldx.writes_refused");
  });

  test("shared_buffers beyond the container's memory is refused with both numbers", () => {
    const machine = { volumeBytes: 2 ** 30, memoryLimitBytes: 512 * 2 ** 20, kernel: "6.1.0" };
    expect(() => renderPostgresqlConf({ ...input({ shared_buffers: "1GB" }), machine })).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        message: expect.stringMatching(
          /^shared_buffers is 1\.0 GiB, but the container's memory limit is 512 MiB: lower/,
        ),
      }),
    );
    // Without a unit PostgreSQL counts pages of 8 kB.
    expect(() => renderPostgresqlConf({ ...input({ shared_buffers: "65536" }), machine })).toThrow("512 MiB");
    expect(settings(renderPostgresqlConf({ ...input(), machine }))["shared_buffers"]).toBe("128MB");
  });

  test("quotes what a value could break out with", () => {
    const text = renderPostgresqlConf(input({ search_path: `it's "a" \\ b` }));
    expect(text).toContain(`search_path = 'it''s "a" \\\\ b'`);
  });

  test.each([
    ["owned by the agent", { ssl: "off" }],
    ["of a family that is owned", { log_statement: "all" }],
    ["of the files", { hba_file: "/tmp/x" }],
    ["of durability", { fsync: "off" }],
    ["with a line break in the value", { work_mem: "4MB'\nfsync = 'off" }],
    ["with a name that is none", { "work_mem = '1MB'\nfsync": "off" }],
    ["in upper case", { FSYNC: "off" }],
  ])("a parameter %s is refused", (_name, parameters) => {
    expect(() => renderPostgresqlConf(input(parameters as Record<string, string>))).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
  });

  test("no parameter that the schema forbids gets through here either", () => {
    for (const name of FORBIDDEN_PARAMETERS) {
      expect(() => renderPostgresqlConf(input({ [name]: "x" }))).toThrow(name);
    }
  });
});

test("pg_hba.conf lets the superuser in over the socket only and everybody else over TLS with SCRAM only", () => {
  const rules = renderHba()
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(/\s+/).join(" "));
  expect(rules).toEqual([
    "local all postgres peer",
    "host all postgres all reject",
    "host replication all all reject",
    "hostssl all all all scram-sha-256",
  ]);
});
