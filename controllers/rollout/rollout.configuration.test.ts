import { describe, expect, test } from "@jest/globals";
import { isKeyMissing, withCopies } from "./rollout.configuration.ts";
import { referencesIn } from "./rollout.references.ts";
import type { Source } from "./rollout.sources.ts";
import type { Unusable, Wanted } from "./rollout.template.ts";

interface Given {
  readonly mode?: "Copy" | "Shared";
  readonly key?: string | undefined;
  /** By name. */
  readonly there?: Readonly<Record<string, Partial<Source>>>;
  readonly volumes?: readonly object[];
  readonly port?: number;
}

const VOLUMES = [{ configMap: { name: "files" } }, { secret: { secretName: "tls", optional: true } }];
const source = (name: string, given: Partial<Source>): Source => ({
  name,
  digest: `of ${name}`,
  bytes: 10,
  type: undefined,
  isShared: false,
  ...given,
});

function copied({
  mode = "Copy",
  there = { files: {}, tls: {} },
  volumes = VOLUMES,
  port = 80,
  ...rest
}: Given): Wanted | Unusable {
  const wanted: Wanted = {
    template: { metadata: { labels: {} }, spec: { volumes } },
    revision: "plain",
    replicas: 1,
    ports: [{ port }],
    copies: [],
  };
  return withCopies(wanted, {
    mode,
    nameOf: (hash) => `web-${hash}`,
    key: "key" in rest ? rest.key : "k",
    find: (_kind, name) => (there[name] === undefined ? undefined : source(name, there[name])),
  });
}

function usable(given: Given = {}): Wanted {
  const found = copied(given);
  if ("reason" in found) throw new Error(found.message);
  return found;
}

const names = (given: Given): string[] => referencesIn(usable(given).template.spec).map(({ name }) => name);

test("the template reads copies, and nothing else of it changes", () => {
  const { template, copies, revision } = usable();
  expect(copies).toEqual([
    { kind: "ConfigMap", name: expect.stringMatching(/^web-[0-9a-f]{16}$/), source: "files", digest: "of files" },
    { kind: "Secret", name: expect.stringMatching(/^web-[0-9a-f]{16}$/), source: "tls", digest: "of tls" },
  ]);
  const [files, tls] = copies;
  expect(template.spec).toEqual({
    volumes: [{ configMap: { name: files?.name } }, { secret: { secretName: tls?.name, optional: true } }],
  });
  expect(revision).not.toBe("plain");
});

describe("the revision", () => {
  test("follows the content, there and back", () => {
    const before = usable().revision;
    expect(usable({ there: { files: { digest: "other" }, tls: {} } }).revision).not.toBe(before);
    expect(usable().revision).toBe(before);
  });

  test("follows the ports", () => {
    expect(usable({ port: 81 }).revision).not.toBe(usable().revision);
  });

  test("is that of the template alone where configuration is shared", () => {
    expect(usable({ mode: "Shared", there: {} })).toMatchObject({ revision: "plain", copies: [] });
    expect(names({ mode: "Shared" })).toEqual(["files", "tls"]);
  });

  test("of a Secret takes the key, of a ConfigMap it does not", () => {
    const [files, tls] = names({});
    const [otherFiles, otherTls] = names({ key: "another" });
    expect(otherFiles).toBe(files);
    expect(otherTls).not.toBe(tls);
  });
});

test("without the key a Secret waits, and a ConfigMap does not", () => {
  expect(isKeyMissing(copied({ key: undefined }))).toBe(true);
  expect(isKeyMissing(copied({ key: undefined, volumes: VOLUMES.slice(0, 1) }))).toBe(false);
});

test("what is shared by its owner is read as it is", () => {
  expect(names({ there: { files: { isShared: true }, tls: {} } })[0]).toBe("files");
});

test("what is optional and absent keeps the name of nothing, and is another revision once it is there", () => {
  const absent = usable({ there: { files: {} } });
  expect(absent.copies.map((copy) => copy.source)).toEqual(["files"]);
  expect(referencesIn(absent.template.spec)[1]?.name).not.toBe("tls");
  expect(absent.revision).not.toBe(usable().revision);
});

describe("refused", () => {
  test.each<[string, Given, string, string]>([
    ["what is not there", { there: { tls: {} } }, "ConfigurationNotFound", "ConfigMap files"],
    [
      "a token",
      { there: { files: {}, tls: { type: "kubernetes.io/service-account-token" } } },
      "ConfigurationRefused",
      "Secret tls is of type kubernetes.io/service-account-token",
    ],
    [
      "what is too large together",
      { there: { files: { bytes: 4_000_000 }, tls: { bytes: 1_000_000 } } },
      "ConfigurationRefused",
      "5000000 bytes of configuration, 4194304 at most are copied; the largest is ConfigMap files",
    ],
    [
      "too many",
      {
        volumes: Array.from({ length: 65 }, (_, index) => ({ configMap: { name: `c${String(index)}` } })),
        there: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`c${String(index)}`, {}])),
      },
      "ConfigurationRefused",
      "reads 65 ConfigMaps and Secrets, 64 at most",
    ],
  ])("%s", (_, given, reason, message) => {
    expect(copied(given)).toEqual({ reason, message: expect.stringContaining(message) });
  });
});
