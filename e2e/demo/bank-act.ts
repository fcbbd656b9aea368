/**
 * First act of the demo: a sharded ledger with a year of transactions in it, with one database killed on the way.
 * DATA=file.csv takes a file of your own with the same columns; without it a year of made-up transactions is generated.
 * Run again at any time: what is there already stays, and the import finds its rows posted.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { LEDGER, type LedgerApi, openLedgerApi, SHARD_SET, waitReady } from "../bank.ts";
import { type Cluster, cluster as clusterNamed, RELEASE, SYSTEM_NAMESPACE } from "../cluster.ts";
import { must, ROOT, waitFor } from "../run.ts";
import { formatTable, type Step } from "./steps.ts";

const NAMESPACE = "bank";

/** Rows of the generated year: as many as the bank year has that the tests read. */
const ROWS = 28_205;
const SEED = 1993;

/** Small batches, so that the kill meets an import in full swing and not its end. */
const BATCH_ROWS = 250;

/** Part of the rows that is in when the database is killed. */
const KILL_AT = 1 / 3;

/** Exit code of an import of which the ledger refused some rows: the sample has a few, to show it. */
const ROWS_REFUSED = 3;

/** What `shieldx ledger import --json` prints at its end. */
interface ImportSummary {
  readonly rows: number;
  readonly posted: number;
  readonly alreadyThere: number;
  readonly rejected: Readonly<Record<string, number>>;
  readonly shards: readonly {
    readonly shard: number;
    readonly posted: number;
    readonly alreadyThere: number;
    readonly longestPauseSeconds: number;
  }[];
  readonly seconds: number;
  readonly rowsPerSecond: number;
}

/** The file to import: DATA, or a generated year. */
async function dataFile(): Promise<string> {
  const given = process.env["DATA"];
  if (given !== undefined && given !== "") return resolve(given);
  const folder = join(ROOT, ".build", "demo");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "year.csv");
  await must(join(ROOT, "bin", "shieldx"), [
    "ledger",
    "generate-sample",
    file,
    "--rows",
    String(ROWS),
    "--seed",
    String(SEED),
  ]);
  return file;
}

async function totalPosition(api: LedgerApi): Promise<number> {
  const answer = await api.call("GET", "/v1/shards");
  const shards = (answer.json?.["shards"] ?? []) as { position?: number }[];
  // A shard that is being killed has none.
  return shards.reduce((sum, { position = 0 }) => sum + position, 0);
}

/** Kills the database pod of shard 1 once a third of the rows is in. @returns what was killed, or why nothing was */
async function killOnTheWay(target: Cluster, rows: number, importEnded: () => boolean): Promise<string> {
  const api = await openLedgerApi(target, NAMESPACE);
  try {
    const start = await totalPosition(api);
    const reached = await waitFor("a third of the rows to be in", 300_000, async () => {
      if (importEnded()) return "ended" as const;
      return (await totalPosition(api)) - start >= rows * KILL_AT && ("reached" as const);
    });
    if (reached === "ended") return "nothing: the rows were in already";
    const pod = `${SHARD_SET}-1-0`;
    await target.kubectl(["delete", "pod", pod, "-n", NAMESPACE, "--grace-period=0", "--force", "--wait=false"]);
    return `pod ${pod} (PostgreSQL of shard 1), deleted without grace`;
  } finally {
    api.close();
  }
}

function describeRejections(summary: ImportSummary): string {
  const reasons = Object.entries(summary.rejected).map(([code, count]) => `${count} ${code}`);
  return reasons.length === 0 ? "none" : reasons.join(", ");
}

