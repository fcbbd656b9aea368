import { describe, expect, test } from "@jest/globals";
import { RESOURCES, type SecretObject } from "../../lib/kube/types.ts";
import { keptSecrets, readKeyPair, secretText, textData } from "./secrets.ts";

function secret(name: string, texts: Readonly<Record<string, string>>): SecretObject {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace: "demo", uid: `uid-${name}` },
    data: textData(texts),
  };
}

test("texts come back as they went in, whatever their characters", () => {
  const texts = { key: "žluťoučký kůň\n", other: "=" };
  const text = secretText(secret("s", texts));
  expect([text("key"), text("other")]).toEqual([texts.key, texts.other]);
});

test.each<[string, SecretObject]>([
  ["absent", secret("s", { other: "x" })],
  ["empty", secret("s", { key: "" })],
  ["of a Secret without data", { apiVersion: "v1", kind: "Secret", metadata: { name: "s" } }],
])("a text that is %s is none", (_name, given) => {
  expect(secretText(given)("key")).toBeUndefined();
});

describe("kept Secrets", () => {
  const kept = keptSecrets([
    secret("pair", { "tls.crt": "cert", "tls.key": "key" }),
    secret("half", { "tls.crt": "c" }),
  ]);
  const identity = (name: string) => ({ resource: RESOURCES.Secret, namespace: "demo", name, uid: `uid-${name}` });

  test("are read by name, with what identifies them", () => {
    const value = { certPem: "cert", keyPem: "key" };
    expect(kept("pair", readKeyPair)).toEqual({ ...identity("pair"), value });
  });

  test("that lack a part are there without a value", () => {
    expect(kept("half", readKeyPair)).toEqual({ ...identity("half"), value: undefined });
    expect(kept("half", (text) => text("ca.crt"))).toEqual({ ...identity("half"), value: undefined });
  });

  test("of no such name are absent", () => {
    expect(kept("none", readKeyPair)).toBeUndefined();
  });

  test("show their reader the whole object", () => {
    expect(kept("half", (_text, { metadata }) => metadata.uid)?.value).toBe("uid-half");
  });
});

test.each([
  [
    { "tls.crt": "c", "tls.key": "k" },
    { certPem: "c", keyPem: "k" },
  ],
  [{ "tls.crt": "c" }, undefined],
  [{ "tls.key": "k" }, undefined],
  [{ "tls.crt": "c", "tls.key": "" }, undefined],
])("a pair needs both of its parts (%#)", (texts, want) => {
  expect(readKeyPair(secretText(secret("s", texts)))).toEqual(want);
});
