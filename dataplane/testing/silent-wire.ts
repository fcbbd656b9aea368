/** A wire to a TCP server that can fall silent: nobody is told that it did, as when a node goes or a firewall forgets. */
import { connect, createServer, type Socket } from "node:net";

export interface SilentWire {
  readonly port: number;
  /** From now on nothing passes on the connections that are open, in either direction; new ones work. */
  silence(): void;
  /** The same, and new connections are taken and nothing comes back on them, until `restore`. */
  swallow(): void;
  restore(): void;
  /** Connections that are open on the client's side. */
  open(): number;
  close(): Promise<void>;
}

/** Relays connections on a free port of loopback to `port`. */
export async function startSilentWire(port: number): Promise<SilentWire> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const silenced: Socket[] = [];
  let swallows = false;
  const server = createServer((near) => {
    if (swallows) {
      near.on("error", () => undefined);
      silenced.push(near);
      return;
    }
    const far = connect({ host: "127.0.0.1", port });
    const pair = [near, far] as const;
    pairs.add(pair);
    near.pipe(far);
    far.pipe(near);
    for (const socket of pair) {
      // A side that breaks takes the other one with it, unless the wire is silent.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        if (!pairs.delete(pair)) return;
        for (const each of pair) each.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const silence = (): void => {
    for (const pair of pairs) {
      pairs.delete(pair);
      for (const socket of pair) {
        socket.unpipe();
        // A socket that is never read does not notice that its other end has gone.
        socket.pause();
        silenced.push(socket);
      }
    }
  };
  return {
    port: (server.address() as { port: number }).port,
    silence,
    swallow: () => {
      swallows = true;
      silence();
    },
    restore: () => {
      swallows = false;
    },
    open: () => pairs.size,
    close: async () => {
      for (const socket of [...pairs].flat().concat(silenced)) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
