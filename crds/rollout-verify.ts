/** `spec.verify` of a Rollout: what a new version must pass before it gets a request, and what is remembered of it. */
import { z } from "zod";
import { dnsLabel, intOrString, keepUnknown, listAtomic, listMap, withRules } from "./common.ts";

/** Most smoke tests of a Rollout. */
const SMOKE_MAX = 16;
/** Longest name of a smoke test: the name of its Job ends with it and a hash (RESOURCE_NAME_MAX_LENGTH). */
const NAME_MAX_LENGTH = 16;
/** Name under which the health check is remembered among the smoke tests. */
export const HEALTH_CHECK = "health";

const port = z.int().min(1).max(65_535);
const path = z
  .string()
  .min(1)
  .max(512)
  .regex(/^\/[!-~]*$/);

const expectStatus = listAtomic(
  z
    .array(
      intOrString(
        z.int().min(100).max(599),
        z
          .string()
          .max(7)
          .regex(/^[1-5][0-9]{2}(-[1-5][0-9]{2})?$/),
      ),
    )
    .min(1)
    .max(16),
)
  .meta({ description: 'Statuses of a good answer: 204, or a range in quotes, "200-299".' })
  .default(["200-299"]);

const health = z.strictObject({
  attempts: z
    .int()
    .min(1)
    .max(300)
    .meta({ description: "Looks at most. The check passes at the first at which every pod is ready and answers well." })
    .default(30),
  intervalSeconds: z.int().min(1).max(60).meta({ description: "Time from one look to the next." }).default(2),
  http: z
    .strictObject({
      path: path.meta({ description: "Path of the GET that each pod of the new version must answer within 2 s." }),
      port: port
        .meta({ description: "Port of the pods; that to which the route's requests go unless told." })
        .exactOptional(),
      expectStatus,
    })
    .meta({ description: "What each pod is asked, by plain HTTP, at its own address." }),
});
export type HealthCheckSpec = z.output<typeof health>;

/** Headers that say how a request is sent. */
const FRAMING = ["connection", "content-length", "transfer-encoding", "upgrade"] as const;

const header = withRules(
  z.strictObject({
    name: z
      .string()
      .min(1)
      .max(128)
      .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/)
      .meta({ description: "Name of the header." }),
    value: z
      .string()
      .max(1_024)
      .regex(/^[ -~]*$/)
      .meta({ description: "Its value, readable by all who read the Rollout: no secrets." }),
  }),
  [
    {
      rule: `!(self.name.lowerAscii() in [${FRAMING.map((name) => `'${name}'`).join(", ")}])`,
      message: "headers about the sending itself are the controller's",
      check: ({ name }) => !(FRAMING as readonly string[]).includes(name.toLowerCase()),
    },
  ],
);

const http = withRules(
  z.strictObject({
    path: path.meta({ description: "Path of the request, with its query." }),
    port: port
      .meta({ description: "Port of the pods; that to which the route's requests go unless told." })
      .exactOptional(),
    method: z.enum(["GET", "HEAD", "POST"]).meta({ description: "Method of the request." }).default("GET"),
    headers: listMap(z.array(header).max(16), ["name"])
      .meta({
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        description: "Headers of the request; Host among them, where the application asks for it.",
      })
      .exactOptional(),
    body: z
      .string()
      .max(16_384)
      .meta({ description: "Body of a POST. It may be sent again after a change of leader." })
      .exactOptional(),
    expectStatus,
    expectBody: z
      .string()
      .min(1)
      .max(1_024)
      .meta({ description: "Text that the first 64 KiB of the answer must hold; empty means any answer." })
      .exactOptional(),
    timeoutSeconds: z
      .int()
      .min(1)
      .max(60)
      .meta({
        description:
          "Time for the whole answer. A connection that cannot be made is tried again within it; an answer counts at once.",
      })
      .default(10),
  }),
  [
    {
      rule: "!has(self.body) || self.method == 'POST'",
      message: "only a POST has a body",
      check: ({ body, method }) => body === undefined || method === "POST",
    },
    {
      rule: "!has(self.expectBody) || self.method != 'HEAD'",
      message: "the answer to HEAD has no body to expect anything of",
      check: ({ expectBody, method }) => expectBody === undefined || method !== "HEAD",
    },
  ],
);
export type HttpCheckSpec = z.output<typeof http>;

