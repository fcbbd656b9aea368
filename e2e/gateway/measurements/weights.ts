import { backendRefs } from "../routes.ts";
import { byVersion, CANARY, failures, STABLE, type Stage } from "./stage.ts";

/** Half-width of the band, in standard deviations of a binomial share: one run of a thousand falls outside by chance. */
const SIGMAS = 3.29;
const RATE = 1000;

/** Shares of the canary that are set (basis points), and requests for each. */
const CASES = [
  { bps: 100, requests: 20_000 },
  { bps: 2500, requests: 5_000 },
] as const;

/** Whether the share that is served is the one that is set. */
export async function weights(stage: Stage): Promise<unknown> {
  const shares = [];
  for (const { bps, requests } of CASES) {
    await stage.route([
      {
        backendRefs: backendRefs([
          [STABLE, 10_000 - bps],
          [CANARY, bps],
        ]),
      },
    ]);
    const load = await stage.load({ rate: RATE, seconds: requests / RATE });
    const { counts, sent } = await load.ended();
    await load.stop();
    const share = bps / 10_000;
    const band = SIGMAS * Math.sqrt(sent * share * (1 - share));
    const canary = byVersion(counts)[CANARY] ?? 0;
    shares.push({
      bps,
      sent,
      canary,
      band: [Math.ceil(sent * share - band), Math.floor(sent * share + band)],
      within: Math.abs(canary - sent * share) <= band,
      failures: failures(counts),
    });
  }
  return shares;
}
