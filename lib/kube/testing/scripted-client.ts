import { Readable } from "node:stream";
import { createManualClock } from "../../core/manual-clock.ts";
import { createKubeClient, type KubeClient, type KubeClientOptions } from "../client.ts";
import type { RequestRecord } from "../request-options.ts";
import type { Transport, TransportRequest, TransportResponse } from "../transport.ts";

/** What the scripted transport answers to one request. */
export type Answer =
  | { readonly status: number; readonly body?: unknown; readonly headers?: Record<string, string> }
  | { readonly error: Error }
  | { readonly hang: true }
  /** A body in pieces. */
  | { readonly stream: readonly string[] };

/** A client whose transport is a list of answers, in the order of the requests. Its clock stands still. */
export function openScripted(...answers: Answer[]) {
  return openScriptedWith({}, ...answers);
}

/** As `openScripted`, with options of the client. */
export function openScriptedWith(options: Pick<KubeClientOptions, "rateLimit">, ...answers: Answer[]) {
  const sent: TransportRequest[] = [];
  const records: RequestRecord[] = [];
  const clock = createManualClock();
  let distrusted = 0;
  let forgotten = 0;
  const transport: Transport = {
    host: "server:6443",
    send: async (request) => {
      sent.push(request);
      const answer = answers.shift();
      if (answer === undefined) throw new Error("no further answer was expected to be needed");
      if ("error" in answer) throw answer.error;
      if ("hang" in answer) {
        return new Promise((_resolve, reject) => {
          request.signal.addEventListener("abort", () => reject(new Error("aborted")));
        });
      }
      if ("stream" in answer) {
        return {
          statusCode: 200,
          headers: {},
          body: Readable.from(answer.stream.map((text) => Buffer.from(text))) as never,
        };
      }
      const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? {});
      const body = { text: async () => text } as unknown as TransportResponse["body"];
      return { statusCode: answer.status, headers: answer.headers ?? {}, body };
    },
    openSocket: async () => {
      throw new Error("no socket was expected to be needed");
    },
    forgetCredentials: () => {
      forgotten += 1;
    },
    distrust: () => {
      distrusted += 1;
    },
    close: async () => undefined,
  };
  const client: KubeClient = createKubeClient({
    transport,
    namespace: "ns",
    userAgent: "shieldx/1.2.3 (test)",
    clock,
    random: () => 0.5,
    onRequest: (record) => records.push(record),
    ...options,
  });
  return { client, sent, records, clock, distrusted: () => distrusted, forgotten: () => forgotten };
}
