/** Processor time of trees of processes, from procfs: of this machine, and of containers and pods whose processes it shows. */
import { readdir, readFile } from "node:fs/promises";

/** USER_HZ, the unit of /proc/PID/stat: 100 on every Linux that Node runs on. */
const MICROS_PER_TICK = 10_000;

/** What /proc/PID/stat says of a process. */
export interface ProcessTimes {
  readonly pid: number;
  readonly name: string;
  readonly parent: number;
  /** Microseconds of the process itself, user and system. */
  readonly own: number;
  /** Microseconds of its children that have ended, and of theirs. */
  readonly ended: number;
}

/** Reads a line of /proc/PID/stat. The name in it may hold spaces and parentheses. */
export function parseStat(line: string): ProcessTimes {
  const [open, close] = [line.indexOf("("), line.lastIndexOf(")")];
  const fields = line.slice(close + 2).split(" ");
  const ticks = (field: number): number => Number(fields[field - 3]) * MICROS_PER_TICK;
  return {
    pid: Number(line.slice(0, open)),
    name: line.slice(open + 1, close),
    parent: Number(fields[1]),
    own: ticks(14) + ticks(15),
    ended: ticks(16) + ticks(17),
  };
}

/** Every process that this machine shows. */
export async function readProcesses(): Promise<ProcessTimes[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readText(`/proc/${pid}/stat`)));
  return lines.filter((line) => line !== "").map(parseStat);
}

/** Empty for a process that has just ended. */
async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}

/** Microseconds of a process and all that it started, also of what has ended since; `undefined` when it is not there. */
export function treeMicros(processes: readonly ProcessTimes[], root: number): number | undefined {
  const found = processes.find(({ pid }) => pid === root);
  if (found === undefined) return undefined;
  const children = processes.filter(({ parent }) => parent === root);
  return children.reduce((sum, { pid }) => sum + (treeMicros(processes, pid) ?? 0), found.own + found.ended);
}

/**
 * A process of a pod, by its command line (arguments with a blank between them).
 * @returns its pid on this machine; `undefined` when the machine does not show the pod's processes
 */
export async function findInPod(podUid: string, isWanted: (command: string) => boolean): Promise<number | undefined> {
  // systemd's names of control groups have no hyphens.
  const marks = [podUid, podUid.replaceAll("-", "_")].map((uid) => `pod${uid}`);
  for (const { pid } of await readProcesses()) {
    const groups = await readText(`/proc/${pid}/cgroup`);
    if (!marks.some((mark) => groups.includes(mark))) continue;
    if (isWanted((await readText(`/proc/${pid}/cmdline`)).replaceAll("\0", " "))) return pid;
  }
  return undefined;
}

/** Microseconds of the two programs under a stage since they began. */
export interface StageMicros {
  /** All servers, with every process of theirs; pgbench is none of them. */
  readonly postgres: number;
  readonly ledger: number;
}

/** @param roots pids of the servers, and of the ledger's process; @returns `undefined` when one of them is not seen */
export async function stageMicros(roots: {
  readonly postgres: readonly number[];
  readonly ledger: number;
}): Promise<StageMicros | undefined> {
  const processes = await readProcesses();
  const ledger = treeMicros(processes, roots.ledger);
  const servers = roots.postgres.map((pid) => treeMicros(processes, pid));
  if (ledger === undefined || servers.includes(undefined)) return undefined;
  return { ledger, postgres: servers.reduce((sum: number, micros) => sum + (micros ?? 0), 0) };
}

/** Microseconds of a stage's programs and of this process. */
export interface MeterSum extends StageMicros {
  readonly client: number;
}

/** Adds up the processor time of what it is put around. */
export interface Meter {
  around<T>(work: () => Promise<T>): Promise<T>;
  /** `undefined` where this machine does not show the processes. */
  sum(): MeterSum | undefined;
}

export function createMeter(stage: { processorTime(): Promise<StageMicros | undefined> }): Meter {
  let sum: MeterSum | undefined = { postgres: 0, ledger: 0, client: 0 };
  const now = async (): Promise<MeterSum | undefined> => {
    const { user, system } = process.cpuUsage();
    const micros = await stage.processorTime();
    return micros === undefined ? undefined : { ...micros, client: user + system };
  };
  return {
    around: async (work) => {
      const before = await now();
      const result = await work();
      const after = await now();
      if (sum === undefined || before === undefined || after === undefined) sum = undefined;
      else {
        sum = {
          postgres: sum.postgres + after.postgres - before.postgres,
          ledger: sum.ledger + after.ledger - before.ledger,
          client: sum.client + after.client - before.client,
        };
      }
      return result;
    },
    sum: () => sum,
  };
}

/** Microseconds by part: PostgreSQL, the ledger, ... */
export type MicrosByPart = Readonly<Partial<Record<"postgres" | "ledger" | "client" | "pgbench", number>>>;

/** NaN where nothing was seen. */
export function sumOfMicros(parts: MicrosByPart | undefined): number {
  return parts === undefined ? Number.NaN : Object.values(parts).reduce((sum, part) => sum + part, 0);
}

/** Parts and their sum, for the printed table. */
export function shownMicros(parts: MicrosByPart | undefined): string {
  if (parts === undefined) return "not seen from here";
  const shown = Object.values(parts).map((part) => part.toFixed(1));
  return `${shown.join(" + ")} = ${sumOfMicros(parts).toFixed(1)}`;
}
