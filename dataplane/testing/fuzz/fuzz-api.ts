/**
 * Sends requests that Schemathesis makes of the OpenAPI document that the server itself gives: valid ones, broken ones, and
 * those at the edges. Every answer is held against the document: status, content type, headers, body.
 */
import { execFile, spawn } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { temporaryFolder, trackChild } from "../../../lib/node/testing/leftovers.ts";
import { ACCOUNT_ID, ASSET_CODE } from "../../ledger/transfer-parser.ts";
import type { LocalLedger } from "../local-ledger.ts";

export interface FuzzOptions {
  /** With at least two shards and the asset CZK. */
  readonly ledger: LocalLedger;
  /** Most generated requests of each operation in each of three runs; besides, each has those at the edges of its schema. */
  readonly examples: number;
  readonly seed: number;
  readonly timeoutMs: number;
}

export interface FuzzOutcome {
  /** Nothing was outside of the document. */
  readonly held: boolean;
  /** What Schemathesis says, with a command for each finding. */
  readonly report: string;
}

const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "negative_data_rejection",
];

/**
 * A bulk request answers for each of its items, so one that is bad does not refuse the request. Ids are not learned from
 * answers: the fuzzer would revoke the key that it uses.
 */
const CONFIG = `
[phases.coverage.extra-data-sources]
responses = false
[phases.fuzzing.extra-data-sources]
responses = false
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "409", "413", "415", "422"]
[[operations]]
include-operation-id = "transferBulk"
[operations.checks.negative_data_rejection]
expected-statuses = ["200", "400", "401", "413", "415"]
`;

/** Each draws from other values: the edges that a schema has, what chance finds, and what is there, so that it is carried out. */
const RUNS = [
  { document: "openapi.json", phase: "coverage", mode: "all" },
  { document: "openapi.json", phase: "fuzzing", mode: "all" },
  { document: "narrow.json", phase: "fuzzing", mode: "positive" },
];
/** Longest line of a report: some bodies have a hundred kilobytes. */
const LINE_MAX = 400;
const ACCOUNTS = ["fuzz-a", "fuzz-b", "fuzz-c"];
const FUNDS = 1_000;

/** Installs the fuzzer unless it is there. @returns its program @throws Error with what is missing */
export async function installFuzzer(): Promise<string> {
  const { stdout } = await promisify(execFile)(join(import.meta.dirname, "install.sh"), []);
  return stdout.trim();
}

/** One run over every operation. @throws Error when the fuzzer cannot be installed */
export async function fuzzApi(options: FuzzOptions): Promise<FuzzOutcome> {
  const program = await installFuzzer();
  const { ledger, seed, examples, timeoutMs } = options;
  await openAccounts(ledger);
  const revocable = await makeKeys(ledger);
  const folder = temporaryFolder("fuzz");
  try {
    const file = (name: string): string => join(folder, name);
    const document = (await ledger.client.send("GET", "/openapi.json")).json<OpenApi>();
    await writeFile(file("openapi.json"), JSON.stringify(document));
    await writeFile(file("narrow.json"), JSON.stringify(narrowed(document, revocable)));
    await writeFile(file("schemathesis.toml"), CONFIG);
    await writeFile(file("ca.crt"), ledger.caPem);
    const runs = RUNS.map(({ document: name, phase, mode }) => {
      const args = [
        ...["--config-file", file("schemathesis.toml"), "run", file(name), "--url", ledger.url],
        ...["--tls-verify", file("ca.crt"), "--header", `Authorization:Bearer ${ledger.adminKey}`],
        ...["--checks", CHECKS.join(","), "--phases", phase, "--mode", mode],
        ...["--max-examples", String(examples), "--seed", String(seed)],
        // Threads would share one core, and upset each other.
        ...["--workers", "1", "--continue-on-failure", "--no-shrink", "--generation-database", "none", "--no-color"],
      ];
      return runProgram(program, args, { folder, timeoutMs });
    });
    const outcomes = await Promise.all(runs);
    return {
      held: outcomes.every(({ held }) => held),
      report: outcomes.map(({ report }) => shorten(report)).join("\n"),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Chance would never find an account that exists. */
async function openAccounts({ client }: LocalLedger): Promise<void> {
  for (const id of ACCOUNTS) {
    await client.send("POST", "/v1/accounts", { body: { id, asset: "CZK", placementKey: "fuzz" } });
    const transfer = { id: `${id}-funds`, debitAccount: "system:external:CZK", creditAccount: id, amount: FUNDS };
    await client.send("POST", "/v1/transfers", { body: transfer });
  }
}

/** Keys that may be revoked, and again. */
async function makeKeys({ client }: LocalLedger): Promise<string[]> {
  const made = [1, 2, 3].map(() => client.send("POST", "/v1/api-keys", { body: { name: "fuzz", scopes: ["read"] } }));
  return (await Promise.all(made)).map((answer) => answer.json<{ id: string }>().id);
}

interface OpenApi {
  readonly paths: Readonly<Record<string, unknown>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

const SHARD_MAX = 1023;
const SMALL = 20;

/** The document with requests for what is there alone; what may be answered stays as it is. */
function narrowed(document: OpenApi, keyIds: readonly string[]): OpenApi {
  const { Transfer, OpenAccount, ...schemas } = document.components.schemas;
  return {
    ...document,
    paths: mapMembers(document.paths, (item) =>
      mapMembers(item as object, (operation) => {
        const { parameters, operationId } = operation as { parameters?: unknown; operationId: string };
        if (parameters === undefined) return operation;
        const ids = { name: "id", in: "path", required: true, schema: { enum: keyIds } };
        return { ...(operation as object), parameters: operationId === "revokeApiKey" ? [ids] : narrow(parameters) };
      }),
    ),
    components: {
      ...document.components,
      schemas: { ...schemas, Transfer: narrow(Transfer), OpenAccount: narrow(OpenAccount) },
    },
  };
}

function mapMembers(node: object, change: (member: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(node).map(([name, member]) => [name, change(member)]));
}

function narrow(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(narrow);
  if (typeof node !== "object" || node === null) return node;
  const { pattern, maximum } = node as { pattern?: unknown; maximum?: unknown };
  if (typeof pattern === "string" && pattern.endsWith(ACCOUNT_ID.source.slice(1))) {
    return { enum: pattern === ACCOUNT_ID.source ? [...ACCOUNTS, "system:external:CZK"] : ACCOUNTS };
  }
  if (pattern === ASSET_CODE.source) return { enum: ["CZK"] };
  if (maximum === SHARD_MAX) return { enum: [0, 1] };
  if (typeof maximum === "number") return { ...node, maximum: SMALL };
  return mapMembers(node, narrow);
}

function shorten(report: string): string {
  return report
    .split("\n")
    .map((line) => (line.length <= LINE_MAX ? line : `${line.slice(0, LINE_MAX)}...`))
    .join("\n");
}

function runProgram(
  program: string,
  args: readonly string[],
  { folder, timeoutMs }: { folder: string; timeoutMs: number },
): Promise<FuzzOutcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"], timeout: timeoutMs });
    trackChild(child);
    let report = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (report += text));
    }
    child.once("error", reject);
    child.once("close", (code, signal) => {
      const ended = signal === null ? "" : `\nended by ${signal}, ${timeoutMs} ms after its start at most\n`;
      resolve({ held: code === 0, report: report + ended });
    });
  });
}
