// What spec.verify takes and refuses, as programs see it; the API server's view: crds.int.test.ts.
import { expect, test } from "@jest/globals";
import { rolloutVerify } from "./rollout-verify.ts";

const http = { path: "/ok" };

test("defaults", () => {
  expect(rolloutVerify.parse({})).toEqual({ smoke: [] });
  expect(
    rolloutVerify.parse({
      health: { http },
      smoke: [
        { name: "a", http },
        { name: "b", job: { template: {} } },
      ],
    }),
  ).toEqual({
    health: { attempts: 30, intervalSeconds: 2, http: { path: "/ok", expectStatus: ["200-299"] } },
    smoke: [
      { name: "a", http: { path: "/ok", method: "GET", expectStatus: ["200-299"], timeoutSeconds: 10 } },
      { name: "b", job: { template: {}, backoffLimit: 0, activeDeadlineSeconds: 300 } },
    ],
  });
});

const smoke = (given: object) => ({ smoke: [{ name: "a", ...given }] });

test.each([
  ["neither http nor job", smoke({}), "either http or job"],
  ["both", smoke({ http, job: { template: {} } }), "either http or job"],
  ["the name of the health check", smoke({ name: "health", http }), "name of the health check"],
  [
    "a name twice",
    {
      smoke: [
        { name: "a", http },
        { name: "a", http },
      ],
    },
    "same name",
  ],
  ["a name that is too long for a Job", smoke({ name: "a".repeat(17), http }), "<=16"],
  [
    "seventeen tests",
    { smoke: Array.from({ length: 17 }, (_, index) => ({ name: `t${String(index)}`, http })) },
    "<=16",
  ],
  ["a body of a GET", smoke({ http: { ...http, body: "x" } }), "only a POST has a body"],
  ["a text in the answer to HEAD", smoke({ http: { ...http, method: "HEAD", expectBody: "x" } }), "answer to HEAD"],
  ["another method", smoke({ http: { ...http, method: "DELETE" } }), "GET"],
  ["a path that is a URL", smoke({ http: { path: "http://elsewhere/" } }), "pattern"],
  [
    "a header that frames",
    smoke({ http: { ...http, headers: [{ name: "Content-Length", value: "1" }] } }),
    "the controller's",
  ],
  ["a line break in a header", smoke({ http: { ...http, headers: [{ name: "A", value: "b\r\nc: d" }] } }), "pattern"],
  ["a status in words", smoke({ http: { ...http, expectStatus: ["2xx"] } }), "Invalid"],
  ["a body of more than 16 KiB", smoke({ http: { ...http, method: "POST", body: "x".repeat(16_385) } }), "<=16384"],
  ["four retries", smoke({ job: { template: {}, backoffLimit: 4 } }), "<=3"],
  ["a health check without a question", { health: {} }, "expected object"],
])("refuses %s", (_, input, fragment) => {
  const { error } = rolloutVerify.safeParse(input);
  expect(JSON.stringify(error?.issues ?? [])).toContain(fragment);
});
