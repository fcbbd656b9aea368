/**
 * Leads requests to the shard they concern: to the writer in this process, or one hop further to the pod that holds the
 * shard's Lease. Reads are answered here, whoever writes.
 */
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import { type AccountLocator, EVERYWHERE, shardOf } from "./account-locator.ts";
import { bulkItem, bulkProblem } from "./answers.ts";
import { type BulkCall, type BulkPlan, planBulk, type RoutedTransfers, shardOfTransfer } from "./bulk-plan.ts";
import { CLAIMS_PATH, decodeClaimResults, encodeClaims } from "./claim-messages.ts";
import type { TransferRequest } from "./fingerprint.ts";
import { type ClaimAnswer, claimForeignKeys, type KeyedGroup, keyedGroup } from "./key-claims.ts";
import type { AccountRequest, TransferResults } from "./ledger.work.ts";
import type { ClaimGroup, LedgerWriter } from "./ledger.writer.ts";
import type { PeerAnswer, PeerClient } from "./peer-client.ts";
import { peerProblem } from "./peer-problem.ts";
import type { ShardSeat } from "./shard-seats.ts";
import { isProblem } from "./transfer-parser.ts";

/** Where the shard map comes from. */
export interface ShardMapSource {
  /** @throws OperatorError SHARD_UNAVAILABLE while none was read */
  current(): ShardMap;
  /** Reads it again, because a shard knows a newer one. */
  refresh(): Promise<void>;
}

/** Who asked, for the hop to another pod. */
export interface Caller {
  readonly authorization: string;
  /** Id of the API key. */
  readonly actor: string;
  /** The request came from another pod: it is not handed on again. */
  readonly forwarded: string | undefined;
}

export interface RouterOptions {
  /** By shard. */
  readonly seats: readonly ShardSeat[];
  readonly map: ShardMapSource;
  readonly locator: AccountLocator;
  readonly peers: PeerClient;
  /** What is written here waits for no shard that says nothing. @throws OperatorError SHARD_UNAVAILABLE */
  readonly requireAnswer: (shard: number) => void;
}

/** One transfer's answer, or another pod's answer to the whole request. */
export type TransferOutcome =
  | { readonly type: "local"; readonly shard: number; readonly results: TransferResults; readonly index: number }
  | { readonly type: "peer"; readonly answer: PeerAnswer };

export interface LedgerRouter {
  /** @throws OperatorError CROSS_SHARD_TRANSFER, ACCOUNT_NOT_FOUND, WRITER_UNAVAILABLE, ... */
  transfer(request: TransferRequest, body: Buffer, caller: Caller): Promise<TransferOutcome>;
  /** @returns the JSON text of the answer, or another pod's */
  bulk(call: BulkCall, caller: Caller): Promise<string | PeerAnswer>;
  /** Claims keys of a shard that this pod writes, for another pod. @throws OperatorError WRITER_UNAVAILABLE, OVERLOADED, ... */
  claimKeys(owner: number, group: ClaimGroup): Promise<TransferResults>;
  /** Opens an account, and the pointer to it where its placement key differs from its id. */
  openAccount(request: Omit<AccountRequest, "role">, caller: Caller): Promise<{ created: boolean; shard: number }>;
  /** Shard of an account; `undefined` for an external account, which every shard has. */
  locate(extId: string): Promise<number | undefined>;
}

const RETRY_AFTER_SECONDS = 1;

/** Asks for another pod's client, whose key that pod has checked: what is not written here is not handed on. */
const PEER: Caller = { authorization: "", actor: "", forwarded: "claims" };

