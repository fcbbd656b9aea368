/**
 * What the requests under way may take of the process, by client. A client is an API key: addresses tell nothing behind a
 * NodePort or a proxy. Every limit is parted by the same rule (fair-shares.ts): no key gets more than what is left for all
 * others, so whatever one does, another one's request finds room.
 *
 * Together the limits bound the memory that clients can cause: bytes are taken as buffers are made for them, before what
 * came is kept, values before they are made of it, and both are given back when the answer has left and nothing works on the request any more. What a client
 * announces takes nothing.
 */
import { OperatorError } from "../../lib/core/errors.ts";
import { createFairShares, type FairShares } from "../../lib/core/fair-shares.ts";

const MIB = 1024 * 1024;

/** Of all keys together, by limit. A pod has 1 GiB. */
export const LIMITS = {
  /** Connections on which a key was shown. */
  connections: 3_072,
  /** Requests from their key to the end of their answer. */
  requests: 4_096,
  /** Bytes of bulk requests. */
  bulk_bytes: 64 * MIB,
  /** Bytes of all other bodies: a room of their own, which no bulk request can fill. */
  body_bytes: 16 * MIB,
  /** Members, list items and objects of parsed bodies: some 60 bytes each, however short they are as text. */
  values: 3_000_000,
  /** Bytes of large answers that were not taken yet. */
  answer_bytes: 64 * MIB,
} as const;

export type LimitName = keyof typeof LIMITS;
/** The limits of bytes and requests, which end with the answer. */
export type RequestLimit = Exclude<LimitName, "connections">;

const WORDS: Readonly<Record<LimitName, string>> = {
  connections: "connections",
  requests: "requests under way",
  bulk_bytes: "bytes of bulk requests under way",
  body_bytes: "bytes of requests under way",
  values: "JSON values of requests under way",
  answer_bytes: "bytes of answers that were not taken yet",
};

/** What one request has taken. */
export interface Holding {
  /** Whether so much could be taken now. @throws OperatorError OVERLOADED */
  check(limit: RequestLimit, amount: number): void;
  /** @throws OperatorError OVERLOADED, ABORTED after the last `release`; nothing is taken then */
  take(limit: RequestLimit, amount: number): void;
  /** Gives back, before the end, what was taken of a limit and is not kept any more. */
  drop(limit: RequestLimit): void;
  /** One more has to `release` before everything is given back. */
  retain(): void;
  release(): void;
}

export interface RequestLimits {
  /** A request begins. @throws OperatorError OVERLOADED */
  begin(key: string): Holding;
  /** A connection belongs to a key from now on. @returns ends that @throws OperatorError OVERLOADED */
  connect(key: string): () => void;
}

/** @param onRefusal for metrics */
export function createRequestLimits(onRefusal: (limit: LimitName) => void): RequestLimits {
  const shares = Object.fromEntries(
    Object.entries(LIMITS).map(([limit, total]) => [limit, createFairShares(total)]),
  ) as Record<LimitName, FairShares>;

  const refuse = (limit: LimitName, key: string): never => {
    onRefusal(limit);
    const { heldBy, held, total } = shares[limit];
    throw new OperatorError(
      "OVERLOADED",
      `this API key has ${heldBy(key)} ${WORDS[limit]}, all keys have ${held()} of at most ${total}: a key may have no more than what is left for the others`,
      { retryAfterSeconds: 1 },
    );
  };

  return {
    begin: (key) => {
      let taken: [RequestLimit, number][] = [];
      let holders = 1;
      const holding: Holding = {
        check: (limit, amount) => {
          if (!shares[limit].fits(key, amount)) refuse(limit, key);
        },
        take: (limit, amount) => {
          // What is taken now would never be given back.
          if (holders === 0) throw new OperatorError("ABORTED", "the client went away");
          if (!shares[limit].take(key, amount)) refuse(limit, key);
          taken.push([limit, amount]);
        },
        drop: (limit) => {
          for (const [name, amount] of taken) if (name === limit) shares[name].give(key, amount);
          taken = taken.filter(([name]) => name !== limit);
        },
        retain: () => {
          holders += 1;
        },
        release: () => {
          holders -= 1;
          if (holders > 0) return;
          for (const [limit, amount] of taken.splice(0)) shares[limit].give(key, amount);
        },
      };
      holding.take("requests", 1);
      return holding;
    },
    connect: (key) => {
      if (!shares.connections.take(key, 1)) refuse("connections", key);
      return () => shares.connections.give(key, 1);
    },
  };
}
