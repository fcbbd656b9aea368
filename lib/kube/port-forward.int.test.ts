import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { openPortForward } from "./port-forward.ts";

// Goal: the port is found in kubectl's words, its failures are told in its own words, and no process is left behind.
// kubectl is a script here; the real one is used end to end.

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "shieldx-forward-"));
});
afterEach(() => rm(directory, { recursive: true }));

async function kubectl(script: string): Promise<Record<string, string>> {
  const path = join(directory, "kubectl");
  await writeFile(path, `#!/bin/sh\necho "$@" >'${directory}/args'\necho $$ >'${directory}/pid'\n${script}\n`);
  await chmod(path, 0o755);
  return { KUBECTL: path, PATH: "/usr/bin:/bin" };
}

const target = { namespace: "ns", target: "svc/bank", port: 443 };

describe("a port-forward", () => {
  it("gives the port, and ends with close", async () => {
    const environment = await kubectl("echo 'Forwarding from 127.0.0.1:40123 -> 8443'; exec sleep 60");
    const forward = await openPortForward({ environment, kubeconfig: "/k", ...target });
    expect(forward.port).toBe(40123);
    expect(await readFile(join(directory, "args"), "utf8")).toBe(
      "port-forward --kubeconfig=/k --namespace=ns --address=127.0.0.1 svc/bank :443\n",
    );
    await forward.close();
    const pid = Number(await readFile(join(directory, "pid"), "utf8"));
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });

  it("ends in time when kubectl does not, and something holds its output open", async () => {
    const environment = await kubectl(
      "trap '' TERM; sleep 20 & echo 'Forwarding from 127.0.0.1:40123 -> 8443'; while :; do sleep 1; done",
    );
    const forward = await openPortForward({ environment, ...target });
    const startedAt = performance.now();
    await forward.close();
    expect(performance.now() - startedAt).toBeLessThan(8_000);
    const pid = Number(await readFile(join(directory, "pid"), "utf8"));
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });

  it("that fails to start tells why", async () => {
    const environment = await kubectl("echo 'Error from server (NotFound): services \"bank\" not found' >&2; exit 1");
    await expect(openPortForward({ environment, ...target })).rejects.toMatchObject({
      code: "KUBE_UNREACHABLE",
      message: expect.stringContaining('services "bank" not found'),
    });
  });

  it("that ends by itself says so", async () => {
    const environment = await kubectl(
      "echo 'Forwarding from 127.0.0.1:40123 -> 8443'; echo 'lost connection to pod' >&2",
    );
    const forward = await openPortForward({ environment, ...target });
    expect(await forward.ended).toBe("lost connection to pod");
    await forward.close();
  });

  it("is stopped by its signal while it starts", async () => {
    const environment = await kubectl("exec sleep 60");
    const stop = new AbortController();
    const opened = openPortForward({ environment, ...target, signal: stop.signal });
    stop.abort();
    await expect(opened).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("without kubectl says what is missing", async () => {
    const environment = { KUBECTL: join(directory, "none") };
    await expect(openPortForward({ environment, ...target })).rejects.toMatchObject({ code: "KUBE_CONFIG_INVALID" });
  });
});