function noWriter(shard: number): OperatorError {
  return new OperatorError("WRITER_UNAVAILABLE", `shard ${shard} has no writer right now`, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

/** Another pod that writes a shard. */
interface Peer {
  readonly shard: number;
  readonly url: string;
  readonly isWriter: () => boolean;
}

export function createRouter(options: RouterOptions): LedgerRouter {
  const { seats, map, locator, peers } = options;

  const findPeer = (shard: number, caller: Caller): Peer | undefined => {
    const seat = seats[shard] as ShardSeat;
    const url = caller.forwarded === undefined && seat.writer() === undefined ? seat.holderUrl() : undefined;
    if (url === undefined) return undefined;
    return { shard, url, isWriter: () => seat.writer() === undefined && seat.holderUrl() === url };
  };

  /** The writer of a shard, here or in another pod. */
  const findWriter = (shard: number, caller: Caller): { local: LedgerWriter } | { peer: Peer } => {
    const local = (seats[shard] as ShardSeat).writer();
    if (local !== undefined) {
      options.requireAnswer(shard);
      return { local };
    }
    const peer = findPeer(shard, caller);
    if (peer !== undefined) return { peer };
    throw noWriter(shard);
  };

  /** A stale map is read again at once, so that the sender's next attempt works. */
  const freshen = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (toOperatorError(error).code === "SHARD_MAP_STALE") await map.refresh();
      throw error;
    }
  };

  const route = async (requests: readonly TransferRequest[], createAccounts: boolean): Promise<RoutedTransfers> => {
    const current = map.current();
    const ids = new Array<string>(requests.length * 2);
    for (let index = 0; index < requests.length; index += 1) {
      const request = requests[index] as TransferRequest;
      ids[index * 2] = request.debitAccount;
      ids[index * 2 + 1] = request.creditAccount;
    }
    const locations = await locator.locate(current, ids);
    return { map: current, ids, locations, createAccounts };
  };

  return {
    transfer: async (request, body, caller) => {
      const routed = await route([request], false);
      const shard = shardOfTransfer(routed, 0);
      if (typeof shard !== "number") throw new OperatorError(shard.code, shard.detail);
      const group = keyedGroup([request], shard, routed.map);
      const [answer] = (await claimKeysOf(group, caller)).values();
      if (answer !== undefined) return { type: "local", ...answer };
      const writer = findWriter(shard, caller);
      if ("peer" in writer) {
        const { url, ...peer } = writer.peer;
        const { authorization } = caller;
        const call = { path: "/v1/transfers", body, authorization, idempotencyKey: request.id, part: "all", ...peer };
        return { type: "peer", answer: await peers.post(url, call) };
      }
      const results = await freshen(writer.local.transfer({ ...group, createAccounts: false, actor: caller.actor }));
      return { type: "local", shard, results, index: 0 };
    },

    bulk: async (call, caller) => {
      const { parsed } = call;
      const requests = parsed.filter((item): item is TransferRequest => !isProblem(item));
      const routed = await route(requests, call.createAccounts);
      const plan = planBulk(call, routed);
      const run = { call, plan, caller };
      const prepare = ([shard, indexes]: [number, number[]]) => prepareGroup(run, { map: routed.map, shard, indexes });
      const [first, ...others] = plan.byShard;
      if (first === undefined || others.length > 0) {
        await Promise.all([...plan.byShard].map(async (each) => runGroup(run, await prepare(each))));
      } else {
        const group = await prepare(first);
        const peer = group.indexes.length === parsed.length ? findPeer(group.shard, caller) : undefined;
        if (peer !== undefined) return forwardBulk(call.body, peer, caller);
        await runGroup(run, group);
      }
      return `{"items":[${plan.answers.join(",")}]}`;
    },

    claimKeys: async (owner, group) => {
      const writer = owner < seats.length ? findWriter(owner, PEER) : undefined;
      if (writer === undefined || "peer" in writer) throw noWriter(owner);
      return freshen(writer.local.claimKeys(group));
    },

    openAccount: async (request, caller) => {
      const { extId, placementKey } = request;
      const current = map.current();
      const shard = shardOf(current, placementKey);
      const open = async (role: AccountRequest["role"], on: number): Promise<boolean> => {
        const writer = findWriter(on, caller);
        if ("peer" in writer) return openOnPeer(writer.peer, { ...request, role }, caller);
        return (await freshen(writer.local.openAccount({ ...request, role }, current.version))).created;
      };
      if (caller.forwarded === "pointer") return { created: await open("pointer", shardOf(current, extId)), shard };
      // The pointer first: it reserves the id, so that two placement keys cannot both get it.
      if (placementKey !== extId && caller.forwarded !== "account") await open("pointer", shardOf(current, extId));
      return { created: await open("account", shard), shard };
    },

    locate: async (extId) => {
      const current = map.current();
      const { shards, failures } = await locator.locate(current, [extId]);
      const failure = failures.get(0);
      if (failure !== undefined) throw failure;
      const shard = shards[0] as number;
      return shard === EVERYWHERE ? undefined : shard;
    },
  };

  async function forwardBulk(body: Buffer, { url, ...peer }: Peer, caller: Caller): Promise<PeerAnswer> {
    const { authorization } = caller;
    return peers.post(url, { path: "/v1/transfers:bulk", body, authorization, part: "all", ...peer });
  }

  async function openOnPeer({ url, ...peer }: Peer, request: AccountRequest, caller: Caller): Promise<boolean> {
    const { extId, placementKey, asset, floor, role } = request;
    const answer = await peers.post(url, {
      path: "/v1/accounts",
      // 0 - x, because -0 is not 0 in JSON.
      body: JSON.stringify({ id: extId, placementKey, asset, creditLimit: 0 - floor }),
      authorization: caller.authorization,
      part: role,
      ...peer,
    });
    if (answer.status >= 400) throw peerProblem(answer);
    return answer.status === 201;
  }

  /** Claims what other shards own, unless the pod that handed the request on has done so. */
  async function claimKeysOf(group: KeyedGroup, caller: Caller): Promise<ReadonlyMap<number, ClaimAnswer>> {
    if (caller.forwarded !== undefined) return new Map();
    return claimForeignKeys(group, async (owner, claims) => {
      const writer = findWriter(owner, caller);
      if ("local" in writer) return freshen(writer.local.claimKeys({ ...claims, actor: caller.actor }));
      const { url, ...peer } = writer.peer;
      const body = encodeClaims({ owner, group: claims });
      const { authorization } = caller;
      const answer = await peers.post(url, { path: CLAIMS_PATH, body, authorization, part: "claims", ...peer });
      if (answer.status !== 200) return freshen(Promise.reject<TransferResults>(peerProblem(answer)));
      return decodeClaimResults(JSON.parse(answer.body.toString("utf8")), claims.shards.length);
    });
  }

  interface BulkRun {
    readonly call: BulkCall;
    readonly plan: BulkPlan;
    readonly caller: Caller;
  }

  /** Items of one shard, as far as they may be carried out. */
  interface BulkGroup {
    readonly shard: number;
    /** Of the items in the call. */
    readonly indexes: readonly number[];
    readonly keyed: KeyedGroup;
  }

  /** Claims the keys of one shard's items, and fills in the answers of those that are not carried out. */
  async function prepareGroup(
    { call, plan, caller }: BulkRun,
    { map, shard, indexes }: { map: ShardMap; shard: number; indexes: readonly number[] },
  ): Promise<BulkGroup> {
    const requestsOf = (some: readonly number[]) => some.map((index) => call.parsed[index] as TransferRequest);
    const keyed = keyedGroup(requestsOf(indexes), shard, map);
    const answers = await claimKeysOf(keyed, caller);
    if (answers.size === 0) return { shard, indexes, keyed };
    for (const [at, answer] of answers) {
      const id = (keyed.requests[at] as TransferRequest).id;
      plan.answers[indexes[at] as number] = bulkItem({ ...answer, id });
    }
    const rest = indexes.filter((_, at) => !answers.has(at));
    return { shard, indexes: rest, keyed: keyedGroup(requestsOf(rest), shard, map) };
  }

  /** Carries out the items of one shard and fills in their answers. */
  async function runGroup(run: BulkRun, { shard, indexes, keyed }: BulkGroup): Promise<void> {
    const { call, plan, caller } = run;
    if (indexes.length === 0) return;
    try {
      const writer = findWriter(shard, caller);
      if ("peer" in writer) return await runOnPeer(run, writer.peer, indexes);
      const { createAccounts } = call;
      const results = await freshen(writer.local.transfer({ ...keyed, createAccounts, actor: caller.actor }));
      for (let at = 0; at < indexes.length; at += 1) {
        const id = (keyed.requests[at] as TransferRequest).id;
        plan.answers[indexes[at] as number] = bulkItem({ results, index: at, shard, id });
      }
    } catch (thrown) {
      const error = toOperatorError(thrown);
      const problem = { code: error.code, detail: error.message };
      for (const index of indexes) {
        const { id } = call.parsed[index] as TransferRequest;
        plan.answers[index] = bulkProblem(id, problem, { shard, replayed: false });
      }
    }
  }

  async function runOnPeer({ call, plan, caller }: BulkRun, peer: Peer, indexes: readonly number[]): Promise<void> {
    const items = indexes.map((index) => call.items[index]);
    const body = Buffer.from(JSON.stringify({ createAccounts: call.createAccounts, items }));
    const answer = await forwardBulk(body, peer, caller);
    if (answer.status !== 200) throw peerProblem(answer);
    const answered = (JSON.parse(answer.body.toString("utf8")) as { items: unknown[] }).items;
    indexes.forEach((index, at) => {
      plan.answers[index] = JSON.stringify(answered[at]);
    });
  }
}
