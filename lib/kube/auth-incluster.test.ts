import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { createManualClock } from "../core/manual-clock.ts";
import { inClusterEndpoint, isInCluster } from "./auth-incluster.ts";

// Goal: a pod keeps working while the kubelet renews its token and its CA.

let directory: string;
const write = (name: string, text: string) => writeFile(join(directory, name), text);
const environment = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "shieldx-auth-"));
  await write("token", "first\n");
  await write("ca.crt", "CA 1");
  await write("namespace", "ops\n");
});
afterEach(() => rm(directory, { recursive: true }));

describe("credentials of a pod", () => {
  it("follow the files within a minute; the TLS material stays the same object while the CA does", async () => {
    const clock = createManualClock();
    const endpoint = await inClusterEndpoint({ environment, clock, directory });
    expect(endpoint).toMatchObject({ server: "https://10.96.0.1:443", namespace: "ops" });
    const first = await endpoint.credentials();
    expect(first).toEqual({ headers: { authorization: "Bearer first" }, tls: { ca: "CA 1" } });
    await write("token", "second");
    expect(await endpoint.credentials()).toBe(first);
    await clock.advance(60_000);
    const second = await endpoint.credentials();
    expect(second.headers["authorization"]).toBe("Bearer second");
    expect(second.tls).toBe(first.tls);
    await write("ca.crt", "CA 1\nCA 2");
    await clock.advance(60_000);
    expect((await endpoint.credentials()).tls).toEqual({ ca: "CA 1\nCA 2" });
  });

  it("are read again at once after a refusal", async () => {
    const endpoint = await inClusterEndpoint({ environment, clock: createManualClock(), directory });
    await write("token", "second");
    endpoint.forget();
    expect((await endpoint.credentials()).headers["authorization"]).toBe("Bearer second");
  });

  it("are refused with the name of what is missing", async () => {
    const clock = createManualClock();
    expect(isInCluster({})).toBe(false);
    await expect(inClusterEndpoint({ environment: {}, clock })).rejects.toMatchObject({ code: "KUBE_CONFIG_INVALID" });
    await rm(join(directory, "token"));
    await expect(inClusterEndpoint({ environment, clock, directory })).rejects.toMatchObject({
      code: "KUBE_CONFIG_INVALID",
      message: expect.stringContaining("token"),
    });
  });

  it("work over IPv6", async () => {
    const ipv6 = { ...environment, KUBERNETES_SERVICE_HOST: "fd00::1" };
    const endpoint = await inClusterEndpoint({ environment: ipv6, clock: createManualClock(), directory });
    expect(endpoint.server).toBe("https://[fd00::1]:443");
  });
});
