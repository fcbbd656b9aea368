/** `shieldx ledger ...`: the command line of everything around a ledger. */
import { Command, CommanderError } from "commander";
import { OperatorError } from "../../lib/core/errors.ts";
import { migrateFlags, parseFlags, serveFlags } from "./ledger.config.ts";

/** Commander's own words go to the terminal; its wish to end the process becomes an error. */
function command(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .exitOverride()
    .allowExcessArguments(false)
    .showHelpAfterError(false);
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

/** Runs one subcommand. @returns the exit code */
export async function run(args: readonly string[]): Promise<number> {
  let code = 0;
  const program = command("shieldx ledger", "Serve, migrate, fill and check a ledger.");

  program.addCommand(
    withConnection(command("serve", "run the HTTPS API and the writers of the shards that this process holds"))
      .option("--listen <port>", "port of the HTTPS API")
      .option("--probe-listen <port>", "port of probes and metrics (plain HTTP)")
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

  try {
    await program.parseAsync(args as string[], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw new OperatorError("USAGE", error.message.replace(/^error: /, ""), { cause: error });
  }
  return code;
}
