import { describe, expect, test } from "@jest/globals";
import { GIB, MIB } from "./byte-sizes.ts";
import { derivedSettings, hasReliableSyncfs, memoryWarning } from "./derived-settings.ts";
import { type Machine, parseMemoryLimit } from "./machine.ts";

function machine(changes: Partial<Machine> = {}): Machine {
  return { volumeBytes: GIB, memoryLimitBytes: undefined, kernel: "6.1.0-13-amd64", ...changes };
}

describe("limits of the write-ahead log", () => {
  test.each([
    ["the smallest volume", 256 * MIB, { max_wal_size: "48MB", min_wal_size: "32MB", temp_file_limit: "32MB" }],
    ["trial 1: 420 MB", 420 * MIB, { max_wal_size: "80MB", min_wal_size: "32MB", temp_file_limit: "42MB" }],
    ["the default volume", GIB, { max_wal_size: "192MB", min_wal_size: "48MB", temp_file_limit: "102MB" }],
    ["a large one", 100 * GIB, { max_wal_size: "1024MB", min_wal_size: "128MB", temp_file_limit: "10240MB" }],
  ])("of %s are at most a fifth of it", (_name, volumeBytes, wanted) => {
    const settings = derivedSettings(machine({ volumeBytes }), {});
    expect(settings).toMatchObject({ ...wanted, max_slot_wal_keep_size: wanted.max_wal_size });
    expect(Number.parseInt(wanted.max_wal_size, 10) * MIB).toBeLessThanOrEqual(volumeBytes / 5);
  });
});

describe("memory", () => {
  test.each([
    ["no limit", undefined, { shared_buffers: "128MB", work_mem: "4MB", effective_cache_size: "256MB" }],
    ["256 MiB", 256 * MIB, { shared_buffers: "64MB", work_mem: "1MB", effective_cache_size: "128MB" }],
    ["4 GiB", 4 * GIB, { shared_buffers: "1024MB", work_mem: "4MB", effective_cache_size: "2048MB" }],
    ["64 GiB", 64 * GIB, { shared_buffers: "8192MB", work_mem: "4MB", effective_cache_size: "32768MB" }],
  ])("with %s", (_name, memoryLimitBytes, wanted) => {
    const settings = derivedSettings(machine({ memoryLimitBytes }), {});
    expect(settings).toMatchObject(wanted);
    expect(memoryWarning(machine({ memoryLimitBytes }), settings)).toBeUndefined();
  });

  test("values that do not fit together under full load are warned of, with the numbers", () => {
    const limited = machine({ memoryLimitBytes: 512 * MIB });
    expect(memoryWarning(limited, { shared_buffers: "128MB", work_mem: "16MB", max_connections: "200" })).toMatch(
      /^shared_buffers \(128 MiB\) and work_mem \(16 MiB\) of 200 connections are 3\.3 GiB together, but the container's memory limit is 512 MiB: /,
    );
  });

  test("the control group's file says the limit, or that there is none", () => {
    expect(parseMemoryLimit("536870912\n")).toBe(512 * MIB);
    expect(parseMemoryLimit("max\n")).toBeUndefined();
    expect(parseMemoryLimit("9223372036854771712\n")).toBeUndefined();
  });
});

test.each([
  ["6.18.44-fc-v857", true],
  ["5.8.0", true],
  ["5.15.0-91-generic", true],
  ["5.4.0-1", false],
  ["4.18.0-553.el8", false],
  ["unknown", false],
])("kernel %s: syncfs tells of failed writes: %s", (kernel, expected) => {
  expect(hasReliableSyncfs(kernel)).toBe(expected);
  expect(derivedSettings(machine({ kernel }), {})["recovery_init_sync_method"]).toBe(expected ? "syncfs" : "fsync");
});
