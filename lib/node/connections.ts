import type { Server, Socket } from "node:net";

/** Every connection of a server, also those that have not begun to speak TLS, of which an HTTPS server knows nothing. */
export interface Connections {
  /**
   * Waits until the server has closed, and cuts off what is still open after `graceMs`: half a request, an answer that
   * nobody reads, a connection without a word.
   * @param close begins to close the server and ends when it has
   */
  end(close: () => Promise<unknown>, graceMs: number): Promise<void>;
}

/** @param server before it listens */
export function trackConnections(server: Pick<Server, "on">): Connections {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return {
    end: async (close, graceMs) => {
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      try {
        await close();
      } finally {
        clearTimeout(cut);
      }
    },
  };
}
