// The Helm chart: what it renders, what it refuses, and how install, upgrade and uninstall go on a real API server
// (without nodes: pods are checked by admission, not run).
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { parse, parseAllDocuments } from "yaml";
import { customResourceDefinition } from "../crds/crd.ts";
import { KINDS } from "../crds/kinds.ts";
import { SHARD_SET, type ShardSet } from "../crds/shardset.ts";
import { systemClock } from "../lib/core/clock.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import { type KubeObject, RESOURCES } from "../lib/kube/types.ts";
import { parseControllerConfig } from "../operator/config.ts";
import { createControllers } from "../operator/wiring.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";

const ROOT = join(import.meta.dirname, "..");
const CHART = join(ROOT, "charts/operator");
const HELM = join(ROOT, ".build/bin/helm");
const KUBECTL = join(ROOT, ".build/bin/kubectl");
const NAMESPACE = "shieldx-system";
/** A new ClusterRoleBinding takes effect well within a second on an idle machine. */
const AUTHORIZED_TIMEOUT_MS = 30_000;
const IMAGES = ["--set", "image.reference=example/shieldx:1,postgresImage.reference=example/shieldx-postgres:1"];

interface Finished {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string, args: readonly string[], input = ""): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ ok: error === null, stdout, stderr });
    });
    // A program that ends without reading closes its input; its exit code tells the rest.
    child.stdin?.on("error", () => undefined).end(input);
  });
}

function template(settings: readonly string[] = []): Promise<Finished> {
  const sets = settings.flatMap((setting) => ["--set", setting]);
  return run(HELM, ["template", "shieldx", CHART, "--namespace", NAMESPACE, ...IMAGES, ...sets]);
}

async function render(settings: readonly string[] = []): Promise<KubeObject[]> {
  const { ok, stdout, stderr } = await template(settings);
  expect({ ok, stderr }).toEqual({ ok: true, stderr: "" });
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null);
}

function ofKind(objects: readonly KubeObject[], kind: string): KubeObject[] {
  return objects.filter((object) => object.kind === kind);
}

function one(objects: readonly KubeObject[], kind: string, name: string): KubeObject {
  const found = ofKind(objects, kind).filter(({ metadata }) => metadata.name === name);
  expect(found).toHaveLength(1);
  return found[0] as KubeObject;
}

