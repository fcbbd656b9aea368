// Jobs of smoke tests: as they are made, and what they say.
import { describe, expect, test } from "@jest/globals";
import { LABELS } from "../../../crds/group.ts";
import { rolloutVerify } from "../../../crds/rollout-verify.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import { type Clues, NO_CLUES } from "../../../operator/runtime/clues.ts";
import { targetOf } from "../rollout.names.ts";
import { colourService } from "../rollout.objects.ts";
import { rollout } from "../testing/builders.ts";
import { COMPLETE, endedWith, GAVE_UP, jobPod, TOO_LATE, UNPULLABLE } from "../testing/smoke-jobs.ts";
import { checksOf } from "./checks.ts";
import { observeJob, observeJobPod, seenJob, smokeJob } from "./jobs.ts";

const target = targetOf(rollout());
const SUBJECT = { revision: "r2", colour: "Green", url: "http://web-green.shop.svc:80" } as const;

function made(template: object, given: object = {}): KubeObject {
  const verify = rolloutVerify.parse({ smoke: [{ name: "buy", job: { template, ...given } }] });
  const [check] = checksOf(verify, "run");
  if (check?.kind !== "job") throw new Error("no Job");
  return smokeJob(target, check, SUBJECT);
}

interface JobSpec {
  readonly template: {
    readonly metadata: { readonly labels: Record<string, string>; readonly annotations?: Record<string, string> };
    readonly spec: {
      readonly restartPolicy: string;
      readonly containers: readonly { readonly env: readonly { name: string; value: string }[] }[];
      readonly initContainers?: readonly { readonly env: readonly { name: string; value: string }[] }[];
    };
  };
}

const specOf = (job: KubeObject): JobSpec => job["spec"] as JobSpec;
const CONTAINERS = { spec: { containers: [{ name: "test", image: "smoke:1" }] } };

describe("as it is made", () => {
  test("with the bounds of the spec, and what its containers are told", () => {
    const job = made({
      spec: {
        initContainers: [{ name: "wait" }],
        containers: [{ name: "test", env: [{ name: "PATHS", value: "$(SHIELDX_SERVICE_URL)/a" }] }],
      },
    });
    expect(job.metadata.name).toMatch(/^web-buy-[0-9a-f]{8}$/);
    expect(job.metadata.ownerReferences).toMatchObject([{ kind: "Rollout", name: "web", controller: true }]);
    expect(job["spec"]).toMatchObject({ backoffLimit: 0, activeDeadlineSeconds: 300, ttlSecondsAfterFinished: 3_600 });
    const told = [
      { name: "SHIELDX_ROLLOUT", value: "web" },
      { name: "SHIELDX_REVISION", value: "r2" },
      { name: "SHIELDX_COLOUR", value: "green" },
      { name: "SHIELDX_SERVICE_URL", value: "http://web-green.shop.svc:80" },
    ];
    const { containers, initContainers, restartPolicy } = specOf(job).template.spec;
    expect(containers[0]?.env).toEqual([...told, { name: "PATHS", value: "$(SHIELDX_SERVICE_URL)/a" }]);
    expect(initContainers?.[0]?.env).toEqual(told);
    expect(restartPolicy).toBe("Never");
  });

  test("a variable of the template wins: no two have the same name", () => {
    const env = [{ name: "SHIELDX_SERVICE_URL", value: "https://other" }];
    const job = made({ spec: { containers: [{ name: "test", env }] } });
    const own = specOf(job).template.spec.containers[0]?.env.filter(({ name }) => name === "SHIELDX_SERVICE_URL");
    expect(own).toEqual(env);
  });

  test("its pods are reached by no Service of ours, whatever labels the template has", () => {
    const labels = { app: "web", [LABELS.colour]: "green", [LABELS.component]: "release" };
    const pod = specOf(made({ metadata: { labels, annotations: { note: "1" } }, ...CONTAINERS })).template.metadata;
    const { selector } = colourService(target, "Green", [{ port: 80 }])["spec"] as { selector: Record<string, string> };
    expect(Object.entries(selector).every(([key, value]) => pod.labels[key] === value)).toBe(false);
    expect(pod.labels).toMatchObject({ app: "web", [LABELS.kind]: "Rollout", [LABELS.name]: "web" });
    expect(pod.labels[LABELS.colour]).toBeUndefined();
    expect(pod.annotations).toEqual({ note: "1" });
  });

  test("a drain is no failure, where Kubernetes can tell", () => {
    expect(made(CONTAINERS)["spec"]).toHaveProperty("podFailurePolicy");
    const restarted = made({ spec: { ...CONTAINERS.spec, restartPolicy: "OnFailure" } });
    expect(restarted["spec"]).not.toHaveProperty("podFailurePolicy");
  });

  test("the longest names fit", () => {
    const longest = targetOf({ ...rollout(), metadata: { ...rollout().metadata, name: "r".repeat(36) } });
    expect(longest.names.smoke("t".repeat(16), "0".repeat(8)).length).toBeLessThanOrEqual(63);
  });
});

