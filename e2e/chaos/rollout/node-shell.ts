import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { KubeObject } from "../../../lib/kube/types.ts";
import { trackChild } from "../../../lib/node/testing/leftovers.ts";
import { engineOf } from "../../cluster.ts";

/** The processes of a pod, found before they are needed: to find them takes longer than a phase of a release may last. */
export interface ArmedPod {
  readonly name: string;
  /** Sends a signal to all of them but the sandbox; nothing in the pod gets a chance to say goodbye. */
  signal(signal: "KILL" | "STOP" | "CONT"): Promise<void>;
}

/** A shell on a node that stays open, so that a signal leaves within a millisecond or two. */
export interface NodeShell {
  /** @throws when the pod has no process */
  arm(pod: KubeObject): Promise<ArmedPod>;
  close(): void;
}

const END = "--end-of-answer--";

/** Opens a shell on a node. @throws when the cluster's nodes are not containers of this machine */
export async function openNodeShell(node: string): Promise<NodeShell> {
  const child = spawn(await engineOf(node), ["exec", "-i", node, "sh"], { stdio: ["pipe", "pipe", "inherit"] });
  trackChild(child);
  const lines = createInterface({ input: child.stdout });
  const output = lines[Symbol.asyncIterator]();
  let turn: Promise<unknown> = Promise.resolve();

  /** One command after the other: the answers come in the order of the questions. */
  const ask = (script: string): Promise<string[]> => {
    child.stdin.write(`${script}\necho ${END}\n`);
    const answer = turn.then(async () => {
      const told: string[] = [];
      for (;;) {
        const { done, value } = await output.next();
        if (done === true) throw new Error(`the shell on node ${node} has ended`);
        if (value === END) return told;
        told.push(value);
      }
    });
    turn = answer.catch(() => undefined);
    return answer;
  };

  return {
    arm: async (pod) => {
      const { name } = pod.metadata;
      const pids = await ask(processesOf(pod));
      if (pids.length === 0) throw new Error(`pod ${name} has no process on node ${node}`);
      return { name, signal: async (signal) => void (await ask(`kill -${signal} ${pids.join(" ")}`)) };
    },
    close: () => {
      child.stdin.end();
      lines.close();
    },
  };
}

function processesOf({ metadata }: KubeObject): string {
  // cgroup names write a pod's UID with dashes or, under systemd, with underscores.
  const uid = (metadata.uid ?? "none").replaceAll("-", "[-_]");
  return `for file in $(grep -ls 'pod${uid}' /proc/[0-9]*/cgroup); do
    pid=\${file#/proc/}; pid=\${pid%/cgroup}
    [ "$(cat /proc/$pid/comm)" = pause ] || echo "$pid"
  done`;
}
