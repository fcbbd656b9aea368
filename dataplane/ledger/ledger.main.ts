/** `shieldx ledger ...`: the command line of everything around a ledger. */
import { Command, CommanderError } from "commander";
import { OperatorError } from "../../lib/core/errors.ts";
import { migrateFlags, parseFlags, serveFlags } from "./ledger.config.ts";

/** Commander's complaints and its wish to end the process become an error, which the caller prints. */
function command(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .exitOverride()
    .allowExcessArguments(false)
    .configureOutput({ writeErr: () => undefined });
}

function withConnection(made: Command): Command {
  return made
    .requiredOption("--ledger <namespace/name>", "the CreditLedger")
    .requiredOption("--shardset <name>", "its ShardSet")
    .requiredOption("--shards <count>", "number of shards")
    .requiredOption("--database <name>", "database on each shard")
    .requiredOption("--assets <list>", "assets and their scale, for example CZK:2,EUR:2")
    .option("--postgres-ca-dir <dir>", "folder with ca.crt of the ShardSet")
    .option("--roles-dir <dir>", "folder with the roles' passwords")
    .option("--postgres-host-template <text>", "host of a shard; {shardset}, {shard} and {namespace} are filled in")
    .option("--postgres-port-base <port>", "port of shard 0; shard n listens on port + n. 5432 for all when absent")
    .option("--log-level <level>", "debug, info, warn or error");
}

function withAccess(made: Command): Command {
  return made
    .option("--ledger <namespace/name>", "the CreditLedger; Secrets are read and ports forwarded with your kubeconfig")
    .option("--kubeconfig <file>", "with --ledger")
    .option("--context <name>", "with --ledger");
}

/** Runs one subcommand. @returns the exit code */
export async function run(args: readonly string[]): Promise<number> {
  let code = 0;
  const program = command("shieldx ledger", "Serve, migrate, fill and check a ledger.");

  program.addCommand(
    withConnection(command("serve", "run the HTTPS API and the writers of the shards that this process holds"))
      .option("--listen <port>", "port of the HTTPS API")
      .option("--probe-listen <port>", "port of probes and metrics (plain HTTP)")
      .option("--metrics-listen <port>", "port of metrics alone (plain HTTP); none when absent")
      .option("--listen-host <address>", "address to listen on; all when absent")
      .option("--tls-dir <dir>", "folder with tls.crt, tls.key and ca.crt")
      .option("--snapshot-every <events>", "events of an account between two snapshots")
      .option("--local", "without Kubernetes: this is the only process that writes")
      .action(async (options: unknown) => {
        const { serve } = await import("./ledger.serve.ts");
        code = await serve(parseFlags(serveFlags, options));
      }),
  );
  program.addCommand(
    withConnection(command("migrate", "bring every shard's database to the schema of this program"))
      .option("--admin-key-file <file>", "file with the administrator's raw API key")
      .option("--wait-seconds <seconds>", "how long to wait for shards that do not answer yet")
      .action(async (options: unknown) => {
        const { migrateShards } = await import("./ledger.migrate-shards.ts");
        code = await migrateShards(parseFlags(migrateFlags, options));
      }),
  );

  program.addCommand(
    withAccess(command("import", "post the rows of a CSV file; running it again changes nothing"))
      .argument("<file>", "CSV with the columns id, date, account, direction, operation, amount_minor")
      .option("--asset <code>", "asset of the amounts; not needed when the ledger named by --ledger keeps one only")
      .option("--url <url>", "address of the API, instead of --ledger")
      .option("--ca-file <file>", "CA certificate of the API, with --url")
      .option("--key-file <file>", "API key, with --url")
      .option("--batch-size <rows>", "rows of one request")
      .option("--timeout <seconds>", "give up after this time without an answered row")
      .option("--json", "print the summary as one line of JSON")
      .action(async (file: string, options: unknown) => {
        const { importCommand, importFlags } = await import("./ledger.import-command.ts");
        code = await importCommand(file, parseFlags(importFlags, options));
      }),
  );
  program.addCommand(
    withAccess(command("verify", "replay the whole journal and compare every table with it"))
      .option("--postgres <host:port...>", "PostgreSQL of each shard in order, instead of --ledger")
      .option("--database <name>", "with --postgres")
      .option("--user <name>", "reader role, with --postgres")
      .option("--password-file <file>", "with --postgres")
      .option("--ca-file <file>", "CA certificate of PostgreSQL, with --postgres")
      .option("--snapshot-every <events>", "also require a snapshot at each multiple of this version")
      .option("--journal-only", "replay the journal and its hash chain, compare no table with it")
      .option("--json", "print the findings as one line of JSON")
      .action(async (options: unknown) => {
        const { verifyCommand, verifyFlags } = await import("./ledger.verify-command.ts");
        code = await verifyCommand(parseFlags(verifyFlags, options));
      }),
  );
  program.addCommand(
    command("generate-sample", "write a CSV file like a bank's year, to try the import with")
      .argument("<file>")
      .option("--rows <count>", "rows", "20000")
      .option("--seed <number>", "the same seed gives the same file", "1")
      .action(async (file: string, options: unknown) => {
        const { generateCommand, generateFlags } = await import("./ledger.generate-command.ts");
        code = await generateCommand(file, parseFlags(generateFlags, options));
      }),
  );

  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw new OperatorError("USAGE", error.message.replace(/^error: /, ""), { cause: error });
  }
  return code;
}
