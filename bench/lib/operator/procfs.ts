/** What the kernel says about a process (Linux). */
import { readFile } from "node:fs/promises";

/** Consumption of one process since its start. */
export interface Usage {
  readonly cpuSeconds: number;
  /** Resident memory now, MiB. */
  readonly rssMiB: number;
  /** Highest resident memory so far, MiB. */
  readonly peakMiB: number;
}

/** USER_HZ, the unit of /proc/PID/stat: 100 on every Linux that Node and Go run on. */
const TICKS_PER_SECOND = 100;

/** User and system time of a line of /proc/PID/stat, in seconds. The name in it may hold spaces and parentheses. */
export function parseCpuSeconds(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // Fields 14 and 15; the first after the name is field 3.
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** A size of /proc/PID/status, such as `VmRSS`, in MiB. @throws Error when it is not there */
export function parseMiB(status: string, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status);
  if (match === null) throw new Error(`/proc/PID/status has no ${field}`);
  return Number(match[1]) / 1024;
}

/** Reads the consumption of a living process. */
export async function readUsage(pid: number): Promise<Usage> {
  const [stat, status] = await Promise.all([
    readFile(`/proc/${pid}/stat`, "utf8"),
    readFile(`/proc/${pid}/status`, "utf8"),
  ]);
  return {
    cpuSeconds: parseCpuSeconds(stat),
    rssMiB: parseMiB(status, "VmRSS"),
    peakMiB: parseMiB(status, "VmHWM"),
  };
}
