/**
 * A replica of the widget operator as a process of its own, for items that need a real signal or a real stall. It takes a
 * `ReplicaOrder` as its argument, reports what happens to the parent by IPC, and ends with the manager's exit code.
 */
import { existsSync } from "node:fs";
import type { Transport } from "../../lib/kube/transport.ts";
import { createWidgetOperator } from "../widget-operator.ts";
import { createGate } from "./gate.ts";
import { startReplica } from "./replica.ts";
import type { ReplicaOrder, ReplicaReport } from "./replica-process.ts";

const order = JSON.parse(process.argv[2] ?? "{}") as ReplicaOrder;
const report = (what: ReplicaReport): void => void process.send?.(what);

/** Comes with the parent's message "release". */
const released = createGate();
process.on("message", released.open);

/** Nothing in this process runs until the file is there: neither timers nor answers. */
function blockEventLoop(untilFile: string): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (!existsSync(untilFile)) Atomics.wait(pause, 0, 0, 10);
}

/** Stalls the process between the first write of a child object and whatever would have come next. */
function stalling(transport: Transport): Transport {
  const { stall } = order;
  let isDone = stall === undefined;
  return {
    ...transport,
    send: async (request) => {
      const response = await transport.send(request);
      if (isDone || request.method !== "PATCH" || !request.path.includes("/configmaps/")) return response;
      isDone = true;
      report({ type: "stalled" });
      // The report leaves before the process stands still.
      await new Promise((resolve) => setImmediate(resolve));
      if (stall?.how === "stop") process.kill(process.pid, "SIGSTOP");
      else if (stall !== undefined) blockEventLoop(stall.untilFile);
      return response;
    },
  };
}

const replica = startReplica({
  ...order,
  link: {
    endpoint: (namespace = "default") => ({
      server: order.server,
      namespace,
      credentials: async () => ({ headers: {}, tls: {} }),
      forget: () => undefined,
    }),
    writes: () => [],
  },
  transport: stalling,
  controller: createWidgetOperator({
    stamp: ({ epoch }) => ({ epoch: String(epoch) }),
    before: async ({ name }, { signal }) => {
      report({ type: "began", name });
      signal.addEventListener("abort", () => report({ type: "aborted", name }), { once: true });
      if (name === order.hold) await released.opened;
      report({ type: "goes on", name });
    },
  }),
});
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void replica.stop());
process.exitCode = await replica.exited;
process.disconnect();
