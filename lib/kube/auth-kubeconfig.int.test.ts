import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { systemClock } from "../core/clock.ts";
import { kubeconfigEndpoint } from "./auth-kubeconfig.ts";
import { createKubeClient } from "./client.ts";
import { createTransport } from "./transport.ts";

// Goal: what kubectl can use, we can use: tokens, exec plugins, several contexts. Against a real server.

let controlPlane: TestControlPlane;
let directory: string;
beforeAll(async () => {
  controlPlane = await startControlPlane();
  directory = await mkdtemp(join(tmpdir(), "shieldx-kubeconfig-"));
});
afterAll(async () => {
  await controlPlane.stop();
  await rm(directory, { recursive: true });
});

async function write(name: string, user: object): Promise<string> {
  const path = join(directory, name);
  const cluster = {
    server: controlPlane.server,
    "certificate-authority-data": Buffer.from(controlPlane.ca).toString("base64"),
  };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user }],
    contexts: [
      { name: "broken", context: { cluster: "missing", user: "u" } },
      { name: "good", context: { cluster: "c", user: "u", namespace: "kube-system" } },
    ],
    "current-context": "broken",
  };
  await writeFile(path, JSON.stringify(config));
  return path;
}

async function versionThrough(path: string): Promise<unknown> {
  const endpoint = await kubeconfigEndpoint({ path, context: "good", clock: systemClock });
  expect(endpoint.namespace).toBe("kube-system");
  const client = createKubeClient({
    transport: createTransport(endpoint),
    namespace: endpoint.namespace,
    userAgent: "shieldx/test",
    clock: systemClock,
    random: () => 0.5,
  });
  try {
    // Anonymous users may read /version, so ask for something that needs a name.
    return await client.getPath("/api/v1/namespaces/kube-system", { retries: 0 });
  } finally {
    await client.close();
  }
}

describe("a kubeconfig", () => {
  it("with a token works", async () => {
    const path = await write("token", { token: controlPlane.token });
    expect(await versionThrough(path)).toMatchObject({ kind: "Namespace" });
  });

  it("with an exec plugin works", async () => {
    const plugin = join(directory, "plugin.sh");
    const credential = {
      apiVersion: "client.authentication.k8s.io/v1",
      kind: "ExecCredential",
      status: { token: controlPlane.token },
    };
    await writeFile(plugin, `#!/bin/sh\ncat <<'END'\n${JSON.stringify(credential)}\nEND\n`);
    await chmod(plugin, 0o755);
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: plugin, interactiveMode: "Never" };
    expect(await versionThrough(await write("exec", { exec }))).toMatchObject({ kind: "Namespace" });
  });

  it("with a wrong token is told so", async () => {
    const path = await write("wrong", { token: "wrong" });
    await expect(versionThrough(path)).rejects.toMatchObject({ code: "KUBE_UNAUTHORIZED" });
  });

  it("that cannot be used is refused before anything is sent", async () => {
    const clock = systemClock;
    await expect(kubeconfigEndpoint({ path: join(directory, "none"), clock })).rejects.toMatchObject({
      code: "KUBE_CONFIG_INVALID",
    });
    const path = await write("context", { token: "x" });
    await expect(kubeconfigEndpoint({ path, clock })).rejects.toMatchObject({ code: "KUBE_CONFIG_INVALID" });
    await expect(kubeconfigEndpoint({ path, context: "nowhere", clock })).rejects.toMatchObject({
      code: "KUBE_CONFIG_INVALID",
    });
  });
});
