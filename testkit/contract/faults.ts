import { afterEach, describe, expect, it } from "@jest/globals";
import type { KubeClient } from "../../lib/kube/client.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { latency } from "../fault-recipes.ts";
import { eventually } from "../wait.ts";
import { configMap } from "../widget.ts";
import { type ContractCases, ref } from "./server.ts";
import { pathOf, sendWire, type WireEvent, watchWire } from "./wire.ts";

const { ConfigMap } = RESOURCES;

/** What each fault does to whoever speaks to the server through its target. */
export const faultCases: ContractCases = (server) => {
  const client = () => server().client();
  const target = () => server().target;
  let faulty: KubeClient | undefined;
  const through = (): KubeClient => (faulty ??= server().faultyClient());
  const send = (request: string, body?: unknown) => sendWire(target().server, request, body);
  const create = (name: string, labels: Record<string, string> = {}, a = "1") =>
    client().create(ConfigMap, configMap(name, { a }, labels));
  const edit = (name: string, a: string) =>
    client().patch(ConfigMap, ref(name), { format: "merge", patch: { data: { a } } });
  const open = async (label: string) => {
    const { resourceVersion } = await client().list(ConfigMap, { namespace: "default" });
    const query = { watch: "true", labelSelector: `${label}=yes`, resourceVersion };
    const watch = await watchWire(target().server, pathOf(ConfigMap, "", query));
    await eventually("the watch is open", () => target().watches() > 0);
    return watch;
  };
  const textOf = (event: WireEvent | undefined): string =>
    `${event?.type} ${event?.object.metadata.name} ${(event?.object["data"] as { a?: string } | undefined)?.a}`;

  afterEach(async () => {
    target().heal();
    target().cutWatches();
    await faulty?.close();
    faulty = undefined;
  });

  describe("faults of requests", () => {
    it("an answer of the fault's own: the server does nothing", async () => {
      target().inject({ method: "POST", action: { type: "answer", status: 429, retryAfterSeconds: 7 } });
      const refused = await send(`POST ${pathOf(ConfigMap)}`, configMap("answered", {}));
      expect([refused.status, refused.body.reason, refused.retryAfter]).toEqual([429, "TooManyRequests", "7"]);
      expect(await client().find(ConfigMap, ref("answered"))).toBeUndefined();
      // It was for one request.
      expect((await send(`POST ${pathOf(ConfigMap)}`, configMap("answered", {}))).status).toBe(201);
    });

    it.each([500, 503, 504])("%i is tried again where that is safe", async (status) => {
      await create(`again-${status}`);
      target().inject({ method: "GET", times: 2, action: { type: "answer", status } });
      expect((await through().get(ConfigMap, ref(`again-${status}`))).metadata.name).toBe(`again-${status}`);
      target().inject({ method: "POST", action: { type: "answer", status } });
      await expect(through().create(ConfigMap, configMap(`once-${status}`, {}))).rejects.toMatchObject({
        details: { httpStatus: status },
      });
    });

    it("a reset before it is done", async () => {
      target().inject({ method: "POST", action: { type: "reset" } });
      await expect(through().create(ConfigMap, configMap("reset", {}))).rejects.toMatchObject({
        code: "KUBE_UNREACHABLE",
      });
      expect(await client().find(ConfigMap, ref("reset"))).toBeUndefined();
    });

    it.each(["lose-answer", "cut-answer"] as const)("%s: done, and nobody hears of it", async (type) => {
      target().inject({ method: "POST", action: { type } });
      await expect(through().create(ConfigMap, configMap(type, {}))).rejects.toMatchObject({
        code: "KUBE_UNREACHABLE",
      });
      expect(await client().find(ConfigMap, ref(type))).toBeDefined();
    });

    it("no answer ever: the caller's own limit ends it", async () => {
      target().inject({ method: "POST", action: { type: "hang" } });
      const options = { timeoutMs: 100 };
      await expect(through().create(ConfigMap, configMap("hang", {}), options)).rejects.toMatchObject({
        code: expect.stringMatching(/^KUBE_|TIMEOUT/),
      });
      expect(await client().find(ConfigMap, ref("hang"))).toBeUndefined();
    });

    it("latency, and waiting for the test", async () => {
      target().inject(latency(150, { method: "POST", times: 1 }));
      const startedAt = performance.now();
      await through().create(ConfigMap, configMap("slow", {}));
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(145);
      let go: () => void = () => undefined;
      const until = new Promise<void>((done) => {
        go = done;
      });
      target().inject({ method: "POST", action: { type: "wait", until } });
      const created = through().create(ConfigMap, configMap("waited", {}));
      expect(await client().find(ConfigMap, ref("waited"))).toBeUndefined();
      go();
      expect((await created).metadata.name).toBe("waited");
    });

    it("hit by path, number and chance, until they are taken away", async () => {
      const undo = target().inject({
        path: /configmaps\/hit/,
        times: Number.POSITIVE_INFINITY,
        action: { type: "answer", status: 503 },
      });
      await create("hit");
      await create("missed");
      const statusOf = async (name: string) => (await send(`GET ${pathOf(ConfigMap, name)}`)).status;
      expect([await statusOf("hit"), await statusOf("missed"), await statusOf("hit")]).toEqual([503, 200, 503]);
      undo();
      expect(await statusOf("hit")).toBe(200);
      target().inject({ chance: 0, times: Number.POSITIVE_INFINITY, action: { type: "reset" } });
      expect(await statusOf("hit")).toBe(200);
    });
  });

  describe("faults of watches", () => {
    it("end in order, are cut, and are cut in the middle of a line", async () => {
      const first = await open("ended");
      target().endWatches();
      expect(await first.next()).toBeUndefined();
      const second = await open("ended");
      target().cutWatches();
      await expect(second.next()).rejects.toThrow();
      const third = await open("ended");
      target().cutWatches({ half: true });
      await expect(third.next()).rejects.toThrow();
      expect(target().watches()).toBe(0);
      target().inject({ watch: true, action: { type: "cut-answer" } });
      const fourth = await open("ended");
      await create("ended-a", { ended: "yes" });
      await expect(fourth.next()).rejects.toThrow();
    });

    it("fall silent and stay open; a new one hears what was missed", async () => {
      const { resourceVersion } = await client().list(ConfigMap, { namespace: "default" });
      const silent = await open("stalled");
      target().stallWatches();
      await create("stalled-a", { stalled: "yes" });
      await expect(silent.next(150)).rejects.toThrow("no line");
      const query = { watch: "true", labelSelector: "stalled=yes", resourceVersion };
      const again = await watchWire(target().server, pathOf(ConfigMap, "", query));
      expect(textOf(await again.next())).toBe("ADDED stalled-a 1");
      await Promise.all([silent.close(), again.close()]);
    });

    it("receive lines that no server sends", async () => {
      const watch = await open("garbage");
      target().sendLine('{"type":"SURPRISE","object":{}}');
      expect(await watch.next()).toEqual({ type: "SURPRISE", object: {} });
      await watch.close();
    });

    it("drip", async () => {
      target().troubleWatches({ type: "slow", bytes: 64, everyMs: 10 });
      const watch = await open("slow");
      const startedAt = performance.now();
      await create("slow-a", { slow: "yes" });
      expect(textOf(await watch.next())).toBe("ADDED slow-a 1");
      // An event has more than 500 bytes.
      expect(performance.now() - startedAt).toBeGreaterThan(70);
      await watch.close();
    });

    it("lag behind reads", async () => {
      target().troubleWatches({ type: "late", ms: 200 });
      const watch = await open("late");
      const startedAt = performance.now();
      await create("late-a", { late: "yes" });
      expect((await send(`GET ${pathOf(ConfigMap, "late-a")}`)).status).toBe(200);
      expect(performance.now() - startedAt).toBeLessThan(200);
      expect(textOf(await watch.next())).toBe("ADDED late-a 1");
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(195);
      await watch.close();
    });

    it("tell things twice", async () => {
      const undo = target().troubleWatches({ type: "duplicate" });
      const watch = await open("twice");
      await create("twice-a", { twice: "yes" });
      expect([textOf(await watch.next()), textOf(await watch.next())]).toEqual(["ADDED twice-a 1", "ADDED twice-a 1"]);
      undo();
      await edit("twice-a", "2");
      await edit("twice-a", "3");
      expect([textOf(await watch.next()), textOf(await watch.next())]).toEqual([
        "MODIFIED twice-a 2",
        "MODIFIED twice-a 3",
      ]);
      await watch.close();
    });

    it("swap changes of different objects, and of one object when that is asked for", async () => {
      const undo = target().troubleWatches({ type: "reorder", what: "across-objects" });
      const watch = await open("swap");
      await create("swap-a", { swap: "yes" });
      await create("swap-b", { swap: "yes" });
      expect([textOf(await watch.next()), textOf(await watch.next())]).toEqual(["ADDED swap-b 1", "ADDED swap-a 1"]);
      await edit("swap-a", "2");
      await edit("swap-a", "3");
      expect([textOf(await watch.next()), textOf(await watch.next())]).toEqual([
        "MODIFIED swap-a 2",
        "MODIFIED swap-a 3",
      ]);
      undo();
      target().troubleWatches({ type: "reorder", what: "within-object" });
      await edit("swap-a", "4");
      await edit("swap-a", "5");
      expect([textOf(await watch.next()), textOf(await watch.next())]).toEqual([
        "MODIFIED swap-a 5",
        "MODIFIED swap-a 4",
      ]);
      // Nothing overtakes it: it comes all the same.
      await edit("swap-b", "2");
      expect(textOf(await watch.next())).toBe("MODIFIED swap-b 2");
      await watch.close();
    });

    it.each(["status", "frame"] as const)(
      "are told by a %s that their version is gone, until they list again",
      async (as) => {
        const { metadata } = await create(`compact-${as}`);
        const resourceVersion = metadata.resourceVersion ?? "";
        target().compact(as);
        const watch = through().watch(ConfigMap, { namespace: "default", resourceVersion });
        await expect(watch.next()).rejects.toMatchObject({ code: "KUBE_GONE" });
        const query = { watch: "true", resourceVersion };
        if (as === "status") expect((await send(`GET ${pathOf(ConfigMap, "", query)}`)).status).toBe(410);
        const list = await through().list(ConfigMap, { namespace: "default" });
        const again = through().watch(ConfigMap, { namespace: "default", resourceVersion: list.resourceVersion });
        await create(`compact-${as}-later`);
        const { value } = (await again.next()) as { value: { object: { metadata: { name: string } } } };
        expect(value.object.metadata.name).toBe(`compact-${as}-later`);
        await again.return(undefined);
      },
    );
  });

  it("keep a record of what was asked", async () => {
    target().forgetRequests();
    await send(`POST ${pathOf(ConfigMap)}`, configMap("recorded", {}));
    await send(`GET ${pathOf(ConfigMap, "recorded")}`);
    expect(
      target()
        .requests()
        .map(({ method }) => method),
    ).toEqual(["POST", "GET"]);
    expect(target().writes()).toHaveLength(1);
  });
};
