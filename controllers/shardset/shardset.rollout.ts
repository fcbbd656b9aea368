import type { SettingsVerdict } from "./shardset.settings.ts";
import type { ShardState } from "./shardset.shards.ts";

// Which pods that do not follow the spec go now. A deletion ends whatever PostgreSQL does in a pod, so the rules are about
// what is known of that, never about what is not:
//
//   no PostgreSQL works in it     goes at once: nobody loses anything, and a corrected spec heals what a wrong one broke
//   it accepts writes             goes alone, while every other shard accepts writes too
//   it starts or recovers         stays until it is through: a deletion would begin the recovery anew
//   its agent does not answer     stays: out of our reach is not down
//
// Settings are tried before. No pod goes for a spec whose settings PostgreSQL refuses, and none that accepts writes for
// settings that could not be tried.

/** What becomes of the pods that do not follow the spec. */
export interface Rollout {
  /** Shards whose pod goes now. */
  readonly goes: ReadonlySet<number>;
  /** Why others of them stay for now; `undefined` when nothing holds them up. */
  readonly waits: string | undefined;
}

/** @param stays shards whose pod must not be replaced, whatever the spec */
export function rolloutOf(shards: readonly ShardState[], stays: readonly number[], settings: SettingsVerdict): Rollout {
  // Told by itself: only another spec helps.
  if (settings.outcome === "refused") return { goes: new Set(), waits: undefined };
  const outdated = shards.filter(({ shard, difference }) => difference !== undefined && !stays.includes(shard));
  const idle = outdated.filter(({ activity }) => activity === "idle");
  const next = outdated.find(({ activity }) => activity === "serving");
  const inTheWay = shards.filter((state) => state !== next && state.activity !== "serving");
  const isTried = settings.outcome !== "unknown";
  const goes = [...idle, ...(next !== undefined && inTheWay.length === 0 && isTried ? [next] : [])];
  const waits = [
    ...(isTried ? [] : [`the settings of the spec could not be tried yet: ${settings.message}`]),
    ...waitsOf(outdated, inTheWay),
  ];
  return { goes: new Set(goes.map(({ shard }) => shard)), waits: waits.length === 0 ? undefined : waits.join("; ") };
}

function waitsOf(outdated: readonly ShardState[], inTheWay: readonly ShardState[]): string[] {
  const held = outdated.flatMap((state): string[] => {
    const pod = `pod ${podOf(state)} is not replaced while`;
    if (state.activity === "busy") return [`${pod} PostgreSQL starts, recovers, ends or hangs in it`];
    if (state.activity !== "unseen") return [];
    return [`${pod} its agent does not answer, since PostgreSQL may be at work in it; delete it if it is beyond help`];
  });
  const following = outdated.filter(({ activity }) => activity === "serving");
  return following.length === 0 || inTheWay.length === 0 ? held : [...held, followSentence(following, inTheWay)];
}

function followSentence(following: readonly ShardState[], inTheWay: readonly ShardState[]): string {
  const pods = following.map(podOf).join(", ");
  const shards = inTheWay.map(({ shard }) => shard).join(", ");
  return [
    following.length === 1 ? `pod ${pods} follows` : `pods ${pods} follow`,
    inTheWay.length === 1 ? `once shard ${shards} accepts writes` : `once shards ${shards} accept writes`,
  ].join(" ");
}

const podOf = ({ objects }: ShardState): string => objects.pod.metadata.name;
