import { type ChildProcess, fork } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ManagerOptions } from "../../operator/manager.ts";
import { eventually } from "../wait.ts";

/** What a replica in a process of its own is to do. */
export interface ReplicaOrder {
  /** URL of the link that it takes. */
  readonly server: string;
  readonly namespace: string;
  readonly identity: string;
  readonly lease: NonNullable<ManagerOptions["lease"]>;
  /** The reconcile of this widget waits until it is released. */
  readonly hold?: string;
  /** Stalls in the middle of a plan: after the first answer to a write of a child. */
  readonly stall?: { readonly how: "stop" } | { readonly how: "block"; readonly untilFile: string };
}

/** What it tells. */
export type ReplicaReport =
  | { readonly type: "began" | "aborted" | "goes on"; readonly name: string }
  | { readonly type: "stalled" };

/** A replica in a process of its own. */
export interface ReplicaProcess {
  /** In the order of their coming. */
  readonly reports: readonly ReplicaReport[];
  signal(name: NodeJS.Signals): void;
  /** Lets the held reconcile go on. */
  release(): void;
  /** Waits until the kernel has stopped it. */
  standsStill(): Promise<void>;
  /** The exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** Ends it by force if it has not ended. */
  kill(): Promise<void>;
}

const PROGRAM = join(import.meta.dirname, "replica-main.ts");

/** Starts it; it works at once. */
export function startReplicaProcess(order: ReplicaOrder): ReplicaProcess {
  const reports: ReplicaReport[] = [];
  // The flags of the test runner are not for it.
  const child: ChildProcess = fork(PROGRAM, [JSON.stringify(order)], { execArgv: [], stdio: "inherit" });
  child.on("message", (report) => reports.push(report as ReplicaReport));
  let hasExited = false;
  const exited = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      hasExited = true;
      resolve(code ?? signal ?? 1);
    });
  });
  return {
    reports,
    signal: (name) => void child.kill(name),
    release: () => void child.send("release"),
    standsStill: async () => {
      await eventually("the process stands still", async () => {
        const stat = await readFile(`/proc/${child.pid}/stat`, "utf8");
        return /\) T /.test(stat);
      });
    },
    exited,
    kill: async () => {
      if (hasExited) return;
      child.kill("SIGKILL");
      await exited;
    },
  };
}
