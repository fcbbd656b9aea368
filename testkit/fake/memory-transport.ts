import { PassThrough } from "node:stream";
import type { Transport, TransportResponse } from "../../lib/kube/transport.ts";
import { createWatchPipe } from "../watch-pipe.ts";
import type { FakeApi } from "./api.ts";

/**
 * The way to a fake API server without a socket: what the real client sends is answered in the same turn. Watches are fed
 * as over a socket; nothing misbehaves here, that takes `startFakeKube`.
 */
export function createMemoryTransport(api: Pick<FakeApi, "carryOut">): Transport {
  const open = new Set<PassThrough>();
  return {
    host: "memory",
    send: async ({ method, path, headers, body = "", signal, fence }) => {
      signal.throwIfAborted();
      fence?.();
      const url = new URL(path, "http://memory");
      const answer = api.carryOut({
        method,
        path: url.pathname,
        query: url.searchParams,
        userAgent: headers["user-agent"] ?? "",
        headers,
        body,
      });
      if (!("feed" in answer)) {
        return responseOf(answer.status, answer.headers ?? {}, { text: async () => answer.body });
      }
      const stream = new PassThrough();
      open.add(stream);
      const end = (): void => void stream.destroy();
      signal.addEventListener("abort", end, { once: true });
      stream.once("close", () => {
        open.delete(stream);
        signal.removeEventListener("abort", end);
      });
      answer.feed(
        createWatchPipe({ url: path, response: stream, troubles: () => [], random: () => 0, cutFirstLine: false }),
      );
      return responseOf(200, {}, stream);
    },
    openSocket: () => Promise.reject(new Error("there are no sockets in memory")),
    forgetCredentials: () => undefined,
    close: async () => {
      for (const stream of open) stream.destroy();
    },
  };
}

function responseOf(statusCode: number, headers: Readonly<Record<string, string>>, body: object): TransportResponse {
  return { statusCode, headers, body: body as TransportResponse["body"] };
}
