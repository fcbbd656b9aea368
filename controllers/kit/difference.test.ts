import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { differencesOf, inWords } from "./difference.ts";

// What the server keeps against what we would write: every change of ours has a name, nothing of others has one.

const DESIRED = {
  serviceAccountName: "bank-shard",
  containers: [
    {
      name: "postgres",
      image: "postgres:1",
      args: ["shard-agent", "--shard", "0"],
      env: [
        { name: "POD_IP", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "status.podIP" } } },
        { name: "PARAMETERS", value: "{}" },
        { name: "RETRIES", value: "1" },
      ],
      ports: [{ name: "agent", containerPort: 8443, protocol: "TCP" }],
      resources: { requests: { cpu: "1", memory: "1Gi" }, limits: {} },
      securityContext: { capabilities: { drop: ["ALL"] } },
      volumeMounts: [{ name: "data", mountPath: "/data" }],
    },
  ],
  nodeSelector: { disk: "1" },
  tolerations: [{ key: "database", operator: "Exists" }],
  volumes: [
    { name: "data", persistentVolumeClaim: { claimName: "bank-0-0" } },
    { name: "run", emptyDir: { medium: "Memory", sizeLimit: "16Mi" } },
  ],
};

type Spec = typeof DESIRED;
type Container = Spec["containers"][number];

const container = (changes: object): object => ({
  ...DESIRED,
  containers: [{ ...(DESIRED.containers[0] as Container), ...changes }],
});
const variable = (name: string, changes: object): object =>
  container({
    env: DESIRED.containers[0]?.env.map((item) => (item.name === name ? { name, ...changes } : item)),
  });

