// Goal: what people type works on a real API server: shown, asked for, answered, refused; as shieldx and as a plugin of
// kubectl. A loop of a few lines stands for the controller.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { parse } from "yaml";
import { goOnCommand } from "../controllers/rollout/rollout.sentences.ts";
import { KINDS } from "../crds/kinds.ts";
import { ROLLOUT } from "../crds/rollout.ts";
import { type RolloutRequest } from "../crds/rollout-request.ts";
import { type RolloutStatus } from "../crds/rollout-status.ts";
import { serveKinds } from "../crds/testing/served.ts";
import { isOperatorError } from "../lib/core/errors.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import { RESOURCES } from "../lib/kube/types.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";
import { makeNamespace } from "../testkit/namespaces.ts";
import { eventually } from "../testkit/wait.ts";
import { EXAMPLES } from "./rollout/convert/testing/examples.ts";
import { RELEASING, rolloutOf } from "./rollout/testing/rollouts.ts";

const ROOT = resolve(import.meta.dirname, "..");
const SHIELDX = join(ROOT, "bin/shieldx");
const KUBECTL = join(ROOT, ".build/bin/kubectl");
const PLACE = { namespace: "default", name: "shop" };

let plane: TestControlPlane;
let kube: KubeClient;
let folder = "";
let path = "";

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string, args: readonly string[], input = ""): Promise<Ended> {
  const environment = { PATH: path, HOME: folder, KUBECONFIG: plane.kubeconfig };
  return new Promise((done) => {
    const child = execFile(program, args, { timeout: 60_000, env: environment }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr });
    });
    child.stdin?.on("error", () => undefined).end(input);
  });
}

function startFollowing() {
  const child = spawn(SHIELDX, ["rollout", "status", "shop", "--until-done"], {
    env: { PATH: path, HOME: folder, KUBECONFIG: plane.kubeconfig },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let stdout = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  return { ended: once(child, "exit"), stdout: () => stdout, interrupt: () => void child.kill("SIGINT") };
}

const rollout = (...args: string[]): Promise<Ended> => run(SHIELDX, ["rollout", ...args]);

async function setStatus(status: object): Promise<void> {
  await kube.patch(ROLLOUT, PLACE, { format: "merge", patch: { status }, subresource: "status" });
}

/** Answers requests as a controller does: Skip is refused, all else done. */
function startAnswering(): () => Promise<void> {
  const stop = new AbortController();
  const { signal } = stop;
  const working = (async () => {
    // The server ends a watch now and then.
    while (!signal.aborted) {
      const { resourceVersion } = await kube.list(ROLLOUT, { namespace: PLACE.namespace });
      await answer();
      for await (const _ of kube.watch(ROLLOUT, { namespace: PLACE.namespace, resourceVersion, signal }))
        await answer();
    }
  })().catch((error: unknown) => {
    if (!isOperatorError(error, "ABORTED")) throw error;
  });
  return async () => {
    stop.abort();
    await working;
  };
}

async function answer(): Promise<void> {
  const { metadata, spec, status } = await kube.get(ROLLOUT, PLACE);
  const { generation = 0 } = metadata;
  if (status?.observedGeneration !== generation) await setStatus({ observedGeneration: generation });
  const { request } = spec;
  if (request !== undefined && request.id !== status?.lastRequest?.id) await setStatus(answerTo(request));
}

function answerTo({ id, action, stage }: RolloutRequest): Partial<RolloutStatus> {
  const told = { id, action, at: "2026-03-01T12:00:00.000Z" };
  if (action === "Skip") return { lastRequest: { ...told, result: "Refused", message: "no stage is being judged" } };
  return { lastRequest: { ...told, result: "Done", message: `carried out, stage ${String(stage ?? "none")}` } };
}

/** What was said before the kind was there. */
const withoutKind: Ended[] = [];
let stopAnswering: () => Promise<void>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "shieldx-verbs-"));
  await mkdir(join(folder, "bin"));
  path = [join(folder, "bin"), process.env["PATH"] ?? ""].join(delimiter);
  plane = await startControlPlane();
  kube = plane.client();
  for (const args of [["list"], ["status", "shop"], ["promote", "shop"]]) withoutKind.push(await rollout(...args));
  await serveKinds(kube, KINDS);
  const { spec } = rolloutOf();
  for (const name of ["shop", "alone"]) {
    const metadata = { namespace: "default", name };
    await kube.create(ROLLOUT, { apiVersion: ROLLOUT.apiVersion, kind: ROLLOUT.kind, metadata, spec });
  }
  stopAnswering = startAnswering();
});
beforeEach(() => setStatus({ ...RELEASING, releases: null }));
afterAll(async () => {
  await stopAnswering();
  await plane.stop();
  await rm(folder, { recursive: true });
});

