import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { systemClock } from "../core/clock.ts";
import { createManualClock, type ManualClock } from "../core/manual-clock.ts";
import { createCertificateAuthority, issueCertificate } from "../node/certificates.ts";
import { kubeconfigEndpoint } from "./auth-kubeconfig.ts";
import type { KubeEndpoint } from "./transport.ts";

// Goal: every way to prove who we are is followed while it changes, and what we cannot follow is refused by name.

let directory: string;
let clock: ManualClock;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "shieldx-kubeconfig-"));
  clock = createManualClock();
});
afterEach(() => rm(directory, { recursive: true }));

const file = (name: string): string => join(directory, name);

async function open(user: object, cluster: object = {}): Promise<KubeEndpoint> {
  const config = {
    clusters: [{ name: "c", cluster: { server: "https://api.example:6443", ...cluster } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
  await writeFile(file("config"), JSON.stringify(config));
  return kubeconfigEndpoint({ path: file("config"), clock });
}

const authorization = async (endpoint: KubeEndpoint): Promise<string | undefined> =>
  (await endpoint.credentials()).headers["authorization"];

describe("files that a kubeconfig names", () => {
  it("are read again: a token", async () => {
    await writeFile(file("token"), "first\n");
    const endpoint = await open({ tokenFile: "token" });
    expect(await authorization(endpoint)).toBe("Bearer first");
    await writeFile(file("token"), "second\n");
    expect(await authorization(endpoint)).toBe("Bearer first");
    await clock.advance(30_000);
    expect(await authorization(endpoint)).toBe("Bearer second");
    await writeFile(file("token"), "third\n");
    endpoint.forget();
    expect(await authorization(endpoint)).toBe("Bearer third");
  });

  it("are read again: certificates, with new connections only when they changed", async () => {
    for (const name of ["ca", "cert", "key"]) await writeFile(file(name), `${name} 1`);
    const endpoint = await open(
      { "client-certificate": "cert", "client-key": "key" },
      { "certificate-authority": "ca", "tls-server-name": "kubernetes" },
    );
    const first = await endpoint.credentials();
    expect(first.tls).toEqual({ ca: "ca 1", cert: "cert 1", key: "key 1", serverName: "kubernetes" });
    await clock.advance(30_000);
    expect((await endpoint.credentials()).tls).toBe(first.tls);
    await writeFile(file("cert"), "cert 2");
    await writeFile(file("key"), "key 2");
    await clock.advance(30_000);
    expect((await endpoint.credentials()).tls).toMatchObject({ ca: "ca 1", cert: "cert 2", key: "key 2" });
  });

  it("that are away for a moment are no fault of the configuration", async () => {
    const missing = await open({ tokenFile: "token" });
    await expect(missing.credentials()).rejects.toMatchObject({ code: "KUBE_CONFIG_INVALID" });
    await writeFile(file("token"), "first");
    const endpoint = await open({ tokenFile: "token" });
    await endpoint.credentials();
    await rm(file("token"));
    await clock.advance(30_000);
    await expect(endpoint.credentials()).rejects.toMatchObject({ code: "KUBE_UNAUTHORIZED", retry: "backoff" });
    await writeFile(file("token"), "second");
    expect(await authorization(endpoint)).toBe("Bearer second");
  });
});

describe("an exec plugin", () => {
  it("is asked again when its token was refused or has expired", async () => {
    const plugin = file("plugin.sh");
    const say = (token: string, expires: string) =>
      writeFile(
        plugin,
        `#!/bin/sh\necho '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"${token}","expirationTimestamp":"${expires}"}}'\n`,
        { mode: 0o755 },
      );
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: plugin, interactiveMode: "Never" };
    await say("first", "2020-01-01T00:00:00Z");
    const endpoint = await open({ exec });
    expect(await authorization(endpoint)).toBe("Bearer first");
    await say("second", "2100-01-01T00:00:00Z");
    endpoint.forget();
    expect(await authorization(endpoint)).toBe("Bearer second");
    await say("third", "2100-01-01T00:00:00Z");
    await clock.advance(30_000);
    expect(await authorization(endpoint)).toBe("Bearer second");
  });

  it("that fails is told so", async () => {
    await writeFile(file("plugin.sh"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    const exec = {
      apiVersion: "client.authentication.k8s.io/v1",
      command: file("plugin.sh"),
      interactiveMode: "Never",
    };
    await expect((await open({ exec })).credentials()).rejects.toMatchObject({ code: "KUBE_CONFIG_INVALID" });
  });
});

describe("OIDC", () => {
  let issuer: Server | undefined;
  afterEach(async () => {
    issuer?.closeAllConnections();
    await new Promise((done) => (issuer === undefined ? done(undefined) : issuer.close(done)));
    issuer = undefined;
  });
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const idToken = (claims: object): string => `${part({ alg: "RS256", kid: "k" })}.${part(claims)}.${part({})}`;
  const nowSeconds = (): number => Math.floor(clock.now() / 1000);

  /** A provider that renews ID tokens. */
  async function startIssuer(renewed: string[]) {
    const now = systemClock.now();
    const ca = await createCertificateAuthority("issuer", now);
    const pair = await issueCertificate(ca, { commonName: "localhost", usage: "server", dnsNames: ["localhost"] }, now);
    const grants: string[] = [];
    issuer = createServer({ cert: pair.certPem, key: pair.keyPem }, (request, response) => {
      const base = `https://localhost:${(issuer?.address() as AddressInfo).port}`;
      let body = "";
      request.on("data", (data: Buffer) => {
        body += data.toString();
      });
      request.on("end", () => {
        response.setHeader("content-type", "application/json");
        if (request.url?.startsWith("/.well-known") === true) {
          return void response.end(
            JSON.stringify({ issuer: base, token_endpoint: `${base}/token`, jwks_uri: `${base}/keys` }),
          );
        }
        grants.push(body);
        if (body.includes("refresh_token=refused")) {
          response.statusCode = 400;
          return void response.end('{"error":"invalid_grant","error_description":"refused"}');
        }
        const claims = { iss: base, aud: "kube", sub: "me", iat: nowSeconds(), exp: nowSeconds() + 3600 };
        const token = idToken({ ...claims, jti: grants.length });
        renewed.push(token);
        response.end(
          JSON.stringify({
            access_token: "a",
            token_type: "bearer",
            expires_in: 3600,
            id_token: token,
            refresh_token: "r2",
          }),
        );
      });
    });
    await new Promise<void>((done) => issuer?.listen(0, "127.0.0.1", done));
    return { url: `https://localhost:${(issuer.address() as AddressInfo).port}`, ca: ca.certPem, grants };
  }

  it("uses an ID token that is still good", async () => {
    const token = idToken({ exp: nowSeconds() + 3600 });
    const endpoint = await open({ "auth-provider": { name: "oidc", config: { "id-token": token } } });
    expect(await authorization(endpoint)).toBe(`Bearer ${token}`);
  });

  it("renews one that has expired", async () => {
    const renewed: string[] = [];
    const { url, ca, grants } = await startIssuer(renewed);
    const config = {
      "client-id": "kube",
      "id-token": idToken({ exp: nowSeconds() - 10 }),
      "refresh-token": "r1",
      "idp-issuer-url": url,
      "idp-certificate-authority-data": Buffer.from(ca).toString("base64"),
    };
    const endpoint = await open({ "auth-provider": { name: "oidc", config } });
    expect(await authorization(endpoint)).toBe(`Bearer ${renewed[0]}`);
    expect(grants[0]).toContain("refresh_token=r1");
    expect(grants).toHaveLength(1);
    await clock.advance(3_600_000);
    expect(await authorization(endpoint)).toBe(`Bearer ${renewed[1]}`);
    expect(grants[1]).toContain("refresh_token=r2");
  });

  it("says so when the provider refuses or is away, and tries again later", async () => {
    const renewed: string[] = [];
    const { url, ca } = await startIssuer(renewed);
    const config = {
      "client-id": "kube",
      "client-secret": "secret",
      "id-token": "no token",
      "refresh-token": "refused",
      "idp-issuer-url": `${url}/`,
      "idp-certificate-authority-data": Buffer.from(ca).toString("base64"),
    };
    const endpoint = await open({ "auth-provider": { name: "oidc", config } });
    await expect(endpoint.credentials()).rejects.toMatchObject({
      code: "KUBE_UNAUTHORIZED",
      message: expect.stringMatching(/token: HTTP 400 invalid_grant$/),
    });
    const unknown = { ...config, "idp-issuer-url": "https://127.0.0.1:1" };
    await expect(
      (await open({ "auth-provider": { name: "oidc", config: unknown } })).credentials(),
    ).rejects.toMatchObject({ code: "KUBE_UNAUTHORIZED" });
  });

  it("says that it can not go on, instead of asking as nobody", async () => {
    const token = idToken({ exp: nowSeconds() - 10 });
    const endpoint = await open({ "auth-provider": { name: "oidc", config: { "id-token": token } } });
    await expect(endpoint.credentials()).rejects.toMatchObject({
      code: "KUBE_CONFIG_INVALID",
      message: "the kubeconfig's ID token has expired and cannot be renewed",
    });
  });
});

describe("settings", () => {
  it.each([
    ["a SOCKS proxy", {}, { "proxy-url": "socks5://127.0.0.1:1080" }, "proxy-url socks5://127.0.0.1:1080"],
    ["groups to impersonate", { token: "t", "as-groups": ["g"] }, {}, 'user "u" has as-groups'],
    ["an auth-provider of old", { "auth-provider": { name: "gcp" } }, {}, 'auth-provider "gcp"'],
  ])("that are not supported are refused: %s", async (_name, user, cluster, words) => {
    await expect(open(user, cluster)).rejects.toMatchObject({
      code: "KUBE_CONFIG_INVALID",
      message: expect.stringContaining(words),
    });
  });

  it("that are supported are kept: a proxy, a user to impersonate, an unverified server", async () => {
    const endpoint = await open(
      { token: "t", as: "somebody" },
      { "proxy-url": "http://proxy:3128", "insecure-skip-tls-verify": true },
    );
    expect(endpoint.proxy).toBe("http://proxy:3128");
    expect(await endpoint.credentials()).toMatchObject({
      headers: { authorization: "Bearer t", "impersonate-user": "somebody" },
      tls: { insecureSkipVerify: true },
    });
  });

  it("in a file that is no YAML, or in none, are refused", async () => {
    await writeFile(file("config"), "{[");
    const environment = { KUBECONFIG: `${file("none")}:${file("nowhere")}` };
    await expect(kubeconfigEndpoint({ path: file("config"), clock })).rejects.toMatchObject({
      code: "KUBE_CONFIG_INVALID",
    });
    await expect(kubeconfigEndpoint({ path: file("none"), environment, clock })).rejects.toMatchObject({
      code: "KUBE_CONFIG_INVALID",
    });
  });
});
