import { connect, createServer, type Socket } from "node:net";

/** A path to a server whose connections can be broken: TLS passes through untouched, as through a load balancer. */
export interface TcpProxy {
  readonly port: number;
  /** Breaks connections in both directions, each with the given chance. @returns how many */
  cut(chance?: number): number;
  /** Refuses new connections and breaks the present ones, until `reopen`. */
  close(): void;
  reopen(): void;
  stop(): Promise<void>;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

/** Listens on any port of loopback. @param random in [0, 1): decides which connections a cut hits */
export async function startTcpProxy(serverPort: number, random: () => number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let isOpen = true;
  const server = createServer((near) => {
    if (!isOpen) return void near.resetAndDestroy();
    const far = connect(serverPort, "127.0.0.1");
    const pair: Pair = { near, far };
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    // Breaking is what this program is for: the reason is of no interest.
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const reset = (pair: Pair): void => {
    pairs.delete(pair);
    pair.near.resetAndDestroy();
    pair.far.resetAndDestroy();
  };
  return {
    port: (server.address() as { port: number }).port,
    cut: (chance = 1) => {
      const hit = [...pairs].filter(() => random() < chance);
      hit.forEach(reset);
      return hit.length;
    },
    close: () => {
      isOpen = false;
      [...pairs].forEach(reset);
    },
    reopen: () => {
      isOpen = true;
    },
    stop: async () => {
      [...pairs].forEach(reset);
      await new Promise((closed) => server.close(closed));
    },
  };
}