function integer(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Steps that the act takes. */
export const BANK_STEPS = 4;

/** Plays the act on a cluster with the operator. @returns what happened, and what to try next */
export async function playBank(step: Step, target: Cluster): Promise<string> {
  await step("resources: kubectl apply of a ShardSet with 3 shards and a CreditLedger", async () => {
    await target.apply(readFileSync(join(ROOT, "e2e", "demo", "bank.yaml"), "utf8"));
    await waitReady(target, "shardset", SHARD_SET, NAMESPACE);
    await waitReady(target, "creditledger", LEDGER, NAMESPACE);
  });

  const file = await dataFile();
  const rows = readFileSync(file, "utf8").split("\n").filter(Boolean).length - 1;
  const { summary, killed } = await step(
    `import: shieldx ledger import ${file} --ledger ${NAMESPACE}/${LEDGER}`,
    async () => {
      let ended = false;
      const importing = must(
        join(ROOT, "bin", "shieldx"),
        [
          ...["ledger", "import", file, "--ledger", `${NAMESPACE}/${LEDGER}`, "--batch-size", String(BATCH_ROWS)],
          ...["--rejects", rejectsFile(), "--force", "--json"],
        ],
        { env: environmentOf(target), echo: false, showErrors: true, timeoutMs: 900_000, alsoGood: [ROWS_REFUSED] },
      ).finally(() => {
        ended = true;
      });
      const [output, killed] = await Promise.all([importing, killOnTheWay(target, rows, () => ended)]);
      return { summary: JSON.parse(output.trim().split("\n").at(-1) ?? "{}") as ImportSummary, killed };
    },
  );
  const verdict = await step(`verify: shieldx ledger verify --ledger ${NAMESPACE}/${LEDGER}`, () =>
    must(join(ROOT, "bin", "shieldx"), ["ledger", "verify", "--ledger", `${NAMESPACE}/${LEDGER}`], {
      env: environmentOf(target),
      echo: true,
    }),
  );
  const api = await step("read a balance over HTTPS", () => openLedgerApi(target, NAMESPACE));
  const [, firstRow] = readFileSync(file, "utf8").split("\n");
  const account = firstRow?.split(",")[2] ?? "1";
  const balance = await api.call("GET", `/v1/accounts/${account}/balance`);
  api.close();

  const access = writeAccessFiles(api);
  return (
    `${formatTable("What happened", [
      ["rows in the file", integer(summary.rows)],
      ["posted", `${integer(summary.posted)} now, ${integer(summary.alreadyThere)} by an earlier run`],
      ["rejected", describeRejections(summary)],
      ...summary.shards.map((shard): [string, string] => [
        `shard ${shard.shard}`,
        `${integer(shard.posted + shard.alreadyThere)} events, longest pause of writes ${shard.longestPauseSeconds.toFixed(1)} s`,
      ]),
      ["rate", `${integer(summary.rowsPerSecond)} rows/s over ${summary.seconds.toFixed(1)} s, the pause included`],
      ["killed on the way", killed],
      ["verify", verdict.trim().split("\n").at(-1) ?? ""],
      [`balance of account ${account}`, `${String(balance.json?.["posted"])} minor units`],
    ])}\n\nTry next:\n` +
    `  export KUBECONFIG=.build/kube/${target.name}.kubeconfig PATH=$PWD/.build/bin:$PATH\n\n` +
    `  kubectl get shardsets,creditledgers -n ${NAMESPACE}\n\n` +
    `  kubectl port-forward -n ${NAMESPACE} svc/${LEDGER} 8443:443 &\n` +
    `  curl --cacert ${access.caFile} -H @${access.headerFile} https://localhost:8443/v1/accounts/${account}/balance\n\n` +
    `  kubectl get --raw /api/v1/namespaces/${SYSTEM_NAMESPACE}/services/${RELEASE}-metrics:8080/proxy/metrics\n`
  );
}

/** Refused rows, in a place that is ours: the file to import may lie where nobody may write. */
function rejectsFile(): string {
  const folder = join(ROOT, ".build", "demo");
  mkdirSync(folder, { recursive: true });
  return join(folder, "rejects.csv");
}

/** Files for curl, so that the key is on no command line. */
function writeAccessFiles(api: LedgerApi): { caFile: string; headerFile: string } {
  const folder = join(ROOT, ".build", "demo");
  mkdirSync(folder, { recursive: true });
  copyFileSync(api.caFile, join(folder, "ca.crt"));
  writeFileSync(join(folder, "authorization"), `Authorization: Bearer ${api.key}\n`, { mode: 0o600 });
  return { caFile: ".build/demo/ca.crt", headerFile: ".build/demo/authorization" };
}

function environmentOf(target: Cluster): Record<string, string> {
  return { KUBECONFIG: clusterNamed(target.name).kubeconfig, KUBECTL: join(ROOT, ".build", "bin", "kubectl") };
}
