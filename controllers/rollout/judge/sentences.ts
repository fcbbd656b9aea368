/** Numbers as the judge's sentences have them. */
import type { Tally } from "../../../crds/rollout-run.ts";

/** "12 of 1,000 (1.2 %)" */
export function tallyText({ bad, total }: Tally): string {
  return `${countText(bad)} of ${countText(total)} (${shareText(total === 0 ? 0 : bad / total)})`;
}

/** 12345 as "12,345" */
export function countText(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** 0.0123 as "1.23 %" */
export function shareText(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}

/** An e-value from its logarithm: "0.52", "412", "3.1e+17"; beyond the numbers of a computer as a power of ten. */
export function eText(logarithm: number): string {
  if (Math.abs(logarithm) > 600) return `1e${logarithm > 0 ? "+" : ""}${Math.round(logarithm / Math.LN10)}`;
  const value = Math.exp(logarithm);
  return value >= 1e6 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}
