import { beforeAll, describe, expect, it } from "@jest/globals";
import { RESOURCES } from "../../lib/kube/types.ts";
import { objectOf } from "../builders.ts";
import { NAMESPACE } from "../namespaces.ts";
import { configMap, WIDGET, widget } from "../widget.ts";
import type { ContractCases } from "./server.ts";
import { pathOf, sendWire } from "./wire.ts";

const { ConfigMap, Lease } = RESOURCES;

interface Refusal {
  readonly name: string;
  readonly request: string;
  readonly body?: unknown;
  readonly status: number;
  readonly reason: string | undefined;
  /** Compared where the words are the same for every kind; the fake does not know types, so it cannot say all of them. */
  readonly message?: string;
  readonly details?: object;
}

const cm = (name = "", query: Record<string, string> = {}): string => pathOf(ConfigMap, name, query);
const widgets = (name = ""): string => pathOf(WIDGET, name);
const about = (kind: string, name: string) => ({ kind, name });

const REFUSALS: readonly Refusal[] = [
  {
    name: "an absent object",
    request: `GET ${cm("none")}`,
    status: 404,
    reason: "NotFound",
    message: 'configmaps "none" not found',
    details: about("configmaps", "none"),
  },
  {
    name: "an absent object of a group",
    request: `GET ${widgets("none")}`,
    status: 404,
    reason: "NotFound",
    message: 'widgets.test.shieldx.dev "none" not found',
    details: { ...about("widgets", "none"), group: "test.shieldx.dev" },
  },
  {
    name: "a kind that is not there",
    request: `GET ${cm().replace("configmaps", "things/x/y/z")}`,
    status: 404,
    reason: "NotFound",
  },
  {
    name: "an object that exists",
    request: `POST ${cm()}`,
    body: configMap("here", {}),
    status: 409,
    reason: "AlreadyExists",
    message: 'configmaps "here" already exists',
    details: about("configmaps", "here"),
  },
  {
    name: "an older version, replaced",
    request: `PUT ${cm("here")}`,
    body: { metadata: { name: "here", resourceVersion: "1" } },
    status: 409,
    reason: "Conflict",
    message:
      'Operation cannot be fulfilled on configmaps "here": the object has been modified; please apply your changes to the latest version and try again',
    details: about("configmaps", "here"),
  },
  {
    name: "an older version, merged",
    request: `merge ${cm("here")}`,
    body: { metadata: { resourceVersion: "1" } },
    status: 409,
    reason: "Conflict",
  },
  {
    name: "another uid, replaced",
    request: `PUT ${cm("here")}`,
    body: { metadata: { name: "here", uid: "x" } },
    status: 409,
    reason: "Conflict",
  },
  {
    name: "another uid, merged",
    request: `merge ${cm("here")}`,
    body: { metadata: { uid: "x" } },
    status: 422,
    reason: "Invalid",
    message: 'ConfigMap "here" is invalid: metadata.uid: Invalid value: "x": field is immutable',
  },
  {
    name: "another uid, deleted",
    request: `DELETE ${cm("here")}`,
    body: { preconditions: { uid: "x" } },
    status: 409,
    reason: "Conflict",
  },
  {
    name: "another uid, applied to nothing",
    request: `apply ${cm("none", { fieldManager: "m" })}`,
    body: objectOf(ConfigMap, "none", { metadata: { name: "none", uid: "x" } }),
    status: 409,
    reason: "Conflict",
    message:
      'Operation cannot be fulfilled on configmaps "none": uid mismatch: the provided object specified uid x, and no existing object was found',
  },
  {
    name: "a custom object without the version it replaces",
    request: `PUT ${widgets("here")}`,
    body: widget("here"),
    status: 422,
    reason: "Invalid",
  },
  {
    name: "a Lease without the version it replaces",
    request: `PUT ${pathOf(Lease, "here")}`,
    body: objectOf(Lease, "here", { spec: {} }),
    status: 422,
    reason: "Invalid",
  },
  {
    name: "no name",
    request: `POST ${cm()}`,
    body: { metadata: {} },
    status: 422,
    reason: "Invalid",
    message: 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
  },
  { name: "an impossible name", request: `POST ${cm()}`, body: configMap("A_b", {}), status: 422, reason: "Invalid" },
  {
    name: "a name that is not the path's, replaced",
    request: `PUT ${cm("here")}`,
    body: configMap("there", {}),
    status: 400,
    reason: "BadRequest",
    message: "the name of the object (there) does not match the name on the URL (here)",
  },
  {
    name: "a name that is not the path's, merged",
    request: `merge ${cm("here")}`,
    body: { metadata: { name: "there" } },
    status: 400,
    reason: "BadRequest",
    message: "the name of the object (there) does not match the name on the URL (here)",
  },
  {
    name: "a name that is not the path's, applied",
    request: `apply ${cm("here", { fieldManager: "m" })}`,
    body: configMap("there", {}),
    status: 400,
    reason: "BadRequest",
    message: "the name of the object (there) does not match the name on the URL (here)",
  },
  {
    name: "another namespace",
    request: `POST ${cm()}`,
    body: { metadata: { name: "x", namespace: "other" } },
    status: 400,
    reason: "BadRequest",
    message: "the namespace of the provided object does not match the namespace sent on the request",
  },
  {
    name: "another kind",
    request: `POST ${cm()}`,
    body: { apiVersion: "v1", kind: "Secret", metadata: { name: "x" } },
    status: 400,
    reason: "BadRequest",
  },
  {
    name: "a version in a new object",
    request: `POST ${cm()}`,
    body: { metadata: { name: "x", resourceVersion: "1" } },
    status: 500,
    reason: undefined,
  },
  { name: "no JSON", request: `POST ${cm()}`, body: '{"metadata"', status: 400, reason: "BadRequest" },
  {
    name: "a merge patch that is no object",
    request: `merge ${cm("here")}`,
    body: [1],
    status: 400,
    reason: "BadRequest",
  },
  {
    name: "a JSON patch that is no list",
    request: `json ${cm("here")}`,
    body: { op: "add" },
    status: 400,
    reason: "BadRequest",
  },
  {
    name: "an apply without a manager",
    request: `apply ${cm("here")}`,
    body: configMap("here", {}),
    status: 422,
    reason: "Invalid",
    message: 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
  },
  {
    name: "an apply without a kind",
    request: `apply ${cm("here", { fieldManager: "m" })}`,
    body: { metadata: { name: "here" } },
    status: 400,
    reason: "BadRequest",
    message: "invalid object type: /, Kind=",
  },
  {
    name: "an apply that brings managedFields",
    request: `apply ${cm("here", { fieldManager: "m" })}`,
    body: objectOf(ConfigMap, "here", { metadata: { name: "here", managedFields: [{}] } }),
    status: 400,
    reason: "BadRequest",
    message: "metadata.managedFields must be nil",
  },
  {
    name: "a forced merge",
    request: `merge ${cm("here", { force: "true" })}`,
    body: {},
    status: 422,
    reason: "Invalid",
    message: 'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
  },
  {
    name: "an unknown rehearsal",
    request: `POST ${cm("", { dryRun: "some" })}`,
    body: configMap("x", {}),
    status: 422,
    reason: "Invalid",
  },
  {
    name: "an unknown propagation",
    request: `DELETE ${cm("here")}`,
    body: { propagationPolicy: "None" },
    status: 422,
    reason: "Invalid",
    message:
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "None": supported values: "Foreground", "Background", "Orphan", "nil"',
  },
  {
    name: "a method that a collection does not have",
    request: `PUT ${cm()}`,
    body: {},
    status: 405,
    reason: "MethodNotAllowed",
    message: "the server does not allow this method on the requested resource",
  },
  {
    name: "a continue token of nobody",
    request: `GET ${cm("", { limit: "1", continue: "foo" })}`,
    status: 400,
    reason: "BadRequest",
  },
];

