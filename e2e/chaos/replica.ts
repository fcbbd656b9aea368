import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, type WriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { systemClock } from "../../lib/core/clock.ts";
import { trackChild } from "../../lib/node/testing/leftovers.ts";
import { waitFor } from "../run.ts";

/** What a replica's process holds, in MiB. */
export interface Memory {
  readonly residentMiB: number;
  readonly heapMiB: number;
}

/** How a process ended. */
export interface ReplicaEnd {
  /** `undefined` after SIGKILL. */
  readonly code: number | undefined;
  /** `end` was called. */
  readonly asked: boolean;
  /** It had led and said that it lost the Lease. */
  readonly lostLease: boolean;
}

/** One place for an operator process, as a pod is: its processes follow each other under the same identity. */
export interface Replica {
  readonly identity: string;
  /** Starts a process; nothing when one runs. */
  start(): void;
  isRunning(): boolean;
  /** It says itself that it leads. */
  isLeader(): boolean;
  signal(name: NodeJS.Signals): void;
  /** Sends a signal that ends it, and waits for the end. */
  end(name: "SIGKILL" | "SIGTERM"): Promise<ReplicaEnd | undefined>;
  /** Resolves when the present process has ended; at once, with `undefined`, when none runs. */
  ended(): Promise<ReplicaEnd | undefined>;
  /** For how long the present process has run. */
  ageSeconds(): number;
  /** What remains after a collection of garbage. */
  memory(): Promise<Memory>;
  /** Processes of this replica so far. */
  processes(): readonly ReplicaProcess[];
  /** Ends the process in order. */
  stop(): Promise<ReplicaEnd | undefined>;
}

/** One process of a replica. */
export interface ReplicaProcess {
  /** User agent of its requests; no other process has it. */
  readonly userAgent: string;
  /** Fencing epochs under which it led, by its own word. */
  readonly epochs: readonly number[];
}

export interface ReplicaOptions {
  readonly identity: string;
  /** `https://127.0.0.1:port` */
  readonly server: string;
  /** Folder with `token`, `ca.crt` and `namespace`. */
  readonly serviceAccount: string;
  /** Seconds: Lease, renew deadline, retry. */
  readonly lease: readonly [number, number, number];
  /** Port of probes and metrics. */
  readonly port: number;
  /** Where the log goes. */
  readonly directory: string;
}

const PROGRAM = resolve(import.meta.dirname, "../../testkit/widget-main.ts");
/** Two collections: the first one lets finalizers run. */
const COLLECTIONS = 2;
const COLLECTION_MS = 700;
const METRICS_TIMEOUT_MS = 15_000;
const MIB = 2 ** 20;

interface Running {
  readonly child: ChildProcess;
  readonly startedAt: number;
  readonly ended: Promise<ReplicaEnd>;
  readonly epochs: number[];
  leading: boolean;
  lostLease: boolean;
  asked: boolean;
}

/** Nothing runs before `start`. */
export function createReplica(options: ReplicaOptions): Replica {
  const { identity } = options;
  const processes: ReplicaProcess[] = [];
  const log = createWriteStream(join(options.directory, `${identity}.log`), { flags: "a" });
  let running: Running | undefined;

  const start = (): void => {
    if (running !== undefined) return;
    const userAgent = `chaos/${identity}.${processes.length + 1}`;
    const child = spawn(
      process.execPath,
      [
        ...["--disable-warning=ExperimentalWarning", "--expose-gc", PROGRAM],
        ...["--server", options.server, "--service-account", options.serviceAccount, "--namespaces", "default"],
        ...["--identity", identity, "--user-agent", userAgent, "--lease", options.lease.join(",")],
        ...["--listen", String(options.port), "--clean-up"],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    trackChild(child);
    log.write(`--- process ${child.pid} as ${userAgent}\n`);
    const epochs: number[] = [];
    const ended = new Promise<ReplicaEnd>((done) => {
      child.once("close", (code, signal) => {
        log.write(`--- process ${child.pid} ended with ${code ?? signal}\n`);
        running = undefined;
        done({ code: code ?? undefined, asked: current.asked, lostLease: current.lostLease });
      });
    });
    const startedAt = systemClock.monotonic();
    const current: Running = { child, startedAt, ended, epochs, leading: false, lostLease: false, asked: false };
    follow(child, log, (message, epoch) => {
      if (message === "lease held" && epoch !== undefined) epochs.push(epoch);
      if (message === "lease held") current.leading = true;
      if (message !== "lease lost") return;
      current.leading = false;
      current.lostLease = true;
    });
    processes.push({ userAgent, epochs });
    running = current;
  };

  const ended = (): Promise<ReplicaEnd | undefined> => running?.ended ?? Promise.resolve(undefined);
  const end = async (name: "SIGKILL" | "SIGTERM"): Promise<ReplicaEnd | undefined> => {
    const current = running;
    if (current === undefined) return undefined;
    current.asked = true;
    current.child.kill(name);
    return current.ended;
  };

  return {
    identity,
    start,
    isRunning: () => running !== undefined,
    isLeader: () => running?.leading === true,
    signal: (name) => void running?.child.kill(name),
    end,
    ended,
    ageSeconds: () => (running === undefined ? 0 : (systemClock.monotonic() - running.startedAt) / 1000),
    memory: async () => {
      // A process that has only begun would be ended by the signal; one that serves handles it.
      await metricsText(options.port);
      for (let count = 0; count < COLLECTIONS; count += 1) {
        running?.child.kill("SIGUSR2");
        await systemClock.sleep(COLLECTION_MS);
      }
      const metrics = await metricsText(options.port);
      const status = await readFile(`/proc/${running?.child.pid}/status`, "utf8");
      return {
        residentMiB: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024,
        heapMiB: Number(/^nodejs_heap_size_used_bytes ([\d.e+]+)/m.exec(metrics)?.[1]) / MIB,
      };
    },
    processes: () => processes,
    stop: async () => {
      running?.child.kill("SIGCONT");
      const how = await end("SIGTERM");
      log.end();
      return how;
    },
  };
}

/** Waits until there are some. */
function metricsText(port: number): Promise<string> {
  return waitFor("metrics", METRICS_TIMEOUT_MS, async () => {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    return response.text();
  });
}

/** Keeps each line of a process, and reads the messages of its structured log. */
function follow(child: ChildProcess, log: WriteStream, on: (message: string, epoch: number | undefined) => void): void {
  child.stderr?.on("data", (data: Buffer) => log.write(data));
  if (child.stdout === null) return;
  createInterface({ input: child.stdout }).on("line", (line) => {
    log.write(`${line}\n`);
    const [, message] = /"message":"([^"]*)"/.exec(line) ?? [];
    const [, epoch] = /"epoch":(\d+)/.exec(line) ?? [];
    if (message !== undefined) on(message, epoch === undefined ? undefined : Number(epoch));
  });
}
