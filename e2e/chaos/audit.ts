import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

/*
 * Proof that no write of a deposed leader was accepted: every write to etcd has a revision, and so has every acquisition
 * of the Lease. In the order of revisions each accepted write must come from the process that held the epoch in force.
 *
 *   revision   ──●───────●──●──●──────────●────●──●────►
 *                epoch 4    writes of a   epoch 5   writes of b          a write of a here is one that was fenced off
 *
 * The audit log gives writer (user agent), object and revision; deletions have none there, a watch of ours adds it.
 */

/** A write that the server carried out. */
export interface AcceptedWrite {
  readonly userAgent: string;
  /** `patch configmaps/w1`, with the sub-resource. */
  readonly what: string;
  /** Of etcd; `undefined` for a deletion that no watch saw. */
  readonly revision: number | undefined;
  /** When the server had read the request, RFC 3339 with microseconds. */
  readonly receivedAt: string;
}

/** The time under one epoch, by revisions. */
export interface Term {
  readonly epoch: number;
  readonly holder: string;
  readonly from: number;
  /** When the answer of the acquisition was complete. */
  readonly fromTime: string;
  /** Given back at this revision. */
  readonly releasedAt: number | undefined;
}

export interface Audit {
  /** All but writes of Leases, in no order. */
  readonly writes: readonly AcceptedWrite[];
  /** In order. */
  readonly terms: readonly Term[];
}

interface AuditEvent {
  readonly stage?: string;
  readonly verb: string;
  readonly userAgent?: string;
  readonly objectRef?: { readonly resource: string; readonly name?: string; readonly subresource?: string };
  readonly responseStatus?: { readonly code?: number };
  readonly responseObject?: {
    readonly metadata?: {
      readonly name?: string;
      readonly uid?: string;
      readonly resourceVersion?: string;
      readonly deletionTimestamp?: string;
      readonly finalizers?: readonly string[];
    };
    readonly details?: { readonly uid?: string };
    readonly spec?: { readonly holderIdentity?: string; readonly leaseTransitions?: number };
  };
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
}

/** What the server has to write down: answers in full, without reads. */
export const AUDIT_POLICY = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { level: "None", verbs: ["get", "list", "watch"] },
    {
      level: "RequestResponse",
      resources: [
        { group: "", resources: ["configmaps"] },
        { group: "coordination.k8s.io", resources: ["leases"] },
        { group: "test.shieldx.dev", resources: ["widgets", "widgets/status"] },
      ],
    },
    { level: "Metadata", resources: [{ group: "" }, { group: "events.k8s.io" }] },
    { level: "None" },
  ],
};

/**
 * Reads an audit log.
 * @param lease name of the Lease whose epochs count
 * @param deletions revision at which the object of a uid was deleted
 */
export async function readAudit(path: string, lease: string, deletions: ReadonlyMap<string, number>): Promise<Audit> {
  const writes: AcceptedWrite[] = [];
  const records: LeaseRecord[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const event = parse(line);
    if (event?.stage !== "ResponseComplete" || (event.responseStatus?.code ?? 500) >= 300) continue;
    const { resource = "", name, subresource } = event.objectRef ?? {};
    const { metadata, spec } = event.responseObject ?? {};
    const revision = revisionOf(event, deletions);
    if (resource === "leases") {
      if (name !== lease && metadata?.name !== lease) continue;
      const { holderIdentity = "", leaseTransitions = 0 } = spec ?? {};
      if (revision === undefined) continue;
      records.push({ epoch: leaseTransitions, holder: holderIdentity, revision, time: event.stageTimestamp });
      continue;
    }
    const object = [resource, name ?? metadata?.name ?? "", ...(subresource === undefined ? [] : [subresource])];
    writes.push({
      userAgent: event.userAgent ?? "",
      what: `${event.verb} ${object.join("/")}`,
      revision,
      receivedAt: event.requestReceivedTimestamp,
    });
  }
  return { writes, terms: termsOf(records) };
}

/** A line that was cut off when the server was killed says nothing. */
function parse(line: string): AuditEvent | undefined {
  try {
    return JSON.parse(line) as AuditEvent;
  } catch {
    return undefined;
  }
}

/** An object's own version; of one that the write removed, the version that the watch told. */
function revisionOf(event: AuditEvent, deletions: ReadonlyMap<string, number>): number | undefined {
  const { metadata, details } = event.responseObject ?? {};
  if (details?.uid !== undefined) return deletions.get(details.uid);
  if (metadata?.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0) {
    return deletions.get(metadata.uid ?? "");
  }
  const version = Number(metadata?.resourceVersion);
  return Number.isInteger(version) ? version : undefined;
}

interface LeaseRecord {
  readonly epoch: number;
  readonly holder: string;
  readonly revision: number;
  readonly time: string;
}

function termsOf(records: readonly LeaseRecord[]): Term[] {
  const terms = new Map<number, Term>();
  for (const { epoch, holder, revision, time } of records.toSorted((a, b) => a.revision - b.revision)) {
    const term = terms.get(epoch);
    if (term === undefined && holder !== "") {
      terms.set(epoch, { epoch, holder, from: revision, fromTime: time, releasedAt: undefined });
    }
    if (term !== undefined && holder === "" && term.releasedAt === undefined)
      terms.set(epoch, { ...term, releasedAt: revision });
  }
  return [...terms.values()].sort((a, b) => a.from - b.from);
}

/** Something that must not be in an audit log. */
export interface Breach {
  readonly write: AcceptedWrite;
  readonly why: string;
}

/**
 * Writes that were accepted although their process did not hold the epoch in force.
 * @param epochsOf epochs of a process by its user agent; `undefined` for writers that need no Lease
 */
export function findBreaches(
  { writes, terms }: Audit,
  epochsOf: (userAgent: string) => readonly number[] | undefined,
): Breach[] {
  return writes.flatMap((write): Breach[] => {
    const epochs = epochsOf(write.userAgent);
    const { revision } = write;
    if (epochs === undefined || revision === undefined) return [];
    const term = terms.findLast(({ from }) => from <= revision);
    const own = terms.find(({ epoch }) => epochs.includes(epoch));
    if (own === undefined) return [{ write, why: "its process never led" }];
    if (term === undefined || term.epoch < own.epoch) {
      // A write that changed nothing is answered with the version of an earlier one.
      return write.receivedAt < own.fromTime ? [{ write, why: `before it took epoch ${own.epoch}` }] : [];
    }
    if (term.epoch > own.epoch) {
      return [{ write, why: `epoch ${term.epoch} was in force since revision ${term.from}, not ${own.epoch}` }];
    }
    if (term.releasedAt !== undefined && revision > term.releasedAt) {
      return [{ write, why: `epoch ${term.epoch} had been given back at revision ${term.releasedAt}` }];
    }
    return [];
  });
}
