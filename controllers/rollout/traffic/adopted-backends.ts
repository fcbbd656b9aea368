/** The backends of an adopted rule: with both colours in the place of the Service, and with the Service back again. */

import type { Colour } from "../../../crds/rollout-status.ts";
import { contentHash } from "../../../lib/core/canonical.ts";
import { COLOURS } from "../rollout.names.ts";
import { type BackendRef, colourOfRef, isBackend, type Place } from "./adopted-rule.ts";
import { joinedWeights, type SharedWeights, sharedWeights, sharesIn } from "./adopted-shares.ts";

type ByColour = Readonly<Record<Colour, number>>;

/** What the owner of the route wrote. */
export interface Original {
  /** The backend whose place the colours take. */
  readonly backend: BackendRef;
  /** Weights of all other backends, in their order. */
  readonly others: readonly number[];
}

/** What is remembered of a rule: how it was, and how it was left. */
export interface Adoption extends Original {
  /** Index of the rule. */
  readonly rule: number;
  /** Hash of the backends that were written last. */
  readonly written: string;
  /** Weights of the other backends that were written last. */
  readonly writtenOthers: readonly number[];
}

/** Weight of a backend of which none is told. */
const DEFAULT_WEIGHT = 1;

function weightOf({ weight }: BackendRef): number {
  return weight ?? DEFAULT_WEIGHT;
}

/** What the colours have now, and what the others have. */
export function weightsNow(refs: readonly BackendRef[], place: Place): SharedWeights {
  const of = (colour: Colour): number =>
    refs.filter((ref) => colourOfRef(ref, place) === colour).reduce((sum, ref) => sum + weightOf(ref), 0);
  return { colours: { Blue: of("Blue"), Green: of("Green") }, others: othersOf(refs, place).map(weightOf) };
}

/** Shares of the colours, in basis points; absent where the Service has its place. */
export function sharesNow(refs: readonly BackendRef[], place: Place): ByColour | undefined {
  return refs.some((ref) => isBackend(ref, place)) ? undefined : sharesIn(weightsNow(refs, place).colours);
}

function othersOf(refs: readonly BackendRef[], place: Place): readonly BackendRef[] {
  return refs.filter((ref) => !isOurs(ref, place));
}

function isOurs(ref: BackendRef, place: Place): boolean {
  return isBackend(ref, place) || colourOfRef(ref, place) !== undefined;
}

/**
 * What the owner wants of the backends. As long as the Service is there it is what is written; afterwards what is remembered, and
 * where somebody has changed the others since, the share that they have now.
 */
export function originalOf(refs: readonly BackendRef[], place: Place, kept: Original & Partial<Adoption>): Original {
  const now = weightsNow(refs, place);
  const backend = refs.find((ref) => isBackend(ref, place));
  if (backend !== undefined) return { backend, others: now.others };
  const isAsLeft = now.others.join() === (kept.writtenOthers ?? kept.others).join();
  if (isAsLeft) return { backend: kept.backend, others: kept.others };
  if (now.colours.Blue + now.colours.Green === 0) return { backend: kept.backend, others: now.others };
  const { own, others } = joinedWeights(now);
  return { backend: { ...kept.backend, weight: own }, others };
}

/** What nobody remembers: the Service in the place of a colour, with the share that the colours have. */
export function guessedOriginal(refs: readonly BackendRef[], place: Place): Original | undefined {
  const colour = refs.find((ref) => colourOfRef(ref, place) !== undefined);
  if (colour === undefined) return undefined;
  const { own, others } = joinedWeights(weightsNow(refs, place));
  return { backend: { ...colour, name: place.backend, weight: own }, others };
}

/**
 * Backends with both colours in the place of the Service, in its port unless a colour has others.
 * @returns `undefined` where the shares cannot be told in weights
 */
export function adoptedRefs(
  refs: readonly BackendRef[],
  place: Place,
  how: { readonly original: Original; readonly shares: ByColour; readonly ports: ByColour },
): readonly BackendRef[] | undefined {
  const { backend } = how.original;
  const weights = sharedWeights({ own: weightOf(backend), others: how.original.others }, how.shares);
  if (weights === undefined) return undefined;
  const colours = COLOURS.map((colour) => ({
    ...backend,
    name: place.colours[colour],
    port: how.ports[colour],
    weight: weights.colours[colour],
  }));
  return withInstead(refs, place, { refs: colours, others: weights.others });
}

/** Backends as the owner wrote them. */
export function returnedRefs(refs: readonly BackendRef[], place: Place, original: Original): readonly BackendRef[] {
  return withInstead(refs, place, { refs: [original.backend], others: original.others });
}

/** Others keep their place and all that they say, but for the weight. */
function withInstead(
  refs: readonly BackendRef[],
  place: Place,
  instead: { readonly refs: readonly BackendRef[]; readonly others: readonly number[] },
): readonly BackendRef[] {
  const at = refs.findIndex((ref) => isOurs(ref, place));
  const others = othersOf(refs, place).map((ref, index) => {
    const weight = instead.others[index] ?? weightOf(ref);
    return weight === weightOf(ref) ? ref : { ...ref, weight };
  });
  const before = at === -1 ? others.length : at;
  return [...others.slice(0, before), ...instead.refs, ...others.slice(before)];
}

/** Tells lists of backends apart. */
export function refsHash(refs: readonly BackendRef[]): string {
  return contentHash(refs.map((ref) => ({ group: "", kind: "Service", weight: DEFAULT_WEIGHT, ...ref })));
}
