import { execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "@jest/globals";
import { RESOURCES } from "../../lib/kube/types.ts";
import { trackChild } from "../../lib/node/testing/leftovers.ts";
import { LEASE_NAME } from "../../operator/manager.ts";
import { eventually } from "../wait.ts";
import { type AcceptanceSuite, describeItem } from "./items.ts";

const ROOT = join(import.meta.dirname, "../..");
const TIMEOUT_MS = 60_000;

/** Item 10 on the product: needs an API server that knows its kinds, and kubectl. */
export function describeProgramItems(suite: AcceptanceSuite): void {
  describeItem(suite, 10, (server) => {
    it(
      "the program itself, with its own controllers",
      async () => {
        const { kubeconfig = "", namespace, user } = server();
        const crds = ["apply", "--filename", join(ROOT, "crds/generated"), "--kubeconfig", kubeconfig];
        await promisify(execFile)(join(ROOT, ".build/bin/kubectl"), crds);
        const images = ["--shieldx-image=example/shieldx:1", "--postgres-image=example/postgres:1"];
        const flags = ["--listen=0", `--kubeconfig=${kubeconfig}`, `--watch-namespaces=${namespace}`];
        const child = spawn(process.execPath, [join(ROOT, "operator/main.ts"), "controller", ...images, ...flags], {
          env: { SHIELDX_NAMESPACE: namespace },
          stdio: ["ignore", "pipe", "inherit"],
        });
        trackChild(child);
        let log = "";
        child.stdout.on("data", (data: Buffer) => (log += data.toString("utf8")));
        const exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
        try {
          const holder = async (): Promise<string> => {
            const lease = await user.find(RESOURCES.Lease, { namespace, name: LEASE_NAME });
            return lease?.spec?.holderIdentity ?? "";
          };
          await eventually("it leads", async () => (await holder()) !== "", TIMEOUT_MS / 2);
          child.kill("SIGTERM");
          expect(await exited).toBe(0);
          expect(await holder()).toBe("");
          expect(log).toContain("stop requested");
        } finally {
          child.kill("SIGKILL");
          await exited;
        }
      },
      TIMEOUT_MS,
    );
  });
}
