/** Object FeatureFlag `<name>-flags`: as it is seen, and as it is to be. */
import { ANNOTATIONS } from "../../../crds/group.ts";
import { parseRaisedFlags, type RaisedFlag } from "../../../crds/rollout-flags.ts";
import { canonicalJson } from "../../../lib/core/canonical.ts";
import { identityOf, type KubeObject, type ObjectIdentity, RESOURCES } from "../../../lib/kube/types.ts";
import { apply, remove } from "../../../operator/runtime/actions.ts";
import type { CacheReader, Write } from "../../../operator/runtime/types.ts";
import { ownedObject, ownLabels } from "../../kit/objects.ts";
import type { Target } from "../rollout.names.ts";
import type { FlagFacts, Progress, ReleaseFacts } from "../rollout.progress.ts";
import { shareText } from "../rollout.sentences.ts";
import { flagDefinition } from "./flag.ts";
import { raisedBps } from "./memory.ts";

const TYPE = RESOURCES.FeatureFlag;

/** The object, as it was last seen, and what else is known of its kind. */
export interface ObservedFlags extends FlagFacts {
  readonly object: ObjectIdentity | undefined;
  /** What promoted releases have raised, as the object itself remembers it. */
  readonly settled: readonly RaisedFlag[];
}

export function observeFlags(cache: CacheReader, { owner, spec, names }: Target): ObservedFlags {
  const isServed = cache.availability(TYPE, owner.namespace) === "served";
  const found = isServed ? cache.get(TYPE, owner.namespace, names.flags) : undefined;
  const labels = Object.entries(ownLabels(owner));
  const object = labels.every(([key, value]) => found?.metadata.labels?.[key] === value) ? found : undefined;
  const remembered = rememberedIn(object);
  const seen = flagsIn(object);
  // Whatever else of a flag is not as it is to be, its share does not count as written.
  const written = (spec.flags?.items ?? []).flatMap((item) => {
    const bps = remembered.find(({ key }) => key === item.key)?.bps ?? 0;
    return canonicalJson(seen[item.key]) === canonicalJson(flagDefinition(item, bps)) ? [[item.key, bps] as const] : [];
  });
  return {
    isServed,
    written: new Map(written),
    object: object === undefined ? undefined : identityOf(TYPE, object),
    settled: remembered.filter(({ state }) => state === "Settled"),
  };
}

function flagsIn(object: KubeObject | undefined): Readonly<Record<string, unknown>> {
  const { flagSpec } = (object?.["spec"] ?? {}) as { readonly flagSpec?: { readonly flags?: Record<string, unknown> } };
  return flagSpec?.flags ?? {};
}

function rememberedIn(object: KubeObject | undefined): readonly RaisedFlag[] {
  return parseRaisedFlags(object?.metadata.annotations?.[ANNOTATIONS.raised]);
}

/** The object as it is to be; none where the spec has no flags, or the cluster no such kind. */
export function flagActions(target: Target, seen: ObservedFlags, acting: Progress): readonly Write[] {
  const { flags } = target.spec;
  if (!seen.isServed) return [];
  if (flags === undefined) return seen.object === undefined ? [] : [remove(seen.object, "the spec has no flags")];
  if (isHeldOnItsWay(acting, target.spec)) return [];
  const definitions = flags.items.map((item) => [item.key, flagDefinition(item, raisedBps(acting, item.key))] as const);
  const object = ownedObject(target.owner, TYPE, target.names.flags, {
    annotations: { [ANNOTATIONS.raised]: JSON.stringify(acting.flags ?? []) },
    spec: { flagSpec: { flags: Object.fromEntries(definitions) } },
  });
  const shares = flags.items.map(({ key }) => `${key} ${shareText(raisedBps(acting, key))}`);
  return [apply(object, `flags on for: ${shares.join(", ")}`)];
}

/** A release that is held keeps what it was seen with; nothing that was on its way arrives. */
function isHeldOnItsWay({ phase, verifiedAt }: Progress, { paused }: ReleaseFacts["spec"]): boolean {
  return paused && phase === "Canary" && verifiedAt === undefined;
}
