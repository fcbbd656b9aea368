// Promise: the guide to releases is true. Its commands are run in their order, as a reader would, in one shell.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "@jest/globals";
import { ensureGateway } from "./gateway/gateways.ts";
import { ROOT, run } from "./run.ts";
import { suite } from "./suite.ts";

const GUIDE = "docs/guides/deployment.md";
const NAMESPACE = "guide";

suite("guide", [NAMESPACE], ({ cluster: present, prepare, promise }) => {
  prepare(async () => {
    await ensureGateway(present().name, "traefik");
  });

  promise(
    `[16] every command of ${GUIDE} does what the page says`,
    async () => {
      const script = commandsOf(readFileSync(join(ROOT, GUIDE), "utf8"));
      const finished = await run("bash", ["-euo", "pipefail", "-c", script], {
        env: {
          KUBECONFIG: present().kubeconfig,
          KUBECTL: join(ROOT, ".build/bin/kubectl"),
          PATH: `${join(ROOT, ".build/bin")}:${join(ROOT, "bin")}:${process.env["PATH"] ?? ""}`,
        },
        timeoutMs: 280_000,
      });
      const told = `${finished.stdout}\n${finished.stderr}`;
      if (finished.code !== 0)
        throw new Error(`the commands ended with ${String(finished.code)}:\n${told.slice(-4_000)}`);
      expect(told).toContain("it came back");
      expect(told).toContain("RolledBack");
    },
    300_000,
  );
});

/** All blocks of shell, one after the other. */
function commandsOf(page: string): string {
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block);
  expect(blocks.length).toBeGreaterThan(5);
  return `set -x\n${blocks.join("\n")}`;
}
