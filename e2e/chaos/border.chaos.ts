/**
 * A thousand bad connections at once against a ledger that a good client uses with a constant load, each in a process of its own:
 *
 *   make chaos CHAOS=border         CHAOS_SECONDS=n makes the attack shorter or longer
 *
 * Headers that never end, bodies of 16 MiB of which a kilobyte comes, bodies of a gigabyte and bodies without an end; without a
 * key, with a wrong one and with the key of another client. The bad ones have the lowest priority: in life they would not work on
 * the server's processors. Calm, attack, calm: the 99th percentile of the good client's
 * latency during the attack is compared with that of the calm before and after, in the same run. Ends with exit code 0 when it is at
 * most twice as high, no good request was refused or lost, and every bad connection got its answer and its end in time;
 * and `.build/results/chaos-border.json`.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { printTable, quantile } from "../../bench/lib/results.ts";
import { createLedgerClient } from "../../dataplane/ledger/ledger-client.ts";
import { type AttackCase, attack } from "../../dataplane/testing/attack.ts";
import { prepareLedgerProcess } from "../../dataplane/testing/ledger-process.ts";
import { startTestPostgres } from "../../dataplane/testing/postgres.ts";
import { runSteadyLoad, type SteadyLoad } from "../../dataplane/testing/steady-load.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { environment } from "../../lib/node/env.ts";
import { ROOT } from "../run.ts";

const ATTACK_SECONDS = 120;
const CALM_SECONDS = 30;
const WARM_UP_SECONDS = 10;
/** More than half of them are answered and cut at once, and wait until they come back. */
const BAD_CLIENTS = 2_500;
const OPEN_AT_ONCE = 1_000;
const GOOD_PER_SECOND = 50;
const RATIO_MAX = 2;
/** Requests have 30 s; checks of it run once a second, and a machine may be busy. */
const OPEN_MS_MAX = 30_000 + 5_000;
const RESULTS = join(ROOT, ".build", "results");

/** Status that ends every connection of a sort and key. */
function wanted({ sort, key }: AttackCase): string {
  if (sort === "slow headers") return "408";
  if (key !== "other key") return "401";
  return sort === "oversized" ? "413" : "408";
}

function faultsOf(found: AttackCase): string[] {
  const others = Object.entries(found.ends).filter(([status]) => status !== wanted(found));
  const faults = others.map(([status, count]) => `${count} ended with ${status}, not ${wanted(found)}`);
  if (found.longestMs > OPEN_MS_MAX) faults.push(`one was open for ${found.longestMs} ms`);
  return faults.map((fault) => `${found.sort}, ${found.key}: ${fault}`);
}

function failuresOf(load: SteadyLoad): string[] {
  return Object.entries(load.answers).flatMap(([status, count]) =>
    status === "201" ? [] : [`${count} good requests: ${status}`],
  );
}

async function main(): Promise<number> {
  const seconds = Number(environment()["CHAOS_SECONDS"] ?? ATTACK_SECONDS);
  if (!(seconds >= 90)) {
    process.stderr.write("CHAOS_SECONDS must be a number of at least 90\n");
    return 2;
  }
  process.stdout.write(`chaos border: CHAOS_SECONDS=${seconds}, ${BAD_CLIENTS} bad clients\n`);
  const postgres = await startTestPostgres();
  const ledger = await prepareLedgerProcess(postgres, "border");
  try {
    await ledger.start();
    const makeKey = async (name: string): Promise<string> => {
      const body = { name, scopes: ["read", "write", "mint"] };
      return (await ledger.client.send("POST", "/v1/api-keys", { body })).json<{ key: string }>().key;
    };
    const { url, caPem } = ledger;
    const client = createLedgerClient({ url, caPem, key: await makeKey("good") });
    const otherKey = await makeKey("other");
    await client.send("POST", "/v1/accounts", { body: { id: "alice", asset: "CZK" } });
    const load = (name: string, goesOn: () => boolean): Promise<SteadyLoad> =>
      runSteadyLoad({ client, name, account: "alice", perSecond: GOOD_PER_SECOND, goesOn });
    const loadFor = (name: string, forSeconds: number): Promise<SteadyLoad> => {
      const endsAt = systemClock.monotonic() + forSeconds * 1000;
      return load(name, () => systemClock.monotonic() < endsAt);
    };

    await loadFor("warm-up", WARM_UP_SECONDS);
    const before = await loadFor("before", CALM_SECONDS);
    let attacking = true;
    const attacked = attack({
      url,
      caPem,
      otherKey,
      clients: BAD_CLIENTS,
      perSecond: 76,
      everyMs: 33_000,
      dripMs: 2_000,
      seconds,
    }).finally(() => {
      attacking = false;
    });
    const during = await load("during", () => attacking);
    const report = await attacked;
    const after = await loadFor("after", CALM_SECONDS);
    client.close();

    const calm = quantile([...before.latenciesMs, ...after.latenciesMs], 0.99);
    const attackedP99 = quantile(during.latenciesMs, 0.99);
    const ratio = attackedP99 / calm;
    const failures = [
      ...[before, during, after].flatMap(failuresOf),
      ...report.cases.flatMap(faultsOf),
      ...(report.openMost >= OPEN_AT_ONCE ? [] : [`only ${report.openMost} bad connections were open at once`]),
      ...(ratio <= RATIO_MAX ? [] : [`p99 ${ratio.toFixed(2)} times as high, at most ${RATIO_MAX} times is wanted`]),
    ];
    const opened = report.cases.reduce((sum, found) => sum + found.opened, 0);
    const p99Ms = {
      before: quantile(before.latenciesMs, 0.99),
      during: attackedP99,
      after: quantile(after.latenciesMs, 0.99),
    };
    printTable([
      [
        "good requests, calm / attacked",
        `${before.latenciesMs.length + after.latenciesMs.length} / ${during.latenciesMs.length}`,
      ],
      ["bad connections, at most at once", `${opened}, ${report.openMost}`],
      [
        "p99 before / during / after, ms",
        Object.values(p99Ms)
          .map((ms) => ms.toFixed(1))
          .join(" / "),
      ],
      [
        "p50 before / during / after, ms",
        [before, during, after].map(({ latenciesMs }) => quantile(latenciesMs, 0.5).toFixed(1)).join(" / "),
      ],
      ["p99 during over calm", ratio.toFixed(2)],
    ]);
    for (const failure of failures) process.stdout.write(`  FAILED  ${failure}\n`);
    await mkdir(RESULTS, { recursive: true });
    const at = new Date(systemClock.now()).toISOString();
    const result = {
      at,
      seconds,
      badClients: BAD_CLIENTS,
      goodPerSecond: GOOD_PER_SECOND,
      ratio,
      p99Ms,
      failures,
      report,
    };
    await writeFile(join(RESULTS, "chaos-border.json"), `${JSON.stringify(result, null, 2)}\n`);
    return failures.length === 0 ? 0 : 1;
  } finally {
    await ledger.remove();
    await postgres.stop();
  }
}

process.exitCode = await main();