/** Members of an object that a test looks into. */
function at<T>(object: unknown, path: string): T {
  return path.split(".").reduce<unknown>((value, step) => (value as Record<string, unknown>)[step], object) as T;
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

describe("what is rendered", () => {
  test("lint finds nothing, with all of the optional parts too", async () => {
    const all = ["metrics.serviceMonitor.enabled=true", "crds.keep=false", "podLabels.team=x"];
    const sets = all.flatMap((setting) => ["--set", setting]);
    expect(await run(HELM, ["lint", "--strict", CHART, ...IMAGES])).toMatchObject({ ok: true });
    expect(await run(HELM, ["lint", "--strict", CHART, ...IMAGES, ...sets])).toMatchObject({ ok: true });
  });

  test("trial 10: pull secrets as a Pod lists them, or by name", async () => {
    for (const setting of ["imagePullSecrets[0].name=registry", "imagePullSecrets[0]=registry"]) {
      const deployment = one(await render([setting]), "Deployment", "shieldx-controller");
      expect(at(deployment, "spec.template.spec.imagePullSecrets")).toEqual([{ name: "registry" }]);
    }
    expect(await template(["imagePullSecrets[0].nmae=registry"])).toMatchObject({ ok: false });
  });

  test("two controllers of the given images, restricted, probed and bounded", async () => {
    const deployment = one(await render(), "Deployment", "shieldx-controller");
    const pod = at<Record<string, unknown>>(deployment, "spec.template.spec");
    const [container = {}, ...more] = pod["containers"] as Record<string, unknown>[];
    expect(more).toEqual([]);
    expect(at(deployment, "spec.replicas")).toBe(2);
    expect(pod["securityContext"]).toEqual({
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(container["securityContext"]).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    expect(container["image"]).toBe("example/shieldx:1");
    expect(container["args"]).toEqual(
      expect.arrayContaining(["controller", "--postgres-image=example/shieldx-postgres:1"]),
    );
    expect(at(container, "resources.requests")).toEqual({ cpu: "50m", memory: "192Mi" });
    expect(at(container, "resources.limits.memory")).toBe("512Mi");
    for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) expect(container).toHaveProperty(probe);
    expect(pod["terminationGracePeriodSeconds"]).toBe(60);
  });

  test("every selector finds the controllers' pods, and everything namespaced is in the release's namespace", async () => {
    const objects = await render(["metrics.serviceMonitor.enabled=true", "podDisruptionBudget.enabled=true"]);
    const labels = at<object>(one(objects, "Deployment", "shieldx-controller"), "spec.template.metadata.labels");
    const selectors = [
      at<object>(one(objects, "Deployment", "shieldx-controller"), "spec.selector.matchLabels"),
      at<object>(one(objects, "Service", "shieldx-metrics"), "spec.selector"),
      at<object>(one(objects, "PodDisruptionBudget", "shieldx-controller"), "spec.selector.matchLabels"),
      at<object>(one(objects, "NetworkPolicy", "shieldx-controller"), "spec.podSelector.matchLabels"),
    ];
    for (const selector of selectors) expect(labels).toMatchObject(selector);
    const service = one(objects, "Service", "shieldx-metrics");
    expect(service.metadata.labels).toMatchObject(
      at(one(objects, "ServiceMonitor", "shieldx-controller"), "spec.selector.matchLabels"),
    );
    const cluster = ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"];
    for (const { kind, metadata } of objects) {
      expect({ kind, namespace: metadata.namespace }).toEqual({
        kind,
        namespace: cluster.includes(kind) ? undefined : NAMESPACE,
      });
    }
  });

  test("permissions name what they allow: no wildcard, no way to gain more", async () => {
    const objects = await render();
    const roles = [...ofKind(objects, "ClusterRole"), ...ofKind(objects, "Role")];
    expect(roles.length).toBeGreaterThan(1);
    for (const rule of roles.flatMap((role) => role["rules"] as Rule[])) {
      expect([...rule.apiGroups, ...rule.resources, ...rule.verbs]).not.toContain("*");
      for (const verb of ["escalate", "bind", "impersonate"]) expect(rule.verbs).not.toContain(verb);
    }
    const controller = one(objects, "ClusterRole", "shieldx-controller")["rules"] as Rule[];
    const resources = controller.flatMap(({ resources: names }) => names);
    for (const never of ["nodes", "pods/exec", "clusterroles", "clusterrolebindings", "customresourcedefinitions"]) {
      expect(resources).not.toContain(never);
    }
  });

  test("every kind that a controller watches may be listed and watched", async () => {
    const rules = one(await render(), "ClusterRole", "shieldx-controller")["rules"] as Rule[];
    const config = parseControllerConfig(["--shieldx-image=a", "--postgres-image=b"], {});
    const watched = createControllers(config).flatMap(({ resource, watches }) => [
      resource,
      ...watches.map((watch) => watch.resource),
    ]);
    expect(watched.length).toBeGreaterThan(10);
    for (const { group, plural } of watched) {
      const verbs = rules
        .filter(({ apiGroups, resources }) => apiGroups.includes(group) && resources.includes(plural))
        .flatMap((rule) => rule.verbs);
      expect({ plural, verbs }).toEqual({ plural, verbs: expect.arrayContaining(["get", "list", "watch"]) });
    }
  });

  test("with watchNamespaces the same rules are Roles there, and the controller looks nowhere else", async () => {
    const all = one(await render(), "ClusterRole", "shieldx-controller");
    const objects = await render(["watchNamespaces={bank,shop}"]);
    expect(ofKind(objects, "ClusterRoleBinding").map(({ metadata }) => metadata.name)).toEqual([
      "shieldx-installations",
    ]);
    expect(one(objects, "ClusterRole", "shieldx-installations")["rules"]).toEqual([
      {
        apiGroups: ["coordination.k8s.io"],
        resources: ["leases"],
        resourceNames: ["shieldx-controller"],
        verbs: ["list"],
      },
    ]);
    const roles = ofKind(objects, "Role").filter(({ metadata }) => metadata.name === "shieldx-controller");
    expect(roles.map(({ metadata }) => metadata.namespace)).toEqual(["bank", "shop"]);
    // A Role grants nothing on kinds without a namespace: there the controller goes without what they tell.
    const isOfCluster = ({ resources }: Rule): boolean =>
      ["storageclasses", "gatewayclasses"].some((resource) => resources.includes(resource));
    const namespaced = (all["rules"] as Rule[]).filter((rule) => !isOfCluster(rule));
    for (const role of roles) expect(role["rules"]).toEqual(namespaced);
    const deployment = one(objects, "Deployment", "shieldx-controller");
    const [container] = at<{ args: string[] }[]>(deployment, "spec.template.spec.containers");
    expect(container?.args).toContain("--watch-namespaces=bank,shop");
  });

  test("the controller understands the arguments that the chart gives it", async () => {
    const deployment = one(await render(["watchNamespaces={bank}"]), "Deployment", "shieldx-controller");
    const [container] = at<{ args: string[]; env: { name: string }[] }[]>(deployment, "spec.template.spec.containers");
    const [command, ...flags] = container?.args ?? [];
    const environment = Object.fromEntries(container?.env.map(({ name }) => [name, "value"]) ?? []);
    expect(command).toBe("controller");
    expect(parseControllerConfig(flags, environment)).toEqual({
      shieldxImage: "example/shieldx:1",
      postgresImage: "example/shieldx-postgres:1",
      clusterDomain: "cluster.local",
      apiServerPorts: [443, 6443],
      logLevel: "info",
      listen: 8080,
      watchNamespaces: ["bank"],
      namespace: "value",
      podName: "value",
      podUid: "value",
    });
  });

  test("the network policy denies all but DNS, API, agents, metrics and pods that are released", async () => {
    const policy = one(await render(), "NetworkPolicy", "shieldx-controller");
    expect(at(policy, "spec.policyTypes")).toEqual(["Ingress", "Egress"]);
    const ports = (direction: string): number[] =>
      at<{ ports?: { port: number }[] }[]>(policy, `spec.${direction}`).flatMap((rule) =>
        (rule.ports ?? []).map(({ port }) => port),
      );
    expect(ports("ingress")).toEqual([8080]);
    expect(ports("egress")).toEqual([53, 53, 443, 6443, 8443]);
    const [, , agents, released, ...others] = at<object[]>(policy, "spec.egress");
    const kind = (name: string) => ({
      namespaceSelector: {},
      podSelector: { matchLabels: { "shieldx.dev/kind": name } },
    });
    expect(agents).toMatchObject({ to: [kind("ShardSet")] });
    // Any port: which one it is stands in the Rollout.
    expect(released).toEqual({ to: [kind("Rollout")] });
    expect(others).toEqual([]);
  });

  test("the network policy lets the controllers reach gateways when told which", async () => {
    const pods = "networkPolicy.gateways[0].podSelector.matchLabels.app=gateway";
    const place = "networkPolicy.gateways[0].namespaceSelector.matchLabels.name=infra";
    const policy = one(await render([pods, place]), "NetworkPolicy", "shieldx-controller");
    expect(at<object[]>(policy, "spec.egress").at(-1)).toEqual({
      to: [{ podSelector: { matchLabels: { app: "gateway" } }, namespaceSelector: { matchLabels: { name: "infra" } } }],
    });
  });

  test("the network policy lets the controllers reach receivers of notifications when told which", async () => {
    const policy = one(
      await render(["networkPolicy.receivers[0].ipBlock.cidr=203.0.113.0/24"]),
      "NetworkPolicy",
      "shieldx-controller",
    );
    expect(at<object[]>(policy, "spec.egress").at(-1)).toEqual({ to: [{ ipBlock: { cidr: "203.0.113.0/24" } }] });
  });

  test("trial 11: no budget stands in the way of a drain, unless somebody asks for one", async () => {
    expect(ofKind(await render(), "PodDisruptionBudget")).toEqual([]);
    const budget = one(await render(["podDisruptionBudget.enabled=true"]), "PodDisruptionBudget", "shieldx-controller");
    expect(budget["spec"]).toMatchObject({ maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow" });
  });

  test("optional parts come and go", async () => {
    const bare = await render([
      "networkPolicy.enabled=false",
      "metrics.service.enabled=false",
      "rbac.aggregate=false",
      "crds.enabled=false",
    ]);
    expect(bare.map(({ kind }) => kind).sort()).toEqual([
      ...["ClusterRole", "ClusterRole", "ClusterRole", "ClusterRole", "ClusterRoleBinding"],
      ...["Deployment", "Role", "RoleBinding", "ServiceAccount"],
    ]);
    expect(JSON.stringify(bare)).not.toContain("aggregate-to");
    expect(JSON.stringify(await render())).toContain("aggregate-to-view");
  });

  test("alerts and dashboard are there when asked for, with the labels and the base of the runbooks that were given", async () => {
    const kinds = (objects: readonly KubeObject[]): string[] => objects.map(({ kind }) => kind);
    expect(kinds(await render())).not.toContain("PrometheusRule");
    expect(kinds(await render())).not.toContain("ConfigMap");
    const objects = await render([
      ...["metrics.prometheusRule.enabled=true", "metrics.prometheusRule.labels.release=prometheus"],
      ...["metrics.prometheusRule.runbookBase=https://git.example/shieldx/", "metrics.dashboards.enabled=true"],
    ]);
    const rule = one(objects, "PrometheusRule", "shieldx-alerts");
    expect(rule.metadata.labels).toMatchObject({ release: "prometheus" });
    const read = (file: string): string => readFileSync(join(CHART, file), "utf8");
    const rules = read("alerts/rollouts.yaml").replaceAll(
      "docs/runbooks/",
      "https://git.example/shieldx/docs/runbooks/",
    );
    expect(rule["spec"]).toEqual(parse(rules));
    const dashboards = one(objects, "ConfigMap", "shieldx-dashboards");
    expect(dashboards.metadata.labels).toMatchObject({ grafana_dashboard: "1" });
    expect(at<Record<string, string>>(dashboards, "data")["shieldx-rollouts.json"]).toBe(
      read("dashboards/rollouts.json"),
    );
  });

  test("the CRDs are the generated ones, kept on uninstall unless told otherwise", async () => {
    const kept = ofKind(await render(), "CustomResourceDefinition");
    expect(kept.map(({ spec }) => spec)).toEqual(
      expect.arrayContaining(KINDS.map((kind) => customResourceDefinition(kind)["spec"])),
    );
    for (const { metadata } of kept) expect(metadata.annotations).toEqual({ "helm.sh/resource-policy": "keep" });
    const loose = ofKind(await render(["crds.keep=false"]), "CustomResourceDefinition");
    expect(loose).toHaveLength(KINDS.length);
    for (const { metadata } of loose) expect(metadata.annotations).toBeUndefined();
  });
});

describe("what is refused, with a sentence", () => {
  test.each([
    ["a typo", "replicaz=3", "additional properties 'replicaz' not allowed"],
    ["a typo below", "image.ref=x", "additional properties 'ref' not allowed"],
    ["a typo far below", "metrics.serviceMonitor.enable=true", "additional properties 'enable' not allowed"],
    ["an unknown amount", "resources.requests.cpus=1", "additional properties 'cpus' not allowed"],
    ["no controller", "replicas=0", "at '/replicas'"],
    ["a level that does not exist", "log.level=loud", "at '/log/level'"],
    ["text for a switch", "crds.keep=sometimes", "at '/crds/keep'"],
    [
      "a base of runbooks that is no folder",
      "metrics.prometheusRule.runbookBase=https://x/y",
      "at '/metrics/prometheusRule/runbookBase'",
    ],
    ["a namespace in upper case", "watchNamespaces={Bank}", "at '/watchNamespaces/0'"],
    ["no image", "image.reference=", "image.reference is required: build the images with 'make images'"],
    ["no PostgreSQL image", "postgresImage.reference=", "postgresImage.reference is required"],
    [
      "a monitor of nothing",
      "metrics.service.enabled=false,metrics.serviceMonitor.enabled=true",
      "needs metrics.service.enabled",
    ],
  ])("%s", async (_, setting, sentence) => {
    const { ok, stderr } = await template([setting]);
    expect(stderr).toContain(sentence);
    expect(ok).toBe(false);
  });

  test("the schema knows exactly the values of values.yaml, at every level", () => {
    interface Schema {
      readonly properties?: Readonly<Record<string, Schema>>;
    }
    const compare = (values: object, schema: Schema, path: string): void => {
      const { global: _, ...properties } = schema.properties ?? {};
      expect({ path, names: Object.keys(properties).sort() }).toEqual({ path, names: Object.keys(values).sort() });
      for (const [name, value] of Object.entries(values)) {
        const below = properties[name];
        if (below?.properties !== undefined) compare(value as object, below, `${path}.${name}`);
      }
    };
    const read = (file: string): string => readFileSync(join(CHART, file), "utf8");
    compare(parse(read("values.yaml")) as object, JSON.parse(read("values.schema.json")) as Schema, "values");
  });
});

describe("on a real API server", () => {
  let plane: TestControlPlane;
  let kube: KubeClient;

  beforeAll(async () => {
    plane = await startControlPlane();
    kube = plane.client(NAMESPACE);
    expect(await helm(install)).toMatchObject({ ok: true });
    // The server's authorizer learns of new bindings, its own at start included, from a watch.
    const endsAt = systemClock.monotonic() + AUTHORIZED_TIMEOUT_MS;
    while (!(await kubectl(["auth", "can-i", "get", "leases", controller])).stdout.startsWith("yes")) {
      if (systemClock.monotonic() > endsAt) throw new Error("the controller's permissions did not take effect in time");
      await systemClock.sleep(100);
    }
  });

  afterAll(async () => {
    await plane.stop();
  });

  const helm = (args: readonly string[]): Promise<Finished> =>
    run(HELM, [...args, "--kubeconfig", plane.kubeconfig, "--namespace", NAMESPACE]);
  const kubectl = (args: readonly string[], input?: string): Promise<Finished> =>
    run(KUBECTL, ["--kubeconfig", plane.kubeconfig, ...args], input);
  const controller = `--as=system:serviceaccount:${NAMESPACE}:shieldx-controller`;
  const install = ["upgrade", "--install", "shieldx", CHART, "--create-namespace", "--wait=hookOnly", ...IMAGES];

  // One story in order: each step needs the one before it.
  test("install, use, upgrade, uninstall, install again", async () => {
    const first = await helm(install);
    expect(first).toMatchObject({ ok: true });
    expect(first.stdout).toContain("kubectl get shieldx");
    expect(first.stdout).toContain("'helm uninstall' leaves the CRDs");

    const shardSet = { ...head("ShardSet", "kept"), spec: { shards: 1 } };
    expect(await kubectl(["create", "-f", "-"], JSON.stringify(shardSet))).toMatchObject({ ok: true });

    expect(await helm([...install, "--set", "replicas=3"])).toMatchObject({ ok: true });
    const deployment = await kube.get(RESOURCES.Deployment, { name: "shieldx-controller", namespace: NAMESPACE });
    expect(at(deployment, "spec.replicas")).toBe(3);

    const before = await kube.get<ShardSet>(SHARD_SET, { name: "kept", namespace: "default" });
    expect(await helm(["uninstall", "shieldx"])).toMatchObject({ ok: true });
    expect(await kube.find(RESOURCES.Deployment, { name: "shieldx-controller", namespace: NAMESPACE })).toBeUndefined();
    expect(await kube.get<ShardSet>(SHARD_SET, { name: "kept", namespace: "default" })).toEqual(before);

    expect(await helm(install)).toMatchObject({ ok: true });
    expect(await kube.get<ShardSet>(SHARD_SET, { name: "kept", namespace: "default" })).toEqual(before);
  });

  test("a second installation for a few namespaces goes beside the first, and sees the Leases of all, and no others", async () => {
    const second = ["install", "narrow", CHART, "--namespace", "narrow", "--create-namespace", "--wait=hookOnly"];
    const values = ["--set", "crds.enabled=false,watchNamespaces={default}", ...IMAGES];
    expect(await run(HELM, [...second, ...values, "--kubeconfig", plane.kubeconfig])).toMatchObject({ ok: true });
    const lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "shieldx-controller", namespace: NAMESPACE },
    };
    expect(await kubectl(["apply", "-f", "-"], JSON.stringify(lease))).toMatchObject({ ok: true });
    const list = ["get", "leases", "-A", "-o", "name", "--as=system:serviceaccount:narrow:narrow-controller"];
    const endsAt = systemClock.monotonic() + AUTHORIZED_TIMEOUT_MS;
    const look = () => kubectl([...list, "--field-selector=metadata.name=shieldx-controller"]);
    let seen = await look();
    while (!seen.ok && systemClock.monotonic() < endsAt) seen = await look();
    expect(seen).toMatchObject({ ok: true, stdout: "lease.coordination.k8s.io/shieldx-controller\n" });
    expect((await kubectl(list)).stderr).toContain("forbidden");
  });

  test("the pods pass the restricted pod security standard", async () => {
    const namespace = {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "restricted", labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
    };
    expect(await kubectl(["apply", "-f", "-"], JSON.stringify(namespace))).toMatchObject({ ok: true });
    const deployment = one(await render(), "Deployment", "shieldx-controller");
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "controller", namespace: "restricted" },
      spec: at<object>(deployment, "spec.template.spec"),
    };
    const dryRun = ["create", "--dry-run=server", "-f", "-"];
    expect(await kubectl(dryRun, JSON.stringify(pod))).toMatchObject({ ok: true });
    const privileged = { ...pod, spec: { ...pod.spec, hostNetwork: true } };
    expect((await kubectl(dryRun, JSON.stringify(privileged))).stderr).toContain('violates PodSecurity "restricted');
  });

  test("the controller may hand on what its Roles need, and nothing more", async () => {
    const role = (rules: readonly object[]): string =>
      JSON.stringify({
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "Role",
        metadata: { name: "handed-on", namespace: "default" },
        rules,
      });
    const needed = [
      {
        apiGroups: ["coordination.k8s.io"],
        resources: ["leases"],
        resourceNames: ["s-0"],
        verbs: ["get", "update", "patch"],
      },
      {
        apiGroups: [""],
        resources: ["configmaps", "secrets"],
        resourceNames: ["s-map"],
        verbs: ["get", "list", "watch"],
      },
    ];
    const apply = ["apply", "--server-side", controller, "-f", "-"];
    expect(await kubectl(apply, role(needed))).toMatchObject({ ok: true, stderr: "" });
    const tooMuch = { apiGroups: [""], resources: ["pods/exec"], verbs: ["create"] };
    expect((await kubectl(apply, role([tooMuch]))).stderr).toContain(
      "attempting to grant RBAC permissions not currently held",
    );
  });

  test.each([
    ["patch", "shardsets.shieldx.dev --subresource=status", "yes"],
    ["watch", "creditledgers.shieldx.dev", "yes"],
    ["create", "persistentvolumeclaims", "yes"],
    ["create", "shardsets.shieldx.dev", "no"],
    ["delete", "shardsets.shieldx.dev", "no"],
    ["create", "pods --subresource=exec", "no"],
    ["create", "clusterroles.rbac.authorization.k8s.io", "no"],
    ["patch", "nodes", "no"],
    ["update", "secrets", "no"],
  ])("may the controller %s %s? %s", async (verb, resource, answer) => {
    const { stdout, stderr } = await kubectl(["auth", "can-i", verb, ...resource.split(" "), controller]);
    expect({ answer: stdout.trim(), stderr }).toEqual({
      answer,
      stderr: expect.stringMatching(/^(Warning: .* not namespace scoped.*)?\s*$/),
    });
  });

  function head(kind: string, name: string): object {
    return { apiVersion: "shieldx.dev/v1alpha1", kind, metadata: { name, namespace: "default" } };
  }
});
