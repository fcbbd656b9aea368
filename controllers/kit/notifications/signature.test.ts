import { randomBytes } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { isAuthentic } from "../testing/webhook-receiver.ts";
import { signatureHeaders, signingKeys } from "./signature.ts";

// A receiver that knows the key finds a message genuine, and no other one; what is wrong with a key is told without the key.

const NOW = Date.parse("2026-01-01T00:00:00Z");
const keyOf = (bytes: Uint8Array): string => `whsec_${Buffer.from(bytes).toString("base64")}`;

function headersOf(value: string, { id = "id", body = "{}" } = {}): Readonly<Record<string, string>> {
  const keys = signingKeys(value);
  if (typeof keys === "string") throw new Error(keys);
  return signatureHeaders({ id, body, keys }, NOW);
}

describe("signatures", () => {
  test("are those of the example of Standard Webhooks", () => {
    const keys = signingKeys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    if (typeof keys === "string") throw new Error(keys);
    const message = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", body: '{"test": 2432232314}', keys };
    expect(signatureHeaders(message, 1_614_265_330_000)).toEqual({
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    });
  });

  test("hold for whoever has the key, whatever is sent", () => {
    // Of one length: HMAC fills up a shorter key with zeros, so that two of them may be the same.
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(bytes, bytes, fc.string(), fc.stringMatching(/^[0-9a-f]{1,32}$/), (key, other, body, id) => {
        const headers = headersOf(keyOf(key), { id, body });
        expect(isAuthentic({ headers, body }, keyOf(key), NOW)).toBe(true);
        expect(isAuthentic({ headers, body: `${body} ` }, keyOf(key), NOW)).toBe(false);
        expect(isAuthentic({ headers: { ...headers, "webhook-id": `${id}0` }, body }, keyOf(key), NOW)).toBe(false);
        expect(isAuthentic({ headers, body }, keyOf(key), NOW + 600_000)).toBe(false);
        fc.pre(Buffer.compare(key, other) !== 0);
        expect(isAuthentic({ headers, body }, keyOf(other), NOW)).toBe(false);
      }),
    );
  });

  test("are one for each key, while a key is replaced", () => {
    const [old, young] = [keyOf(randomBytes(32)), keyOf(randomBytes(24))];
    const headers = headersOf(`${old}\n${young}\n`);
    for (const key of [old, young]) expect(isAuthentic({ headers, body: "{}" }, key, NOW)).toBe(true);
  });
});

describe("a key", () => {
  test.each([
    ["", "is empty"],
    [" \n", "is empty"],
    ["hunter2hunter2hunter2hunter2", "is not 'whsec_' and base64"],
    ["whsec_", "is not 'whsec_' and base64"],
    ["whsec_hunter2!hunter2!hunter2!hunter2!", "is not 'whsec_' and base64"],
    [keyOf(randomBytes(23)), "has a key that is not of 24 to 64 bytes"],
    [keyOf(randomBytes(65)), "has a key that is not of 24 to 64 bytes"],
    [`${keyOf(randomBytes(32))} hunter2`, "is not 'whsec_' and base64"],
    [Array.from({ length: 5 }, () => keyOf(randomBytes(32))).join(" "), "has more than 4 keys"],
  ])("%j %s", (value, want) => {
    expect(signingKeys(value)).toBe(want);
  });
});
