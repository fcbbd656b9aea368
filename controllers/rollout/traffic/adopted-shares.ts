/** Weights of a rule in which both colours stand in for one Service, while all other backends keep their share exactly. */
import { WHOLE_BPS } from "../../../crds/rollout-ladder.ts";
import type { Colour } from "../../../crds/rollout-status.ts";

type ByColour = Readonly<Record<Colour, number>>;

/** Weights of the rule as its owner wrote it. */
export interface OwnWeights {
  /** Of the Service whose place the colours take. */
  readonly own: number;
  /** Of all other backends, in their order. */
  readonly others: readonly number[];
}

export interface SharedWeights {
  readonly colours: ByColour;
  readonly others: readonly number[];
}

/** The largest weight of the Gateway API. */
const WEIGHT_MAX = 1_000_000;

/**
 * Weights that give each colour its part of the Service's share. Where there are other backends, all weights are multiplied alike: by
 * 10 000, so that the others need not change from step to step, or by less where that is too much.
 * @param shares of the colours, in basis points
 * @returns `undefined` where no weights of the Gateway API say exactly that
 */
export function sharedWeights({ own, others }: OwnWeights, shares: ByColour): SharedWeights | undefined {
  if (others.every((weight) => weight === 0)) return { colours: shares, others };
  const part = divisor([own, ...others]);
  const exact = {
    colours: { Blue: (own / part) * shares.Blue, Green: (own / part) * shares.Green },
    others: others.map((weight) => (weight / part) * WHOLE_BPS),
  };
  const isSmall = (most: number): boolean => [...listOf(exact), (own / part) * WHOLE_BPS].every((it) => it <= most);
  const by = isSmall(WEIGHT_MAX) ? 1 : divisor(listOf(exact));
  const { colours } = exact;
  const reduced = {
    colours: { Blue: colours.Blue / by, Green: colours.Green / by },
    others: exact.others.map((weight) => weight / by),
  };
  return listOf(reduced).every((weight) => weight <= WEIGHT_MAX) ? reduced : undefined;
}

/** What a Service would have instead of the colours, in the smallest numbers that say the same. */
export function joinedWeights({ colours, others }: SharedWeights): OwnWeights {
  const own = colours.Blue + colours.Green;
  const by = divisor([own, ...others]);
  return { own: own / by, others: others.map((weight) => weight / by) };
}

/** Shares of the colours, in basis points, of all that goes to either. */
export function sharesIn({ Blue, Green }: ByColour): ByColour {
  const all = Blue + Green;
  if (all === 0) return { Blue: 0, Green: 0 };
  const blue = Math.round((Blue * WHOLE_BPS) / all);
  return { Blue: blue, Green: WHOLE_BPS - blue };
}

function listOf({ colours, others }: SharedWeights): readonly number[] {
  return [colours.Blue, colours.Green, ...others];
}

/** The greatest common divisor of all that are not 0; 1 where all are. */
function divisor(weights: readonly number[]): number {
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  return Math.max(1, weights.reduce(common, 0));
}