describe("a check of another kind is another check", () => {
  const smoke = (given: object) => rolloutVerify.parse({ smoke: [{ name: "buy", ...given }] });
  const hash = (given: object, run = "run") => checksOf(smoke(given), run)[0]?.hash;
  const base = { http: { path: "/a" } };

  test.each([
    ["another release", base, "later run"],
    ["another path", { http: { path: "/b" } }, "run"],
    ["a Job", { job: { template: {} } }, "run"],
    ["another name", { ...base, name: "sell" }, "run"],
  ])("%s", (_, given, run) => {
    expect(hash(given, run)).not.toBe(hash(base));
  });
});

describe("what it says", () => {
  const job = { ...made(CONTAINERS), metadata: { ...made(CONTAINERS).metadata, uid: "u1" } };
  const withStatus = (status: object | undefined): KubeObject => ({
    ...job,
    ...(status === undefined ? {} : { status }),
  });
  const say = (status: object | undefined, podStatus?: Record<string, unknown>, clues: Clues = NO_CLUES) =>
    seenJob(
      observeJob(withStatus(status)),
      podStatus === undefined ? [] : [observeJobPod(jobPod(job, podStatus))],
      clues,
    );
  const { name } = job.metadata;

  test.each<[string, object | undefined, Record<string, unknown> | undefined, object]>([
    ["nothing yet", undefined, undefined, { state: "Running", job: "u1" }],
    ["a pod that runs", {}, { phase: "Running" }, { state: "Running", message: "", job: "u1" }],
    ["a pod that succeeded is no success yet", {}, endedWith(0, ""), { state: "Running", message: "", job: "u1" }],
    ["success", COMPLETE, endedWith(0, ""), { state: "Passed", message: `Job ${name} succeeded`, job: "u1" }],
    [
      "failure, whatever its pod says",
      GAVE_UP,
      endedWith(0, ""),
      {
        state: "Failed",
        message: `Job ${name} failed: BackoffLimitExceeded: Job has reached the specified backoff limit`,
        job: "u1",
      },
    ],
    [
      "failure and success at once is failure",
      { conditions: [...COMPLETE.conditions, ...GAVE_UP.conditions] },
      undefined,
      { state: "Failed" },
    ],
    ["a stopped Job", { conditions: [{ type: "Suspended", status: "True" }] }, undefined, { state: "Running" }],
    [
      "a success that does not hold",
      { conditions: [{ type: "Complete", status: "False" }] },
      undefined,
      { state: "Running" },
    ],
    [
      "its deadline",
      TOO_LATE,
      undefined,
      {
        state: "Failed",
        message: `Job ${name} failed: DeadlineExceeded: Job was active longer than specified deadline`,
      },
    ],
  ])("%s", (_, status, pod, wanted) => {
    expect(say(status, pod)).toMatchObject(wanted);
  });

  test("there is none", () => {
    expect(seenJob(undefined, [], NO_CLUES)).toEqual({ state: "Absent" });
  });

  test("the words of a container that ended, and of a registry", () => {
    expect(say(GAVE_UP, endedWith(1, "no price\n"))).toMatchObject({
      words: `pod ${name}-pod: it ended: Failed; its container ended with exit code 1: no price`,
    });
    expect(say({}, UNPULLABLE)).toMatchObject({
      state: "Running",
      message: expect.stringContaining("image smoke:1 cannot be pulled: ImagePullBackOff"),
    });
  });

  test("a quota, in the words of the Job's controller", () => {
    const complaints = new Map([
      ["u1", { reason: "FailedCreate", message: "Error creating: pods is forbidden: exceeded quota: small" }],
    ]);
    expect(say(undefined, undefined, { ...NO_CLUES, complaints })).toMatchObject({
      state: "Running",
      message: expect.stringContaining("no pod can be made: pods is forbidden: exceeded quota: small"),
    });
  });

  test("pods of another Job of the same name say nothing", () => {
    const other = observeJobPod(jobPod({ ...job, metadata: { ...job.metadata, uid: "u0" } }, UNPULLABLE));
    expect(seenJob(observeJob(withStatus({})), [other], NO_CLUES)).toEqual({ state: "Running", job: "u1" });
  });
});