describe("shieldx rollout", () => {
  it("says that the kind is not installed", () => {
    for (const { code, stderr } of withoutKind) {
      expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("KUBE_NOT_SERVED") });
      expect(stderr).toContain("Install the CRD");
    }
    expect(withoutKind).toHaveLength(3);
  });

  it("shows them", async () => {
    const [list, status] = await Promise.all([rollout("list", "-A"), rollout("status", "shop")]);
    expect(list).toMatchObject({ code: 0, stderr: "" });
    expect(list.stdout).toMatch(
      /^NAMESPACE .*\ndefault +alone .*\ndefault +shop +Canary +2\/5 +5 % +Inconclusive +aaaa000000 +bbbb000000 /,
    );
    expect(status).toMatchObject({ code: 0, stderr: "" });
    expect(status.stdout).toContain("ladder    1 % > [5 %] > 25 % > 50 % > 100 % > bake 5m\n");
    expect(status.stdout).toContain("there is no Deployment shop-blue");
    expect(status.stdout).toContain("next      shieldx rollout abort shop -n default   takes it back\n");
  });

  it("shows them as the server has them", async () => {
    const json = JSON.parse((await rollout("status", "shop", "-o", "json")).stdout) as object;
    expect(json).toMatchObject({ kind: "Rollout", metadata: PLACE, status: { phase: "Canary" } });
    const list = parse((await rollout("list", "-n", "default", "-o", "yaml")).stdout) as object;
    expect(list).toMatchObject({ kind: "List", items: [{}, { kind: "Rollout", metadata: PLACE }] });
  });

  it("asks, and tells what became of it", async () => {
    const promoted = await rollout("promote", "shop", "-n", "default");
    expect(promoted).toMatchObject({ code: 0, stderr: "" });
    expect(promoted.stdout).toMatch(
      /^Rollout default\/shop: asked for Promote \(request promote-\w{8}\)\ndone: carried out/,
    );
    expect((await rollout("promote", "shop", "--full")).stdout).toContain("asked for PromoteFull");
    expect((await rollout("jump", "shop", "--stage", "3")).stdout).toContain("done: carried out, stage 2\n");
    expect((await rollout("abort", "shop")).stdout).toContain("done: carried out, stage none\n");
    expect((await rollout("retry", "shop", "--no-wait")).stdout).toMatch(/^[^\n]* asked for Retry [^\n]*\n$/);
  });

  it("takes the commands that the controller names", async () => {
    const [, , ...args] = goOnCommand(PLACE).split(" ");
    expect((await rollout(...args)).stdout).toContain("done: carried out, stage none\n");
  });

  it("holds and lets go", async () => {
    const paused = await rollout("pause", "shop");
    expect(paused).toMatchObject({ code: 0, stderr: "" });
    expect((await kube.get(ROLLOUT, PLACE)).spec.paused).toBe(true);
    expect((await rollout("resume", "shop")).stdout).toContain("done: the release is no longer held\n");
    expect((await kube.get(ROLLOUT, PLACE)).spec.paused).toBe(false);
  });

  it("takes nothing from whoever applies the rest of the spec", async () => {
    await rollout("pause", "shop", "--no-wait");
    await rollout("resume", "shop", "--no-wait");
    await rollout("retry", "shop", "--no-wait");
    const { metadata } = await kube.get(ROLLOUT, PLACE);
    const fields = metadata["managedFields"] as readonly { manager: string; fieldsV1: { "f:spec"?: object } }[];
    const ours = fields.find(({ manager }) => manager === "shieldx-command-line");
    expect(Object.keys(ours?.fieldsV1["f:spec"] ?? {}).sort()).toEqual(["f:paused", "f:request"]);
  });

  it.each<[string, readonly string[], number, string]>([
    ["a refusal", ["skip", "shop"], 1, "ROLLOUT_REQUEST_REFUSED: Skip was refused: no stage is being judged"],
    [
      "a name that is not there",
      ["abort", "nobody"],
      1,
      "ROLLOUT_NOT_FOUND: there is no Rollout nobody in namespace default",
    ],
    ["a namespace that is not there", ["status", "shop", "-n", "x"], 1, "ROLLOUT_NOT_FOUND"],
    [
      "a stage that is none",
      ["jump", "shop", "--stage", "0"],
      2,
      "USAGE: option '--stage <n>' argument '0' is invalid",
    ],
    ["a stage that the ladder lacks", ["jump", "shop", "--stage", "6"], 2, "has 5 stages"],
    ["a missing stage", ["jump", "shop"], 2, "USAGE: required option '--stage <n>' not specified"],
    ["all namespaces and one", ["list", "-A", "-n", "default"], 2, "cannot be used with option '-n, --namespace"],
    ["an unknown verb", ["advance", "shop"], 2, "USAGE: unknown command 'advance'"],
    ["two names", ["abort", "shop", "other"], 2, "USAGE: too many arguments"],
    ["a kubeconfig that is not there", ["list", "--kubeconfig", "/nowhere"], 1, "KUBE_CONFIG_INVALID"],
  ])("refuses %s", async (_, args, code, reason) => {
    const ended = await rollout(...args);
    expect(ended.stderr).toContain(reason);
    expect(ended).toMatchObject({ code, stdout: expect.not.stringContaining("done") });
  });

  it("says which right is missing", async () => {
    const token = await readerToken();
    const config = { users: [{ name: "reader", user: { token } }] };
    const file = join(folder, "reader.kubeconfig");
    await writeFile(file, await readerKubeconfig(config));
    expect(await rollout("status", "shop", "--kubeconfig", file)).toMatchObject({ code: 0 });
    const { code, stderr } = await rollout("abort", "shop", "--kubeconfig", file);
    expect(stderr).toContain("KUBE_FORBIDDEN: PATCH /apis/shieldx.dev/v1alpha1/namespaces/default/rollouts/shop");
    expect(code).toBe(1);
  });

  it("is a plugin of kubectl", async () => {
    const made = await run("make", ["-C", ROOT, "plugin", `PREFIX=${join(folder, "bin")}`]);
    expect(made).toMatchObject({ code: 0 });
    const listed = await run(KUBECTL, ["shieldx", "rollout", "list", "-n", "default"]);
    expect(listed).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/\ndefault +shop /) });
    const asked = await run(KUBECTL, ["shieldx", "rollout", "abort", "shop", "-n", "default"]);
    expect(asked).toMatchObject({ code: 0, stdout: expect.stringContaining("done: ") });
    expect(await run(KUBECTL, ["shieldx", "rollout", "skip", "shop"])).toMatchObject({ code: 1 });
  });

  it("converts what the API server takes", async () => {
    for (const name of ["shop", "apps"]) await makeNamespace(kube, name);
    const files = Object.entries(EXAMPLES).map(([name, text]) => writeFile(join(folder, `${name}.yaml`), text));
    await Promise.all(files);
    const names = Object.keys(EXAMPLES).map((name) => join(folder, `${name}.yaml`));
    const report = join(folder, "report.txt");
    const made = await rollout("convert", ...names, "--gateway", "infra/public", "--report", report);
    expect(made).toMatchObject({ code: 0, stderr: "" });
    expect(await readFile(report, "utf8")).toContain("Canary apps/podinfo: converted, ");
    const applied = await run(KUBECTL, ["apply", "--validate=strict", "-f", "-"], made.stdout);
    expect(applied).toMatchObject({ code: 0, stderr: "" });
    expect(applied.stdout.match(/rollout\.shieldx\.dev\/\w+ created/g)).toHaveLength(7);
    const { items } = await kube.list(ROLLOUT, { namespace: "apps" });
    expect(items.map(({ metadata }) => metadata.name)).toEqual(["podinfo"]);
    expect(await run(KUBECTL, ["delete", "-f", "-"], made.stdout)).toMatchObject({ code: 0 });
  });

  it("refuses to convert what lacks something, and prints nothing then", async () => {
    const input = EXAMPLES["argo-canary"] ?? "";
    const ended = await run(SHIELDX, ["rollout", "convert", "-"], input);
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr).toContain("give --gateway NAMESPACE/NAME");
    const told = await run(SHIELDX, ["rollout", "convert", "-", "--gateway", "public"], input);
    expect(told.stderr).toContain("Rollout shop/checkout: converted, ");
    expect(told).toMatchObject({ code: 0, stdout: expect.stringContaining("- name: public") });
    expect(await run(SHIELDX, ["rollout", "convert", "-", "--gateway", "a/b/c"], input)).toMatchObject({ code: 2 });
  });

  it("follows a release to its end", async () => {
    const followed = startFollowing();
    await eventually("a first look", () => followed.stdout().includes(" Canary 2/5 5 % Inconclusive "), 30_000);
    const ended = { revision: "bbbb000000", reason: "Promoted", message: "all stages passed" };
    const times = { startedAt: "2026-03-01T11:53:20.000Z", endedAt: "2026-03-01T12:00:00.000Z" };
    await setStatus({
      phase: "Idle",
      canary: null,
      conditions: [],
      releases: [{ ...ended, ...times, outcome: "Promoted" }],
    });
    expect(await followed.ended).toEqual([0, null]);
    expect(followed.stdout()).toMatch(/\nrevision bbbb000000: Promoted \(Promoted\): all stages passed\n$/);
    expect((await rollout("history", "shop")).stdout).toContain("bbbb000000   Promoted");
  });

  it("ends a watch by Ctrl-C", async () => {
    const followed = startFollowing();
    await eventually("a first look", () => followed.stdout().includes(" Canary 2/5"), 30_000);
    followed.interrupt();
    expect(await followed.ended).toEqual([130, null]);
  });

  it("says that no controller answered", async () => {
    const { code, stdout, stderr } = await rollout("abort", "alone", "--timeout", "1");
    expect(stdout).toContain("asked for Abort");
    expect(stderr).toContain("ROLLOUT_UNANSWERED: no controller has answered request abort-");
    expect(code).toBe(1);
  });
});