export const errorCases: ContractCases = (server) => {
  describe("refusals", () => {
    beforeAll(async () => {
      const client = server().client();
      await client.create(ConfigMap, configMap("here", { a: "1" }));
      await client.create(WIDGET, widget("here"));
      await client.create(Lease, objectOf(Lease, "here", { spec: {} }));
    });

    it.each(REFUSALS)("$name: $status $reason, and nothing changes", async (refusal) => {
      const client = server().client();
      const here = { namespace: "default", name: "here" };
      const before = await client.get(ConfigMap, here);
      const { status, body } = await sendWire(server().target.server, refusal.request, refusal.body);
      expect(body).toMatchObject({ kind: "Status", apiVersion: "v1", status: "Failure", code: refusal.status });
      expect([status, body.reason]).toEqual([refusal.status, refusal.reason]);
      if (refusal.message !== undefined) expect(body.message).toBe(refusal.message);
      if (refusal.details !== undefined) expect(body.details).toEqual(refusal.details);
      expect(await client.get(ConfigMap, here)).toEqual(before);
    });
  });

  it("a namespace that is being deleted takes changes and deletions, and nothing new", async () => {
    const client = server().client();
    const namespace = "ending";
    const object = (name: string) => ({ ...configMap(name, {}), metadata: { name, namespace } });
    const held = { name: namespace, finalizers: ["test.shieldx.dev/hold"] };
    await client.create(NAMESPACE, { apiVersion: "v1", kind: "Namespace", metadata: held });
    await client.create(ConfigMap, object("early"));
    await client.delete(NAMESPACE, { name: namespace });
    await expect(client.create(ConfigMap, object("late"))).rejects.toMatchObject({
      code: "KUBE_NAMESPACE_ENDING",
      retry: "after",
      retryAfterSeconds: 30,
      message: expect.stringContaining(
        'configmaps "late" is forbidden: unable to create new content in namespace ending because it is being terminated',
      ),
    });
    await expect(client.apply(ConfigMap, object("late"), { fieldManager: "m" })).rejects.toMatchObject({
      code: "KUBE_NAMESPACE_ENDING",
    });
    const early = { namespace, name: "early" };
    const changed = await client.patch(ConfigMap, early, { format: "merge", patch: { data: { a: "1" } } });
    expect(changed.data).toEqual({ a: "1" });
    await client.delete(ConfigMap, early);
    expect(await client.find(ConfigMap, early)).toBeUndefined();
  });
};
