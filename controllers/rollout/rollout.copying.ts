/** What to do about copies of configuration: made before the version that reads them, removed after it. */
import type { Colour } from "../../crds/rollout-status.ts";
import { create, remove } from "../../operator/runtime/actions.ts";
import type { Write } from "../../operator/runtime/types.ts";
import type { Assessment } from "./rollout.assess.ts";
import { missingCopies } from "./rollout.copies.ts";
import { isUsable, runningRevisions } from "./rollout.decide.ts";
import { copyObject, keyObject } from "./rollout.objects.ts";
import { idOf, referencesIn } from "./rollout.references.ts";

/** Makes the key, or the copies that were read. */
export function makeCopies({ world, madeKey }: Assessment): Write[] {
  const { target, sources } = world;
  if (madeKey !== undefined) return [create(keyObject(target, madeKey), "names of copies depend on it")];
  return missingCopies(world).flatMap((copy) => {
    const content = sources.contents.get(idOf(copy));
    if (content === undefined) return [];
    return [create(copyObject(target, copy, content), `what this version reads of ${copy.kind} ${copy.source}`)];
  });
}

/** False for a version that is to wait for its copies: its pods would start with nothing to read. */
export function isReadable({ world, contents }: Assessment, colour: Colour): boolean {
  const { wanted, colours, sources } = world;
  const revision = contents[colour]?.revision;
  if (!isUsable(wanted) || wanted.revision !== revision || colours[colour]?.revision === revision) return true;
  return missingCopies(world).every((copy) => sources.contents.has(idOf(copy)));
}

/**
 * Removes copies that no version reads. While one that runs is not known to memory, as after a change of leaders, nothing
 * is removed: it may read any of them.
 */
export function forgetCopies({ world, next, acting }: Assessment): Write[] {
  const { versions, wanted, copies } = world;
  const known = isUsable(wanted) ? [...versions.values(), wanted] : [...versions.values()];
  const revisions = new Set(known.map(({ revision }) => revision));
  if (runningRevisions(world, [next, acting]).some((revision) => !revisions.has(revision))) return [];
  const used = new Set(known.flatMap(({ template }) => referencesIn(template.spec).map(idOf)));
  return [...copies]
    .filter(([id]) => !used.has(id))
    .map(([, copy]) => remove(copy, "no version reads this copy any more"));
}
