/**
 * Connections on which no key was shown yet: they cost memory, and nobody answers for them. When there are too many, one of
 * them goes, and never one of a client. Which one is decided by address and age:
 *
 *   1. the address with most of them gives one up: a flood from one place does not reach others. Where all come from one
 *      address, as behind a NodePort or a proxy, this says nothing, and locks nobody out;
 *   2. of that address, the one that waited longest. A client shows its key within milliseconds, a slow one waits for long;
 *   3. but a connection is given its time (`graceMs`): where all are young, thousands of clients may be coming back at once,
 *      and it is the newest that goes. Else none would get through its handshake.
 */
export interface StrangerTable<Connection> {
  /** @returns the connection that has to go for it, which may be itself */
  admit(connection: Connection, address: string, now: number): Connection | undefined;
  /** It showed a key, or it ended. */
  remove(connection: Connection): void;
  all(): Connection[];
  size(): number;
}

export interface StrangerRules {
  readonly max: number;
  readonly graceMs: number;
}

export function createStrangerTable<Connection>({ max, graceMs }: StrangerRules): StrangerTable<Connection> {
  const addressOf = new Map<Connection, string>();
  /** Since when, by address; the oldest first. */
  const byAddress = new Map<string, Map<Connection, number>>();

  const remove = (connection: Connection): void => {
    const address = addressOf.get(connection);
    if (address === undefined) return;
    addressOf.delete(connection);
    const neighbours = byAddress.get(address);
    neighbours?.delete(connection);
    if (neighbours?.size === 0) byAddress.delete(address);
  };

  /** The oldest connection of the address that has most; among equals, the oldest of all. */
  const worst = (): { connection: Connection; since: number; count: number } => {
    let found: { connection: Connection; since: number; count: number } | undefined;
    for (const neighbours of byAddress.values()) {
      const [oldest] = neighbours;
      if (oldest === undefined) continue;
      const [connection, since] = oldest;
      const count = neighbours.size;
      if (found === undefined || count > found.count || (count === found.count && since < found.since)) {
        found = { connection, since, count };
      }
    }
    return found as NonNullable<typeof found>;
  };

  return {
    admit: (connection, address, now) => {
      addressOf.set(connection, address);
      const neighbours = byAddress.get(address) ?? new Map<Connection, number>();
      byAddress.set(address, neighbours.set(connection, now));
      if (addressOf.size <= max) return undefined;
      const { connection: oldest, since, count } = worst();
      const isFair = count > neighbours.size || now - since >= graceMs;
      const leaving = isFair ? oldest : connection;
      remove(leaving);
      return leaving;
    },
    remove,
    all: () => [...addressOf.keys()],
    size: () => addressOf.size,
  };
}
