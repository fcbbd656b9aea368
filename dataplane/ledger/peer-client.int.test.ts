// The hop to another pod, over real sockets: a writer that is gone must not hold a request for long.
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import { createCertificateAuthority, issueCertificate } from "../../lib/node/certificates.ts";
import { createPeerClient, type PeerClient, type PeerRequest } from "./peer-client.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const it of open.splice(0)) it.close();
});

async function listen(server: Server): Promise<string> {
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function request(isWriter: () => boolean): PeerRequest {
  return { shard: 0, path: "/v1/transfers", body: "{}", authorization: "Bearer x", part: "all", isWriter };
}

function client(caPem: string): PeerClient {
  const certificate = () => ({ certPem: "", keyPem: "" });
  const made = createPeerClient({ clock: systemClock, caPem: () => caPem, certificate, servername: "localhost" });
  open.push(made);
  return made;
}

async function failure(work: Promise<unknown>): Promise<{ code: string | undefined; seconds: number }> {
  const startedAt = performance.now();
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return {
    code: isOperatorError(error) ? error.code : undefined,
    seconds: (performance.now() - startedAt) / 1000,
  };
}

describe("a peer", () => {
  it("that accepts no TLS is given up after two seconds, and nothing was sent", async () => {
    const url = await listen(createTcpServer(() => undefined));
    const { code, seconds } = await failure(
      client("").post(
        url,
        request(() => true),
      ),
    );
    expect(code).toBe("WRITER_UNAVAILABLE");
    expect(seconds).toBeLessThan(10);
  });

  it("that no longer writes the shard is not waited for, and the outcome is unknown", async () => {
    const now = systemClock.now();
    const ca = await createCertificateAuthority("test", now);
    const names = { commonName: "localhost", dnsNames: ["localhost"], usage: "server" } as const;
    const certificate = await issueCertificate(ca, names, now);
    let writes = true;
    const tls = createTlsServer({ cert: certificate.certPem, key: certificate.keyPem }, () => {
      writes = false;
    });
    const url = await listen(tls);
    const { code, seconds } = await failure(
      client(ca.certPem).post(
        url,
        request(() => writes),
      ),
    );
    tls.closeAllConnections();
    expect(code).toBe("OUTCOME_UNKNOWN");
    expect(seconds).toBeLessThan(10);
  });
});

describe("a shard whose writer keeps its requests waiting", () => {
  it("does not take the connections of another shard of the same pod", async () => {
    const now = systemClock.now();
    const ca = await createCertificateAuthority("test", now);
    const names = { commonName: "localhost", dnsNames: ["localhost"], usage: "server" } as const;
    const certificate = await issueCertificate(ca, names, now);
    const tls = createTlsServer({ cert: certificate.certPem, key: certificate.keyPem }, (incoming, response) => {
      if (incoming.headers.authorization === "answered") response.end("{}");
    });
    const url = await listen(tls);
    const peers = client(ca.certPem);
    let writes = true;
    const waiting = Array.from({ length: 100 }, () =>
      failure(
        peers.post(
          url,
          request(() => writes),
        ),
      ),
    );
    const answered = { ...request(() => true), shard: 1, authorization: "answered" };
    expect((await peers.post(url, answered)).status).toBe(200);
    writes = false;
    await Promise.all(waiting);
    tls.closeAllConnections();
  });
});
