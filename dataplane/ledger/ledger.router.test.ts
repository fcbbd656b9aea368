import { describe, expect, test } from "@jest/globals";
import type { ErrorCode } from "../../lib/core/errors.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import { deposit } from "../testing/writer-stage.ts";
import { shardOf } from "./account-locator.ts";
import { keyedGroup } from "./key-claims.ts";
import { createRouter } from "./ledger.router.ts";
import type { PeerAnswer, PeerRequest } from "./peer-client.ts";

// Goal: what a pod of another version says is no final answer to a client, unless both versions mean the same by it. Seen in an
// upgrade with a client at work: 20 of 1,129 transfers were told 404, for good, and had never happened.

const MAP = { version: 4, epoch: 1, owners: proposeOwners(2) };
/** Shard 0 is written here or nowhere, shard 1 by another pod. */
function routerWith(post: (asked: PeerRequest) => PeerAnswer) {
  const seat = (shard: number) => ({
    shard,
    writer: () => undefined,
    holderUrl: () => (shard === 1 ? "https://other:8443" : undefined),
    problem: () => undefined,
    look: () => undefined,
    stop: async () => undefined,
  });
  return createRouter({
    seats: [seat(0), seat(1)],
    map: { current: () => MAP, refresh: async () => undefined },
    locator: {
      locate: async (map, ids) => ({
        shards: Int32Array.from(ids, (id) => (id.startsWith("system:") ? -1 : shardOf(map, id))),
        exists: Uint8Array.from(ids, () => 1),
        failures: new Map(),
      }),
    },
    peers: { post: async (_url, asked) => post(asked), close: () => undefined },
    requireAnswer: () => undefined,
  });
}

const answer = (status: number, code: string): PeerAnswer => ({
  status,
  headers: {},
  body: Buffer.from(JSON.stringify({ code, detail: `said ${code}` })),
});

/** A transfer on `shard` whose key the other shard owns. */
function transferOn(shard: number) {
  for (let number = 0; ; number += 1) {
    const request = { ...deposit(`k${number}`), creditAccount: `account-${number}` };
    const owner = keyedGroup([request], shard, MAP).owners[0];
    if (shardOf(MAP, request.creditAccount) === shard && owner === 1 - shard) return request;
  }
}

async function bulkAnswer(said: PeerAnswer) {
  const request = transferOn(0);
  const call = { items: [request], parsed: [request], createAccounts: true, body: Buffer.from("{}") };
  const text = await routerWith(() => said).bulk(call, { authorization: "", actor: "", forwarded: undefined });
  const { items } = JSON.parse(text as string) as { items: { status: number; code: ErrorCode; detail: string }[] };
  return items[0] as (typeof items)[0];
}

describe("another pod's refusal of a claim", () => {
  test("a pod that knows no claims, since it is of an older version, is asked again later", async () => {
    expect(await bulkAnswer(answer(404, "ROUTE_NOT_FOUND"))).toMatchObject({
      status: 503,
      code: "WRITER_UNAVAILABLE",
      detail: expect.stringContaining("another version"),
    });
  });

  test("so it is with a single transfer", async () => {
    const router = routerWith(() => answer(404, "ROUTE_NOT_FOUND"));
    const outcome = await router.transfer(transferOn(0), Buffer.from("{}"), {
      authorization: "",
      actor: "",
      forwarded: undefined,
    });
    expect(outcome).toMatchObject({
      type: "local",
      results: { problems: new Map([[0, expect.objectContaining({ code: "WRITER_UNAVAILABLE" })]]) },
    });
  });

  test.each([
    [answer(409, "CODE_OF_A_LATER_VERSION"), "WRITER_UNAVAILABLE"],
    [{ status: 502, headers: {}, body: Buffer.from("<html>") }, "WRITER_UNAVAILABLE"],
    [{ status: 502, headers: {}, body: Buffer.from("null") }, "WRITER_UNAVAILABLE"],
    [answer(422, "IDEMPOTENCY_KEY_REUSED"), "IDEMPOTENCY_KEY_REUSED"],
    [answer(401, "API_KEY_INVALID"), "API_KEY_INVALID"],
  ])("%#", async (said, code) => {
    expect((await bulkAnswer(said)).code).toBe(code);
  });
});
