import type { AgentStatus } from "../../crds/agent-status.ts";
import {
  DATABASE_REQUEST_KEY,
  type DatabaseRequest,
  parseDatabaseRequest,
  requestHash,
} from "../../crds/database-request.ts";
import { DATABASES_MAX } from "../../crds/shardset.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import type { SecretObject } from "../../lib/kube/types.ts";
import { secretText } from "../kit/secrets.ts";

// Databases that others ask for: which requests are accepted, and what became of each.

/** Database requests, merged. */
export interface MergedRequests {
  /** Sorted by database. */
  readonly accepted: readonly DatabaseRequest[];
  /** One sentence for each Secret that is left out, which names it. */
  readonly problems: readonly string[];
}

/** What became of an accepted request. */
export interface DatabaseState {
  readonly name: string;
  readonly requestHash: string;
  readonly shardsReady: number;
  /** Shards that have not carried it out, and why. */
  readonly missing: readonly { readonly shard: number; readonly why: string }[];
}

/** What became of each accepted request, by database. @param agents answers by shard @param shards of the spec */
export function databaseStates(
  requests: readonly DatabaseRequest[],
  agents: ReadonlyMap<number, AgentStatus>,
  shards: readonly number[],
): DatabaseState[] {
  return requests.map((request) => {
    const hash = requestHash(request);
    const missing = shards.flatMap((shard) => {
      const answer = agents.get(shard)?.databases.find(({ database }) => database === request.database);
      if (answer?.requestHash === hash && answer.ready) return [];
      const why = answer?.requestHash === hash ? (answer.message ?? "is working on it") : "has not answered to it yet";
      return [{ shard, why }];
    });
    return { name: request.database, requestHash: hash, shardsReady: shards.length - missing.length, missing };
  });
}

/**
 * Reads and merges database requests. Each Secret stands by itself: one that cannot be read, or asks for a database that
 * an older Secret asks for, is left out and named, and the others are served.
 */
export function mergeRequests(secrets: readonly SecretObject[]): MergedRequests {
  const byAge = [...secrets].sort(
    (a, b) =>
      compareText(a.metadata.creationTimestamp ?? "", b.metadata.creationTimestamp ?? "") ||
      compareText(a.metadata.name, b.metadata.name),
  );
  const taken = new Map<string, { readonly request: DatabaseRequest; readonly by: string }>();
  const problems: string[] = [];
  for (const secret of byAge) {
    const { name } = secret.metadata;
    const request = readRequest(secret);
    if (typeof request === "string") {
      problems.push(`Secret ${name}: ${request}`);
      continue;
    }
    const earlier = taken.get(request.database);
    if (earlier !== undefined) {
      problems.push(`Secret ${name}: database ${request.database} is requested by the older Secret ${earlier.by}`);
    } else if (taken.size >= DATABASES_MAX) {
      problems.push(`Secret ${name}: a ShardSet keeps at most ${DATABASES_MAX} databases`);
    } else {
      taken.set(request.database, { request, by: name });
    }
  }
  return {
    accepted: [...taken.values()].map(({ request }) => request).sort((a, b) => compareText(a.database, b.database)),
    problems: problems.sort(compareText),
  };
}

/** The request, or why it cannot be read. */
function readRequest(secret: SecretObject): DatabaseRequest | string {
  const json = secretText(secret)(DATABASE_REQUEST_KEY);
  if (json === undefined) return `it has no ${DATABASE_REQUEST_KEY}`;
  try {
    return parseDatabaseRequest(json);
  } catch (error) {
    return toOperatorError(error).message;
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
