import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "@jest/globals";
import { FINALIZER } from "../../crds/group.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { findCondition } from "../../operator/runtime/conditions.ts";
import type { Condition } from "../../operator/runtime/types.ts";
import { createScaledClock } from "../scaled-clock.ts";
import { eventually } from "../wait.ts";
import { WIDGET } from "../widget.ts";
import { childOf } from "../widget-operator.ts";
import { useFixture } from "./fixture.ts";
import { type AcceptanceSuite, describeItem } from "./items.ts";
import type { AcceptanceServer } from "./server.ts";

const { ConfigMap } = RESOURCES;
/** Times of conditions are whole seconds; so many pass in one real second. */
const FACTOR = 20;
const ALWAYS = Number.POSITIVE_INFINITY;
const OTHER_FINALIZER = "example.com/hold";
const KUBECTL = join(import.meta.dirname, "../../.build/bin/kubectl");

/** Items 11 and 12: what is written on the resource itself. */
export function describeResourceItems(suite: AcceptanceSuite): void {
  describeItem(suite, 11, (server) => {
    const { start, create, patch, remove, widget, child, isReady } = useFixture(server);
    const fast = () => ({ clock: createScaledClock(FACTOR) });

    it("nothing is made while the finalizer cannot be set", async () => {
      const { link } = server();
      const heal = link.inject({
        method: "PATCH",
        path: /\/widgets\/held\?/,
        times: ALWAYS,
        action: { type: "answer", status: 403 },
      });
      const replica = start("a", fast());
      await replica.leads();
      await create("held");
      const attempts = () => replica.writes().filter(({ path }) => path.endsWith("/widgets/held")).length;
      await eventually("it was tried three times", () => attempts() >= 3);
      expect(await child("held")).toBeUndefined();
      heal();
      await eventually("ready", () => isReady("held", 1));
      const writes = replica.writes().map(({ method, path }) => `${method} ${path.split("/").slice(-2).join("/")}`);
      const made = writes.findIndex((write) => /configmaps/.test(write));
      expect(writes.lastIndexOf("PATCH widgets/held")).toBeLessThan(made);
      expect((await widget("held"))?.metadata.finalizers).toEqual([FINALIZER]);
    });

    it("it stays until the clean-up has succeeded", async () => {
      const { link } = server();
      const replica = start("a", fast());
      await replica.leads();
      await create("ended");
      await eventually("ready", () => isReady("ended", 1));
      const heal = link.inject({
        method: "DELETE",
        path: /\/configmaps\//,
        times: ALWAYS,
        action: { type: "answer", status: 403 },
      });
      link.forgetRequests();
      await remove("ended");
      await eventually("the clean-up was tried three times", () => deletions(replica) >= 3);
      expect((await widget("ended"))?.metadata.finalizers).toEqual([FINALIZER]);
      expect(await child("ended")).toBeDefined();
      expect(replica.writes().filter(({ path }) => path.endsWith("/widgets/ended"))).toEqual([]);
      heal();
      await eventually("gone", async () => (await widget("ended")) === undefined);
      expect(await child("ended")).toBeUndefined();
    });

    it("an object that is being deleted without it is left to others", async () => {
      const { user } = server();
      const foreign = await create("foreign", { size: 1 }, { finalizers: [OTHER_FINALIZER] });
      await user.create(ConfigMap, childOf(foreign));
      await remove("foreign");
      const replica = start("a", fast());
      await replica.leads();
      await eventually("it was looked at", () => replica.runs.includes("foreign"));
      await replica.rests();
      expect(replica.writes()).toEqual([]);
      expect(await child("foreign")).toBeDefined();
      expect((await widget("foreign"))?.metadata.finalizers).toEqual([OTHER_FINALIZER]);
      await patch("foreign", { metadata: { finalizers: null } });
      await eventually("gone", async () => (await widget("foreign")) === undefined);
      await replica.rests();
      expect(replica.writes()).toEqual([]);
    });
  });

  describeItem(suite, 12, (server) => {
    const { start, create, patch, ready, widget, isReady } = useFixture(server);

    it("a failure and its end, told for each generation", async () => {
      const { user, namespace } = server();
      const clock = createScaledClock(FACTOR);
      // Somebody else's ConfigMap has the child's name.
      await user.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name: "told" } });
      const replica = start("a", { clock });
      await replica.leads();
      await create("told");
      const first = await conditionWhen(
        "the failure is told",
        ready,
        ({ observedGeneration }) => observedGeneration === 1,
      );
      expect(first).toMatchObject({ status: "False", reason: "NameConflict" });
      const began = clock.now();
      await eventually("seconds have passed", () => clock.now() - began > 2_000);

      await patch("told", { spec: { size: 2 } });
      const second = await conditionWhen(
        "it is told for the new generation",
        ready,
        ({ observedGeneration }) => observedGeneration === 2,
      );
      expect(second).toEqual({ ...first, observedGeneration: 2 });
      // What kstatus reads: the generation first, then Stalled.
      const { status } = (await widget("told")) ?? {};
      expect(status).toMatchObject({ observedGeneration: 2 });
      expect(findCondition(status?.["conditions"] as readonly Condition[], "Stalled")).toMatchObject({
        status: "True",
        observedGeneration: 2,
      });

      await user.delete(ConfigMap, { namespace, name: "told" });
      await patch("told", { spec: { size: 3 } });
      const third = await conditionWhen("it is ready", ready, ({ observedGeneration }) => observedGeneration === 3);
      expect(third).toMatchObject({ status: "True", reason: "Applied", message: "size 3" });
      expect(secondsOf(third)).toBeGreaterThanOrEqual(secondsOf(first) + 2);

      await eventually("seconds have passed", () => clock.now() / 1_000 > secondsOf(third) + 2);
      await patch("told", { spec: { size: 4 } });
      const fourth = await conditionWhen("the next size", ready, ({ observedGeneration }) => observedGeneration === 4);
      expect(fourth).toEqual({ ...third, message: "size 4", observedGeneration: 4 });
    });

    it("who waits for it comes to an end, after a success and after a failure", async () => {
      const { user, namespace } = server();
      const replica = start("a");
      await replica.leads();
      await user.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name: "fails" } });
      await create("works");
      await create("fails");
      await waitFor(server(), "works", "True");
      await waitFor(server(), "fails", "False");
      await patch("works", { spec: { size: 2 } });
      await eventually("the change is carried out", () => isReady("works", 2));
      await waitFor(server(), "works", "True");
    });
  });

  /** `kubectl wait` where there is one, and otherwise what it does. */
  async function waitFor(
    { kubeconfig, namespace, user }: AcceptanceServer,
    name: string,
    status: string,
  ): Promise<void> {
    if (kubeconfig !== undefined) {
      const args = ["wait", `widgets.test.shieldx.dev/${name}`, `--for=condition=Ready=${status}`, "--timeout=20s"];
      await promisify(execFile)(KUBECTL, [...args, "--kubeconfig", kubeconfig, "--namespace", namespace], {
        timeout: 30_000,
      });
      return;
    }
    await eventually(`${name} is Ready=${status}`, async () => {
      const { metadata, status: now } = await user.get(WIDGET, { namespace, name });
      // kubectl's rule: a condition that describes an older generation says nothing.
      return ((now?.["conditions"] ?? []) as Condition[]).some(
        (it) => it.type === "Ready" && it.status === status && it.observedGeneration >= (metadata.generation ?? 0),
      );
    });
  }
}

function deletions(replica: { writes(): readonly { readonly method: string }[] }): number {
  return replica.writes().filter(({ method }) => method === "DELETE").length;
}

async function conditionWhen(
  what: string,
  read: (name: string) => Promise<Condition | undefined>,
  check: (condition: Condition) => boolean,
): Promise<Condition> {
  return eventually(what, async () => {
    const condition = await read("told");
    return condition !== undefined && check(condition) ? condition : undefined;
  });
}

function secondsOf({ lastTransitionTime }: Condition): number {
  return Date.parse(lastTransitionTime) / 1_000;
}
