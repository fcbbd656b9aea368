import { CREDIT_LEDGER_KIND } from "./creditledger.ts";
import type { KindDefinition } from "./kind.ts";
import { ROLLOUT_KIND } from "./rollout.ts";
import { SHARD_SET_KIND } from "./shardset.ts";

/**
 * All kinds of the API, in the order of the reference pages. CRDs, their copies in the chart, the rights of people and
 * the reference pages are printed from this list.
 */
export const KINDS: readonly KindDefinition[] = [SHARD_SET_KIND, CREDIT_LEDGER_KIND, ROLLOUT_KIND];
