/** Parts of a Rollout's spec that do not belong together: programs and the API server refuse them with the same sentence. */

const STAGE = { weightBps: 10_000, minSamples: 1, maxErrorRateBps: 100 };

const ladder = (stage: object): object => ({ stages: [{ ...STAGE, ...stage }] });
const ports = (...list: readonly object[]): object => ({ service: { ports: list } });
const request = (asked: object): object => ({ request: { id: "a", ...asked } });

const window = (given: object): object => ({ windows: [{ start: "22:00", end: "04:00", ...given }] });
const led = (gatewayAPI: object, rest: object = {}): object => ({ traffic: { gatewayAPI }, ...rest });
const parentRefs = [{ name: "public" }];

export const REFUSED_ROLLOUTS: readonly (readonly [what: string, part: object, sentence: string])[] = [
  [
    "a hold that is longer than the longest one",
    ladder({ holdSeconds: 61, maxHoldSeconds: 60 }),
    "holdSeconds must not exceed maxHoldSeconds",
  ],
  [
    "a hold that is longer than the longest one by default",
    ladder({ holdSeconds: 3_601 }),
    "holdSeconds must not exceed maxHoldSeconds",
  ],
  ["a stage to promote to", request({ action: "Promote", stage: 1 }), "stage is only for action Jump"],
  [
    "two budgets of drains",
    { disruption: { maxUnavailable: 1, minAvailable: "80%" } },
    "name either maxUnavailable or minAvailable",
  ],
  [
    "a number of pods beside an autoscaler",
    { replicas: 2, autoscaling: { minReplicas: 2, maxReplicas: 4 } },
    "name either replicas or autoscaling",
  ],
  ["bounds the wrong way round", { autoscaling: { minReplicas: 5, maxReplicas: 4 } }, "must not exceed maxReplicas"],
  [
    "a metric of another type than it says",
    { autoscaling: { minReplicas: 1, maxReplicas: 4, metrics: [{ type: "Pods", resource: {} }] } },
    "the member that its type names",
  ],
  ["a window of no time", window({ start: "09:00", end: "09:00" }), "start and end must differ"],
  ["a window in a zone that is none", window({ timeZone: "Europe/Pragu" }), "must be a time zone of the IANA database"],
  ["a budget of nothing", { disruption: {} }, "name either maxUnavailable or minAvailable"],
  ["a share of flags without flags", ladder({ flagBps: 100 }), "flagBps of a stage needs flags to raise"],
  ["flags that no stage raises", { flags: { items: [{ key: "a" }] } }, "no stage raises the flags"],
  [
    "flags that only stay off",
    { ...ladder({ flagBps: 0 }), flags: { items: [{ key: "a" }] } },
    "no stage raises the flags",
  ],
  [
    "a share of flags that falls",
    {
      stages: [
        { ...STAGE, weightBps: 100, flagBps: 200 },
        { ...STAGE, flagBps: 100 },
      ],
      flags: { items: [{ key: "a" }] },
    },
    "flagBps must not fall from one stage to the next",
  ],
  [
    "a flag with one variant",
    { ...ladder({ flagBps: 1 }), flags: { items: [{ key: "a", onVariant: "x", offVariant: "x" }] } },
    "onVariant and offVariant must differ",
  ],
  [
    "one value of two",
    { ...ladder({ flagBps: 1 }), flags: { items: [{ key: "a", onValue: "x" }] } },
    "onValue and offValue go together",
  ],
  ["a jump to nowhere", request({ action: "Jump" }), "action Jump needs a stage"],
  ["neither a Service nor ports", { service: {} }, "name a Service, or ports"],
  ["two ports of which one has no name", ports({ name: "a", port: 80 }, { port: 81 }), "each needs a name"],
  ["two ports of one name", ports({ name: "a", port: 80 }, { name: "a", port: 81 }), "names of ports must differ"],
  ["two ports of one number", ports({ name: "a", port: 80 }, { name: "b", port: 80 }), "numbers of ports must differ"],
  ["no Gateway and no route", led({}), "traffic.gatewayAPI needs parentRefs, or the name of a route that is there"],
  [
    "Gateways beside a route of the user's",
    led({ route: { name: "a" }, parentRefs }),
    "traffic.gatewayAPI.parentRefs is for",
  ],
  ["host names beside it", led({ route: { name: "a" }, hostnames: [] }), "traffic.gatewayAPI.hostnames is for"],
  ["matches beside it", led({ route: { name: "a" }, matches: [] }), "traffic.gatewayAPI.matches is for"],
  ["filters beside it", led({ route: { name: "a" }, filters: [] }), "traffic.gatewayAPI.filters is for"],
  [
    "a route of the user's, and no Service whose place is taken",
    led({ route: { name: "a" } }, { service: { ports: [{ port: 80 }] } }),
    "traffic.gatewayAPI.route.backend is needed where service.name is not set",
  ],
];

/** The same parts as they may be. */
export const TAKEN_ROLLOUTS: readonly (readonly [what: string, part: object])[] = [
  ["a hold as long as the longest one", ladder({ holdSeconds: 60, maxHoldSeconds: 60 })],
  ["a long hold of a stage that waits for ever", ladder({ holdSeconds: 86_400, maxHoldSeconds: 0 })],
  ["a jump to the first stage", request({ action: "Jump", stage: 0 })],
  ["an autoscaler", { autoscaling: { minReplicas: 4, maxReplicas: 4 } }],
  ["a window over midnight", window({ timeZone: "America/Argentina/Buenos_Aires" })],
  ["a window of a day", window({ days: ["Sun"], start: "00:00", end: "24:00" })],
  ["a budget of drains", { disruption: { minAvailable: "80%" } }],
  [
    "flags of which the last stage raises nothing more",
    {
      stages: [{ ...STAGE, weightBps: 100, flagBps: 200 }, STAGE],
      flags: {
        items: [{ key: "a" }, { key: "b.c", onVariant: "wide", offVariant: "narrow", onValue: "w", offValue: "" }],
      },
    },
  ],
  ["one port without a name", ports({ port: 80 })],
  [
    "two ports with names",
    ports({ name: "a", port: 80, targetPort: 8_080 }, { name: "b", port: 81, targetPort: 8_080 }),
  ],
  ["a route of the user's", led({ route: { name: "a" } })],
  ["a rule of it, by its name", led({ route: { name: "a", rule: "shop.v1" } })],
  ["a rule of it, by its index", led({ route: { name: "a", rule: 15 } })],
  [
    "a route of the user's with a backend of another name",
    led({ kind: "GRPCRoute", route: { name: "a", backend: "web" } }, { service: { ports: [{ port: 80 }] } }),
  ],
];
