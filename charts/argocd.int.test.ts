// Trial 10: the health script for Argo CD, in the interpreter that Argo CD has (testkit/argocd-health), over statuses that our
// controllers really write. Argo CD itself does not run here.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { parse } from "yaml";
import { GROUP } from "../crds/group.ts";
import { KINDS } from "../crds/kinds.ts";
import type { KubeObject } from "../lib/kube/types.ts";
import { environment } from "../lib/node/env.ts";
import { toldStates } from "../testkit/told-states.ts";

const ROOT = join(import.meta.dirname, "..");
const PREFIX = `resource.customizations.health.${GROUP}_`;
/** A first build loads and compiles the interpreter. */
const BUILD_TIMEOUT_MS = 120_000;

const { data } = parse(readFileSync(join(ROOT, "charts/argocd/argocd-cm.yaml"), "utf8")) as {
  data: Record<string, string>;
};

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "shieldx-argocd-"));
  await promisify(execFile)("go", ["build", "-mod=readonly", "-o", join(folder, "health"), "."], {
    cwd: join(ROOT, "testkit/argocd-health"),
    env: { ...environment(), CGO_ENABLED: "0", GOWORK: "off" },
  });
}, BUILD_TIMEOUT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Answer {
  readonly status: string;
  readonly message: string;
}

async function healthOf(kind: string, objects: readonly KubeObject[]): Promise<readonly Answer[]> {
  const running = promisify(execFile)(join(folder, "health"));
  running.child.stdin?.end(JSON.stringify({ script: data[`${PREFIX}${kind}`], objects }));
  return JSON.parse((await running).stdout) as readonly Answer[];
}

test("there is a script for every kind, and nothing else", () => {
  expect(Object.keys(data).toSorted()).toEqual(KINDS.map(({ type }) => `${PREFIX}${type.kind}`).toSorted());
});

test.each(KINDS.map(({ type }) => type.kind))(
  "%s: each moment of its life has its health, and says why",
  async (kind) => {
    const states = (await toldStates()).filter(({ object }) => object.kind === kind);
    const answers = await healthOf(
      kind,
      states.map(({ object }) => object),
    );
    expect(states.map(({ name }, index) => [name, answers[index]?.status])).toEqual(
      states.map(({ name, health }) => [name, health]),
    );
    expect(answers.filter(({ message }) => message === "")).toEqual([]);
  },
);

test("a resource that nobody has looked at, whoever asked the server, is on its way", async () => {
  const metadata = { name: "bank", namespace: "demo", generation: 1 };
  const bare = { apiVersion: `${GROUP}/v1alpha1`, kind: "ShardSet", metadata };
  const answers = await healthOf("ShardSet", [bare, { ...bare, status: { observedGeneration: 1 } }]);
  expect(answers.map(({ status }) => status)).toEqual(["Progressing", "Progressing"]);
});