const job = z.strictObject({
  template: keepUnknown(z.looseObject({})).meta({
    description:
      "Pod template, as spec.template of a Job; restartPolicy is Never unless told. All its containers get SHIELDX_ROLLOUT, SHIELDX_REVISION, SHIELDX_COLOUR (blue or green) and SHIELDX_SERVICE_URL (where the new version answers, without a slash at the end).",
  }),
  backoffLimit: z.int().min(0).max(3).meta({ description: "Times that a pod which failed is tried again." }).default(0),
  activeDeadlineSeconds: z
    .int()
    .min(10)
    .max(3_600)
    .meta({
      description: "Time for all tries, that before a pod starts among it; what has not succeeded then has failed.",
    })
    .default(300),
});
export type JobCheckSpec = z.output<typeof job>;

const smoke = withRules(
  z.strictObject({
    name: dnsLabel("Names the test in the status and in messages; not 'health'.", NAME_MAX_LENGTH),
    http: http
      .meta({
        ...http.meta(),
        description: "One request to a ready pod of the new version, by plain HTTP from the controller.",
      })
      .exactOptional(),
    job: job
      .meta({
        description: "A Job that succeeds when the new version is good; it is named <rollout>-<name>-<hash>.",
      })
      .exactOptional(),
  }),
  [
    {
      rule: "has(self.http) != has(self.job)",
      message: "a smoke test is either http or job",
      check: (value) => (value.http === undefined) !== (value.job === undefined),
    },
    {
      rule: `self.name != '${HEALTH_CHECK}'`,
      message: `'${HEALTH_CHECK}' is the name of the health check`,
      check: ({ name }) => name !== HEALTH_CHECK,
    },
  ],
);

/** `spec.verify` of a Rollout. */
export const rolloutVerify = z.strictObject({
  health: health
    .meta({
      description: "Every pod of the new version must be ready and answer, before the smoke tests begin.",
    })
    .exactOptional(),
  smoke: listMap(z.array(smoke).max(SMOKE_MAX), ["name"])
    .meta({
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
      description: "Smoke tests, all required, four at once. The first that fails takes the release back.",
    })
    .default([]),
});
export type RolloutVerify = z.output<typeof rolloutVerify>;

/** Longest message of a check in the status. */
export const CHECK_MESSAGE_MAX = 512;

const time = z.iso.datetime();

const check = z.strictObject({
  name: z.string().max(63).meta({ description: "The smoke test, or 'health'." }),
  check: z
    .string()
    .max(16)
    .meta({ description: "Hash of what is checked and of the release: another one has no result yet." }),
  result: z.enum(["Running", "Passed", "Failed"]).meta({ description: "What came of it." }),
  message: z
    .string()
    .max(CHECK_MESSAGE_MAX)
    .meta({ description: "Why it failed, or what holds it up; the last words of the container among it." }),
  startedAt: time.meta({ description: "When it, or its present run, began." }),
  endedAt: time.meta({ description: "When it passed or failed." }).exactOptional(),
  job: z.string().max(63).meta({ description: "UID of its Job, once there is one." }).exactOptional(),
  runs: z.int().min(1).max(16).meta({ description: "Runs; more than one after its Job was removed." }).exactOptional(),
});
/** What is remembered of a check. */
export type CheckRecord = z.output<typeof check>;

/** `status.verify` of a Rollout. */
export const rolloutChecks = listAtomic(z.array(check).max(SMOKE_MAX + 1));
