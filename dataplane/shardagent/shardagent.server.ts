import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import {
  type AgentStatus,
  OPERATOR_COMMON_NAME,
  SETTINGS_PATH,
  type SettingsAnswer,
  settingsRequest,
} from "../../crds/agent-status.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import { trackConnections } from "../../lib/node/connections.ts";
import type { TlsFiles } from "./certificate-files.ts";

/** What the servers show; asked anew for each request, answered from memory. */
export interface AgentView {
  status(): AgentStatus;
  /** Text in the Prometheus exposition format. */
  metrics(): Promise<string>;
  /** Whether PostgreSQL would start with these settings of the spec. */
  trySettings(parameters: Readonly<Record<string, string>>): Promise<SettingsAnswer>;
  /** The agent's loops move. */
  alive(): boolean;
}

/** Both servers, listening. */
export interface AgentServers {
  readonly port: number;
  readonly probePort: number;
  /** New connections use the new certificates; open ones go on. */
  useCertificates(files: TlsFiles): void;
  close(): Promise<void>;
}

/** Nothing that asks an agent takes longer; a slow client must not hold a connection for ever. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Requests carry no body; headers beyond this are not a client of ours. */
const HEADER_BYTES_MAX = 8 * 1024;

/** 64 settings with their longest names and values are half of it. */
const BODY_BYTES_MAX = 64 * 1024;

/**
 * Starts HTTPS (`/status`, `/metrics`; TLS 1.3, only the operator's client certificate) and plain HTTP probes
 * (`/healthz`, `/readyz`).
 * @throws what `listen` throws, for example when a port is taken
 */
export async function startServers(
  view: AgentView,
  files: TlsFiles,
  ports: { readonly listen: number; readonly probeListen: number },
): Promise<AgentServers> {
  const common = { requestTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: HEADER_BYTES_MAX };
  const secure = createHttpsServer(
    { ...common, ...tlsOptions(files), requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      answerOperator(view, request, response).catch((error: unknown) => {
        if (!response.headersSent) send(response, 500, { text: `${toOperatorError(error).message}\n` });
        else response.destroy();
      });
    },
  );
  const probes = createHttpServer(common, (request, response) => answerProbe(view, request, response));
  const closers = [secure, probes].map((server) => {
    const connections = trackConnections(server);
    return () => connections.end(() => new Promise((resolve) => server.close(resolve)), 0);
  });
  await listen(secure, ports.listen);
  await listen(probes, ports.probeListen);
  return {
    port: portOf(secure),
    probePort: portOf(probes),
    useCertificates: (fresh) => secure.setSecureContext(tlsOptions(fresh)),
    close: async () => {
      await Promise.all(closers.map((close) => close()));
    },
  };
}

async function answerOperator(view: AgentView, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const subject = (request.socket as TLSSocket).getPeerCertificate().subject;
  // The CA signs servers and the operator alike; only the operator may ask.
  if (subject?.CN !== OPERATOR_COMMON_NAME) return send(response, 403, { text: "forbidden\n" });
  if (request.url === SETTINGS_PATH) return answerSettings(view, request, response);
  if (request.method !== "GET") return send(response, 405, { text: "only GET\n" });
  if (request.url === "/status") {
    return send(response, 200, { text: JSON.stringify(view.status()), type: "application/json" });
  }
  if (request.url === "/metrics") return send(response, 200, { text: await view.metrics() });
  return send(response, 404, { text: "not found\n" });
}

async function answerSettings(view: AgentView, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "POST") return send(response, 405, { text: "only POST\n" });
  const asked = settingsRequest.safeParse(await readJson(request).catch(() => undefined));
  if (!asked.success) return send(response, 400, { text: "no settings\n" });
  send(response, 200, {
    text: JSON.stringify(await view.trySettings(asked.data.parameters)),
    type: "application/json",
  });
}

/** @throws when the body is too long or not JSON */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > BODY_BYTES_MAX) throw new Error("the body is too long");
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString("utf8"));
}

function answerProbe(view: AgentView, request: IncomingMessage, response: ServerResponse): void {
  if (request.method !== "GET") return send(response, 405, { text: "only GET\n" });
  if (request.url === "/healthz") {
    return view.alive() ? send(response, 200, { text: "ok\n" }) : send(response, 503, { text: "the agent is stuck\n" });
  }
  if (request.url === "/readyz") {
    const { ready, reason } = view.status();
    return send(response, ready ? 200 : 503, { text: `${reason}\n` });
  }
  return send(response, 404, { text: "not found\n" });
}

function send(response: ServerResponse, status: number, body: { readonly text: string; readonly type?: string }): void {
  response.writeHead(status, { "content-type": body.type ?? "text/plain; charset=utf-8", "cache-control": "no-store" });
  response.end(body.text);
}

function tlsOptions(files: TlsFiles): { cert: string; key: string; ca: string; minVersion: "TLSv1.3" } {
  return { cert: files.certPem, key: files.keyPem, ca: files.caPem, minVersion: "TLSv1.3" };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // Without an address: IPv6 and IPv4, whichever the pod has.
    server.listen(port, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
