/** A progress line for people: redrawn on a terminal, now and then a plain line elsewhere. */
import type { Clock } from "../../lib/core/clock.ts";

export interface ProgressOptions {
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
  readonly clock: Clock;
  /** What is counted, for example "rows". */
  readonly unit: string;
}

export interface ProgressLine {
  /** @param part of the whole, 0 to 1 */
  update(done: number, part: number): void;
  /** Removes the line from the terminal. */
  end(): void;
}

const REDRAW_MS = 100;
const PLAIN_MS = 5_000;
const BAR_WIDTH = 24;

export function createProgressLine(options: ProgressOptions): ProgressLine {
  const { write, isTerminal, clock, unit } = options;
  const startedAt = clock.monotonic();
  let drawnAt = startedAt;
  let drawn = false;
  return {
    update: (done, part) => {
      const now = clock.monotonic();
      if (now - drawnAt < (isTerminal ? REDRAW_MS : PLAIN_MS)) return;
      drawnAt = now;
      drawn = true;
      const seconds = (now - startedAt) / 1000;
      const text = progressText({ done, part: Math.min(1, part), seconds, unit });
      write(isTerminal ? `\r\u001b[K${text}` : `${text}\n`);
    },
    end: () => {
      if (drawn && isTerminal) write("\r\u001b[K");
    },
  };
}

/** One line: bar, share, count, rate, time left. */
export function progressText(state: { done: number; part: number; seconds: number; unit: string }): string {
  const { done, part, seconds, unit } = state;
  const filled = Math.round(part * BAR_WIDTH);
  const bar = `${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}`;
  const rate = Math.round(done / Math.max(seconds, 1e-3));
  const left = part > 0 ? `${formatSeconds((seconds * (1 - part)) / part)} left` : "time left unknown";
  return `[${bar}] ${String(Math.floor(part * 100)).padStart(3)} %  ${done} ${unit}  ${rate} ${unit}/s  ${left}`;
}

function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
