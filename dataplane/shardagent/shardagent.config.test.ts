import { describe, expect, test } from "@jest/globals";
import { parseAgentConfig } from "./shardagent.config.ts";

const ENV = {
  SHIELDX_NAMESPACE: "demo",
  SHIELDX_POD_NAME: "bank-1-0",
  SHIELDX_POD_UID: "uid-1",
  SHIELDX_POD_IP: "10.0.0.1",
  SHIELDX_POSTGRES_PARAMETERS: '{"work_mem":"8MB"}',
  PATH: "/usr/bin",
};

const FLAGS = ["--shardset", "bank", "--shard", "1"];

describe("the agent's configuration", () => {
  test("comes from flags and variables, with defaults that fit the pod", () => {
    expect(parseAgentConfig(FLAGS, ENV)).toEqual({
      namespace: "demo",
      lease: "bank-1",
      podName: "bank-1-0",
      podUid: "uid-1",
      podIp: "10.0.0.1",
      shardset: "bank",
      shard: 1,
      instance: 0,
      dataDir: "/var/lib/postgresql/data",
      runtimeDir: "/run/postgresql",
      tlsDir: "/etc/shieldx/tls",
      caDir: "/etc/shieldx/ca",
      listen: 8443,
      probeListen: 8080,
      postgresPort: 5432,
      logLevel: "info",
      parameters: { work_mem: "8MB" },
      path: "/usr/bin",
    });
  });

  test.each([
    ["an unknown flag", [...FLAGS, "--turbo"], ENV, "USAGE", "--turbo"],
    ["no shard", ["--shardset", "bank"], ENV, "CONFIG_INVALID", "--shard"],
    ["a shard that is no number", ["--shardset", "bank", "--shard", "x"], ENV, "CONFIG_INVALID", "--shard"],
    ["a port out of range", [...FLAGS, "--listen", "70000"], ENV, "CONFIG_INVALID", "--listen"],
    ["no pod uid", FLAGS, { ...ENV, SHIELDX_POD_UID: "" }, "CONFIG_INVALID", "SHIELDX_POD_UID"],
    [
      "parameters that are no JSON",
      FLAGS,
      { ...ENV, SHIELDX_POSTGRES_PARAMETERS: "{" },
      "CONFIG_INVALID",
      "SHIELDX_POSTGRES_PARAMETERS",
    ],
    [
      "a parameter that is no text",
      FLAGS,
      { ...ENV, SHIELDX_POSTGRES_PARAMETERS: '{"work_mem":8}' },
      "CONFIG_INVALID",
      "SHIELDX_POSTGRES_PARAMETERS",
    ],
  ])("%s is refused by name", (_name, flags, env, code, named) => {
    expect(() => parseAgentConfig(flags, env)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(named) }),
    );
  });
});
