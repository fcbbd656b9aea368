// Mutual TLS on loopback: who may ask whom, and what becomes of answers that are none.
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { systemClock } from "../core/clock.ts";
import { type CertificatePair, createCertificateAuthority, issueCertificate } from "./certificates.ts";
import { getJson, type JsonRequest } from "./https-json.ts";

let ca: CertificatePair;
let client: CertificatePair;
let server: Server;

beforeAll(async () => {
  const now = systemClock.now();
  ca = await createCertificateAuthority("ca", now);
  client = await issueCertificate(ca, { commonName: "shieldx-operator", usage: "client" }, now);
  const own = await issueCertificate(ca, { commonName: "bank-0", usage: "server", dnsNames: ["bank-0.demo.svc"] }, now);
  server = createServer(
    {
      cert: own.certPem,
      key: own.keyPem,
      ca: ca.certPem,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: "TLSv1.3",
    },
    (request, response) => {
      if (request.url === "/status") {
        const { CN } = (request.socket as TLSSocket).getPeerCertificate().subject;
        response.end(JSON.stringify({ you: CN }));
      } else if (request.url === "/echo" && request.method === "POST") request.pipe(response);
      else if (request.url === "/text") response.end("hello");
      else if (request.url === "/refused") response.writeHead(403).end("no");
      // Everything else is never answered.
    },
  );
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

function question(changes: Partial<JsonRequest> = {}): JsonRequest {
  return {
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    path: "/status",
    serverName: "bank-0.demo.svc",
    tls: { caPem: ca.certPem, certPem: client.certPem, keyPem: client.keyPem },
    timeoutMs: 2_000,
    ...changes,
  };
}

test("the answer is JSON from the server whose name was asked for", async () => {
  expect(await getJson(question())).toEqual({ you: "shieldx-operator" });
});

test("a body is sent as JSON in a POST", async () => {
  const body = { parameters: { application_name: "Příliš" } };
  expect(await getJson(question({ path: "/echo", body }))).toEqual(body);
});

test.each([
  ["another server", { serverName: "bank-1.demo.svc" }, "altnames"],
  ["an answer that is no JSON", { path: "/text" }, "not JSON"],
  ["a refusal", { path: "/refused" }, "status 403"],
  ["silence", { path: "/silent", timeoutMs: 200 }, "200 ms"],
  ["nobody", { port: 1 }, "ECONNREFUSED"],
])("%s is unreachable, with the reason", async (_name, changes, reason) => {
  await expect(getJson(question(changes))).rejects.toMatchObject({
    code: "AGENT_UNREACHABLE",
    message: expect.stringContaining(reason),
  });
});

test("who comes with a certificate of another CA gets no answer", async () => {
  const foreign = await createCertificateAuthority("foreign", systemClock.now());
  const forged = await issueCertificate(
    foreign,
    { commonName: "shieldx-operator", usage: "client" },
    systemClock.now(),
  );
  const tls = { caPem: ca.certPem, certPem: forged.certPem, keyPem: forged.keyPem };
  await expect(getJson(question({ tls }))).rejects.toMatchObject({ code: "AGENT_UNREACHABLE" });
});

test("an abort of the caller ends the wait", async () => {
  const stop = new AbortController();
  const asked = getJson(question({ path: "/silent", signal: stop.signal }));
  stop.abort();
  await expect(asked).rejects.toMatchObject({ code: "AGENT_UNREACHABLE" });
});
