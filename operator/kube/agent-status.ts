import { request } from "node:https";
import { AGENT_PORT, type AgentStatus, agentStatus } from "../../crds/agent-status.ts";
import { OperatorError } from "../../lib/core/errors.ts";

/** Where an agent answers, and how both sides prove who they are. All PEM. */
export interface AgentAddress {
  /** Pod IP or name. */
  readonly host: string;
  /** 8443 unless told. */
  readonly port?: number;
  /** Name that the agent's certificate must carry. */
  readonly serverName: string;
  /** CA certificates that we trust. */
  readonly ca: string;
  /** Client certificate and key with CN `shieldx-operator`. */
  readonly cert: string;
  readonly key: string;
}

/** A node next door answers in milliseconds; a reconcile must not wait for one that is gone. */
const TIMEOUT_MS = 3_000;
/** A hundred databases make some 20 kB. */
const ANSWER_BYTES_MAX = 1024 * 1024;

/**
 * Asks an agent for its status over TLS 1.3 with client certificate.
 * @throws OperatorError AGENT_UNREACHABLE (also when the answer cannot be read), ABORTED
 */
export async function readAgentStatus(address: AgentAddress, signal?: AbortSignal): Promise<AgentStatus> {
  const text = await fetchStatus(address, signal);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unreachable(address, "the answer is not JSON", cause);
  }
  const parsed = agentStatus.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw unreachable(
    address,
    `the answer cannot be read: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`,
    parsed.error,
  );
}

function fetchStatus(address: AgentAddress, signal: AbortSignal | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (message: string, cause?: unknown): void => reject(unreachable(address, message, cause));
    const outgoing = request(
      {
        host: address.host,
        port: address.port ?? AGENT_PORT,
        path: "/status",
        method: "GET",
        servername: address.serverName,
        ca: address.ca,
        cert: address.cert,
        key: address.key,
        minVersion: "TLSv1.3",
        // Asked every few seconds at most: a connection of its own follows new certificates without any care.
        agent: false,
        ...(signal === undefined ? {} : { signal }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > ANSWER_BYTES_MAX)
            outgoing.destroy(new Error(`the answer has more than ${ANSWER_BYTES_MAX} bytes`));
          chunks.push(chunk);
        });
        response.on("error", (error) => fail(error.message, error));
        response.on("end", () => {
          if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString("utf8"));
          else fail(`HTTP ${response.statusCode}`);
        });
      },
    );
    // A timer of our own: the socket's counts silence, and a peer that sends a byte a second is never silent.
    const timer = setTimeout(() => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS);
    outgoing.on("close", () => clearTimeout(timer));
    outgoing.on("error", (error) => {
      if (signal?.aborted)
        reject(new OperatorError("ABORTED", "the question to the agent was stopped", { cause: error }));
      else fail(error.message, error);
    });
    outgoing.end();
  });
}

function unreachable(address: AgentAddress, message: string, cause?: unknown): OperatorError {
  return new OperatorError("AGENT_UNREACHABLE", `agent ${address.serverName} at ${address.host}: ${message}`, {
    cause,
  });
}