/** What the API server and its admission make of it. */
const LIVE = {
  ...DESIRED,
  dnsPolicy: "ClusterFirst",
  nodeName: "node-1",
  containers: [
    {
      ...(DESIRED.containers[0] as Container),
      terminationMessagePath: "/dev/termination-log",
      ports: [{ name: "agent", containerPort: 8443, protocol: "TCP", hostPort: 0 }],
      resources: { requests: { cpu: "1", memory: "1Gi" } },
      volumeMounts: [
        { name: "data", mountPath: "/data" },
        { name: "kube-api-access-x7k2p", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true },
      ],
    },
    { name: "sidecar", image: "mesh:1" },
  ],
  tolerations: [
    { key: "database", operator: "Exists" },
    { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
    { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
  ],
  volumes: [...DESIRED.volumes, { name: "kube-api-access-x7k2p", projected: { sources: [] } }],
};

describe("no difference is", () => {
  test("what defaults and admission add: token, tolerations, sidecars", () => {
    expect(differencesOf(LIVE, DESIRED)).toEqual([]);
  });

  test.each<[string, object]>([
    ["another notation of a request", container({ resources: { requests: { cpu: "1000m", memory: "1024Mi" } } })],
    [
      "another notation of a size",
      {
        ...DESIRED,
        volumes: [DESIRED.volumes[0], { name: "run", emptyDir: { medium: "Memory", sizeLimit: "16384Ki" } }],
      },
    ],
    ["an empty member, which the server drops", { ...DESIRED, imagePullSecrets: [], affinity: {} }],
    ["a member that is undefined", { ...DESIRED, priorityClassName: undefined }],
    ["another order of what has names", { ...DESIRED, volumes: [...DESIRED.volumes].reverse() }],
  ])("%s", (_name, desired) => {
    expect(differencesOf(LIVE, desired)).toEqual([]);
  });
});

test.each<[string, object, string, unknown, unknown]>([
  ["another image", container({ image: "postgres:2" }), "image of container postgres", "postgres:1", "postgres:2"],
  [
    "another argument",
    container({ args: ["shard-agent"] }),
    "args of container postgres",
    ["shard-agent", "--shard", "0"],
    ["shard-agent"],
  ],
  [
    "a variable with another value",
    variable("PARAMETERS", { value: '{"a":1}' }),
    "PARAMETERS of container postgres",
    "{}",
    '{"a":1}',
  ],
  [
    "a variable whose value is a quantity in another notation",
    variable("RETRIES", { value: "1.0" }),
    "RETRIES of container postgres",
    "1",
    "1.0",
  ],
  [
    "a variable that comes from elsewhere in two ways",
    variable("POD_IP", { valueFrom: { fieldRef: { apiVersion: "v2", fieldPath: "status.hostIP" } } }),
    "POD_IP of container postgres",
    DESIRED.containers[0]?.env[0],
    { name: "POD_IP", valueFrom: { fieldRef: { apiVersion: "v2", fieldPath: "status.hostIP" } } },
  ],
  [
    "a new variable",
    container({ env: [...(DESIRED.containers[0]?.env ?? []), { name: "NEW", value: "1" }] }),
    "NEW of container postgres",
    undefined,
    "1",
  ],
  [
    "a variable less",
    container({ env: DESIRED.containers[0]?.env.slice(0, 2) }),
    "RETRIES of container postgres",
    "1",
    undefined,
  ],
  ["no variable any more", container({ env: [] }), "env of container postgres", DESIRED.containers[0]?.env, []],
  [
    "another request",
    container({ resources: { requests: { cpu: "2", memory: "1Gi" } } }),
    "resources.requests.cpu of container postgres",
    "1",
    "2",
  ],
  [
    "a limit",
    container({ resources: { limits: { memory: "1Gi" } } }),
    "resources.limits of container postgres",
    undefined,
    { memory: "1Gi" },
  ],
  [
    "another port",
    container({ ports: [{ name: "agent", containerPort: 9443 }] }),
    "containerPort of port agent of container postgres",
    8443,
    9443,
  ],
  [
    "another mount",
    container({ volumeMounts: [{ name: "data", mountPath: "/other" }] }),
    "mountPath of mount data of container postgres",
    "/data",
    "/other",
  ],
  [
    "another list of words",
    container({ securityContext: { capabilities: { drop: ["NET_RAW"] } } }),
    "securityContext.capabilities.drop of container postgres",
    ["ALL"],
    ["NET_RAW"],
  ],
  ["another node", { ...DESIRED, nodeSelector: { disk: "2" } }, "nodeSelector.disk", "1", "2"],
  [
    "a label of a node that reads like the same quantity",
    { ...DESIRED, nodeSelector: { disk: "1000m" } },
    "nodeSelector.disk",
    "1",
    "1000m",
  ],
  [
    "another toleration",
    { ...DESIRED, tolerations: [{ key: "gpu", operator: "Exists" }] },
    "tolerations",
    LIVE.tolerations,
    [{ key: "gpu", operator: "Exists" }],
  ],
  [
    "a volume from elsewhere",
    { ...DESIRED, volumes: [{ name: "data", emptyDir: { medium: "Memory" } }, DESIRED.volumes[1]] },
    "emptyDir of volume data",
    undefined,
    { medium: "Memory" },
  ],
  [
    "a new container",
    { ...DESIRED, containers: [...DESIRED.containers, { name: "proxy", image: "proxy:1" }] },
    "container proxy",
    undefined,
    { name: "proxy", image: "proxy:1" },
  ],
])("%s is one difference", (_name, desired, what, live, wanted) => {
  expect(differencesOf(LIVE, desired)).toEqual([{ what, live, desired: wanted }]);
});

test("the first differences are told in one phrase, with the number of the others", () => {
  expect(inWords([])).toBe("");
  expect(inWords(["a", "b", "c"])).toBe("a, b, c");
  expect(inWords(["a", "b", "c", "d", "e"])).toBe("a, b, c, 2 more");
  expect(inWords(["a", "b"], 1)).toBe("a, 1 more");
});

describe("whatever the spec", () => {
  const key = fc.constantFrom("alpha", "beta", "gamma", "delta");
  const scalar = fc.oneof(fc.string(), fc.integer(), fc.boolean());
  const named = fc.uniqueArray(fc.record({ name: key, value: scalar, on: fc.boolean() }), {
    minLength: 1,
    selector: ({ name }) => name,
  });
  const { spec } = fc.letrec<{ spec: Readonly<Record<string, unknown>>; member: unknown }>((tie) => ({
    member: fc.oneof({ depthSize: "small" }, scalar, tie("spec"), fc.array(fc.string()), named),
    spec: fc.dictionary(key, tie("member"), { maxKeys: 4 }),
  }));

  test("members that only others know are no difference, however deep", () => {
    fc.assert(
      fc.property(spec, fc.infiniteStream(fc.tuple(fc.boolean(), scalar)), (desired, additions) => {
        expect(differencesOf(withAdditions(desired, additions), desired)).toEqual([]);
      }),
    );
  });

  test("a changed scalar is found and named once, with both values", () => {
    fc.assert(
      fc.property(spec, fc.nat(), (desired, draw) => {
        const places = scalarsOf(desired);
        const place = places[draw % Math.max(1, places.length)];
        fc.pre(place !== undefined);
        const changed = `${String(place.value)}-changed`;
        const found = differencesOf(replaced(desired, place.path, changed), desired);
        expect(found).toHaveLength(1);
        expect(found[0]).toMatchObject({ live: changed, desired: place.value });
        const member = place.path.findLast((step) => typeof step === "string");
        expect(found[0]?.what.split(" of ")[0]?.split(".").at(-1)).toBe(member);
      }),
    );
  });
});

/** The value with members that it does not have, in some of its objects. */
function withAdditions(value: unknown, additions: Iterator<readonly [boolean, unknown]>): unknown {
  if (Array.isArray(value)) return value.map((item) => withAdditions(item, additions));
  if (value === null || typeof value !== "object") return value;
  const members = Object.entries(value).map(([name, member]) => [name, withAdditions(member, additions)] as const);
  const [adds, addition] = additions.next().value as readonly [boolean, unknown];
  return { ...Object.fromEntries(members), ...(adds ? { unknown: addition } : {}) };
}

interface Scalar {
  readonly path: readonly (string | number)[];
  readonly value: unknown;
}

/** Scalars in members, but names of items: another name is another item. */
function scalarsOf(value: unknown, path: Scalar["path"] = []): Scalar[] {
  if (Array.isArray(value)) {
    const isOfObjects = value.every((item) => typeof item === "object");
    return isOfObjects ? value.flatMap((item, index) => scalarsOf(item, [...path, index])) : [];
  }
  if (value === null || typeof value !== "object") return [{ path, value }];
  return Object.entries(value).flatMap(([name, member]) => (name === "name" ? [] : scalarsOf(member, [...path, name])));
}

function replaced(value: unknown, [step, ...rest]: Scalar["path"], to: unknown): unknown {
  if (step === undefined) return to;
  if (Array.isArray(value))
    return value.map((item: unknown, index) => (index === step ? replaced(item, rest, to) : item));
  const members = value as Readonly<Record<string, unknown>>;
  return { ...members, [step]: replaced(members[step], rest, to) };
}