/** A ServiceAccount that may read Rollouts, and nothing else. */
async function readerToken(): Promise<string> {
  const metadata = { name: "reader", namespace: "default" };
  await kube.create(RESOURCES.ServiceAccount, { apiVersion: "v1", kind: "ServiceAccount", metadata });
  const rbac = "rbac.authorization.k8s.io";
  const rules = [{ apiGroups: ["shieldx.dev"], resources: ["rollouts"], verbs: ["get", "list"] }];
  await kube.create(RESOURCES.Role, { apiVersion: `${rbac}/v1`, kind: "Role", metadata, rules });
  await kube.create(RESOURCES.RoleBinding, {
    apiVersion: `${rbac}/v1`,
    kind: "RoleBinding",
    metadata,
    roleRef: { apiGroup: rbac, kind: "Role", name: "reader" },
    subjects: [{ kind: "ServiceAccount", name: "reader", namespace: "default" }],
  });
  const made = await run(KUBECTL, ["create", "token", "reader", "-n", "default"]);
  return made.stdout.trim();
}

async function readerKubeconfig(config: { readonly users: readonly object[] }): Promise<string> {
  const admin = parse(await readFile(plane.kubeconfig, "utf8")) as { contexts: { name: string; context: object }[] };
  const contexts = admin.contexts.map(({ name, context }) => ({ name, context: { ...context, user: "reader" } }));
  return JSON.stringify({ ...admin, contexts, ...config });
}
