/** The copies of configuration that are there, and those that a version still lacks. */
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { identityOf, type ObjectIdentity, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import type { CacheReader } from "../../operator/runtime/types.ts";
import { ownLabels } from "../kit/objects.ts";
import type { Target } from "./rollout.names.ts";
import { keyIn } from "./rollout.objects.ts";
import type { Progress } from "./rollout.progress.ts";
import { idOf, type SourceKind } from "./rollout.references.ts";
import type { SourceContent } from "./rollout.sources.ts";
import type { Copy, Unusable, Wanted } from "./rollout.template.ts";

/** Both kinds that are copied. */
const KINDS: readonly SourceKind[] = ["ConfigMap", "Secret"];

/** What was read to make copies of. */
export interface ReadSources {
  /** By `Kind/name` of the copy: exactly what it is to hold. */
  readonly contents: ReadonlyMap<string, SourceContent>;
  /** Why something is not among them, as a sentence. */
  readonly trouble: string | undefined;
}

export const NOTHING_READ: ReadSources = { contents: new Map(), trouble: undefined };

/** Copies of a Rollout, by `Kind/name`. */
export type CopiesThere = ReadonlyMap<string, ObjectIdentity>;

export function observeCopies(cache: CacheReader, { owner }: Target): CopiesThere {
  const labels = { ...ownLabels(owner), [LABELS.component]: COMPONENTS.configuration };
  const copies = KINDS.flatMap((kind) =>
    cache
      .list(RESOURCES[kind] as ResourceType, owner.namespace, labels)
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map((object) => [idOf({ kind, name: object.metadata.name }), identityOf(RESOURCES[kind], object)] as const),
  );
  return new Map(copies);
}

/** The key that names of copies depend on, if it was made. */
export function observeKey(cache: CacheReader, { owner, names }: Target): string | undefined {
  const labels = { ...ownLabels(owner), [LABELS.component]: COMPONENTS.configurationKey };
  const secret = cache
    .list(RESOURCES.Secret, owner.namespace, labels)
    .find(({ metadata }) => metadata.name === names.configurationKey);
  return secret && keyIn(secret);
}

/** What there is, and what is to be. */
interface Seen {
  readonly progress: Progress;
  readonly wanted: Wanted | Unusable;
  readonly copies: CopiesThere;
}

/**
 * Copies that the version of the spec is to have now and that are not there. Nothing is read for them while a release has a
 * share of the requests: a retreat waits for nobody.
 */
export function missingCopies({ progress, wanted, copies }: Seen): readonly Copy[] {
  const { phase, stable, canary } = progress;
  if (!("copies" in wanted) || (phase !== "Idle" && phase !== "Preparing")) return [];
  if (![stable?.revision, canary?.revision].includes(wanted.revision)) return [];
  return wanted.copies.filter((copy) => !copies.has(idOf(copy)));
}
