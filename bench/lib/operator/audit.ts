/**
 * Requests as the API server counted them: its audit log at level Metadata, one JSON object a line, told apart by user
 * agent. An ordinary request counts when its response is complete, a watch when its response begins.
 */
import { open, stat } from "node:fs/promises";

/** Policy of the server: every request once, without the stage in which nothing is known yet. */
export const AUDIT_POLICY = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [{ level: "Metadata" }],
};

/** Requests of one program by what they do. */
export interface RequestCounts {
  /** Requests by verb and resource, for example `patch configmaps` or `patch widgets/status`. */
  readonly byVerb: Readonly<Record<string, number>>;
  /** Everything but reads, without Leases and Events: what the controller does to the world. */
  readonly writes: number;
  /** All requests without those for Leases and Events. */
  readonly requests: number;
  /** Requests for Leases and Events: the cost of being alive. */
  readonly upkeep: number;
  /** Answers from 400 on. */
  readonly failures: number;
}

/** One counted request. */
interface AuditEntry {
  readonly stage?: string;
  readonly verb?: string;
  readonly userAgent?: string;
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string };
  readonly responseStatus?: { readonly code?: number };
}

const READS = new Set(["get", "list", "watch"]);
const UPKEEP = new Set(["leases", "events"]);

/** Counts the requests in the lines of an audit log that a program sent. @param userAgent start of the user agent */
export function countRequests(lines: Iterable<string>, userAgent: string): RequestCounts {
  const byVerb: Record<string, number> = {};
  let writes = 0;
  let requests = 0;
  let upkeep = 0;
  let failures = 0;
  for (const line of lines) {
    if (line === "" || !line.includes(userAgent)) continue;
    const entry = JSON.parse(line) as AuditEntry;
    if (entry.userAgent?.startsWith(userAgent) !== true) continue;
    const { verb = "", objectRef } = entry;
    if (entry.stage !== (verb === "watch" ? "ResponseStarted" : "ResponseComplete")) continue;
    const resource = objectRef?.resource ?? "(none)";
    const name = `${verb} ${resource}${objectRef?.subresource === undefined ? "" : `/${objectRef.subresource}`}`;
    byVerb[name] = (byVerb[name] ?? 0) + 1;
    if ((entry.responseStatus?.code ?? 0) >= 400) failures += 1;
    if (UPKEEP.has(resource)) {
      upkeep += 1;
      continue;
    }
    requests += 1;
    if (!READS.has(verb)) writes += 1;
  }
  return { byVerb, writes, requests, upkeep, failures };
}

/** A log file that grows. */
export interface AuditLog {
  /** Where the log ends now. */
  mark(): Promise<number>;
  /** Requests between two marks. */
  count(userAgent: string, from: number, to: number): Promise<RequestCounts>;
}

/** Reads the log of a running server. */
export function openAuditLog(path: string): AuditLog {
  return {
    mark: async () => (await stat(path)).size,
    count: async (userAgent, from, to) => {
      const file = await open(path);
      try {
        const stream = file.createReadStream({
          start: from,
          end: Math.max(from, to - 1),
          encoding: "utf8",
          autoClose: false,
        });
        let text = "";
        for await (const chunk of stream) text += chunk as string;
        return countRequests(text.split("\n").slice(0, -1), userAgent);
      } finally {
        await file.close();
      }
    },
  };
}
