import type { Observer } from "./observer.ts";
import type { User } from "./user.ts";
import type { LeaseTimes, World } from "./world.ts";

export interface RuntimeChaosOptions {
  readonly seed: number;
  /** How long faults are made. */
  readonly seconds: number;
  readonly widgets: number;
  /** Seconds: Lease, renew deadline, retry. */
  readonly leaseTimes: LeaseTimes;
  /** Whatever connections are open are cut this often: at least, and a random part more; real seconds. */
  readonly cutSeconds: { readonly min: number; readonly spread: number };
  /** Names of the faults of one round, in a seeded order; all unless told. */
  readonly faults?: readonly string[];
  /** How long nothing may be written at the end. */
  readonly restSeconds: number;
  /** Told what happens. */
  readonly say: (line: string) => void;
}

/** One thing that had to hold. */
export interface Finding {
  readonly what: string;
  readonly ok: boolean;
  /** With its numbers. */
  readonly value: string;
}

export interface RuntimeChaosReport {
  readonly seed: number;
  readonly findings: readonly Finding[];
  /** Counts and times that decide nothing. */
  readonly figures: Readonly<Record<string, number | string>>;
  /** Folder with the logs; only after a failure. */
  readonly evidence: string | undefined;
}

/** One run, from its start to its verdict. */
export interface ChaosRun {
  readonly options: RuntimeChaosOptions;
  readonly world: World;
  readonly user: User;
  readonly observer: Observer;
  readonly random: () => number;
  readonly findings: Finding[];
  readonly figures: Record<string, number | string>;
  readonly struck: string[];
  /** No connections are cut. */
  quiet: boolean;
}
