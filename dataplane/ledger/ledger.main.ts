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

/** Options that may be given more than once. */
function each(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

function withImport(made: Command): Command {
  return made
    .argument("<file>", "CSV file, or - for standard input")
    .option("--asset <code>", "asset of the amounts; not needed when the ledger named by --ledger keeps one only")
    .option("--url <url>", "address of the API, instead of --ledger")
    .option("--ca-file <file>", "CA certificate of the API, with --url")
    .option("--key-file <file>", "API key with the scopes write and mint, with --url")
    .option("--scale <digits>", "decimals of the asset, with --url and decimal amounts")
    .optionsGroup("How the file is written:")
    .option("--encoding <name>", "utf-8, utf-16le, windows-1252, ...; a byte order mark tells it, else utf-8")
    .option("--delimiter <character>", "what separates fields: a character or tab; the header tells it otherwise")
    .option("--skip-lines <count>", "lines above the header")
    .option("--skip-last <count>", "records below the last row, such as totals")
    .option("--date-format <form>", 'for example DD.MM.YYYY or "YYYY-MM-DD HH:mm:ss" (UTC); YYYY-MM-DD otherwise')
    .option("--decimal-comma", "amounts like 1.234,56 and not like 1,234.56")
    .option("--null <text>", "what stands for nothing, such as NULL or - (may be repeated)", each)
    .optionsGroup("Which column is which (ours=theirs; may be repeated):")
    .option(
      "--column <ours=theirs>",
      "name of a column: id, date, account, direction, operation, amount_minor (whole minor units); instead of that amount (decimal, may be signed), or credit and debit; partner_bank, partner_account; asset (a currency, which must be that of the import)",
      each,
    )
    .option(
      "--value <ours=text>",
      "the same for all rows, in place of a column: account, direction, operation, asset",
      each,
    )
    .option(
      "--direction <ours=theirs>",
      "words of the file for credit and debit, in a column or beside the amounts, for example debit=Dr",
      each,
    )
    .option("--positive <direction>", "debit: amounts without a minus are debits, as on card statements; else credit")
    .option("--keep <ours=theirs>", "a further column that goes along as metadata under the name ours", each)
    .option(
      "--id-from <theirs>",
      "make ids of these columns, where the file has none; together they must tell rows apart",
      each,
    )
    .optionsGroup("What is posted:")
    .option(
      "--only <column=value>",
      "rows with this value in this column; of one column any of its values, of several columns each (may be repeated)",
      each,
    )
    .option(
      "--without <column=value>",
      "pass rows with this value over; column= for an empty one (may be repeated)",
      each,
    )
    .option("--dry-run", "read and check the whole file, show how it is understood, and post nothing")
    .option("--sort <what>", "date: post the oldest row first")
    .option("--keep-order", "post a file that lists the newest first as it stands")
    .option("--partial", "leave broken rows out, in the rejects file, instead of refusing the file")
    .option("--source <name>", "a name space of their own for the ids of one origin; without it ids are the ledger's")
    .option("--retry", "try rows again that were refused for want of credit; what was posted is never posted twice")
    .option("--rejects <file>", "where refused rows go; FILE.rejects.csv, or beside it, otherwise")
    .option("--force", "replace a rejects file that is there")
    .optionsGroup("How it runs:")
    .option("--batch-size <rows>", "rows of one request")
    .option("--timeout <seconds>", "give up after this time without an answered row")
    .option("--json", "print the summary as one line of JSON")
    .addHelpText("after", IMPORT_HELP);
}

const IMPORT_HELP = `
The whole file is read and checked first. A file that ends without a line end, has a broken row, an id twice, a value that
cannot be read, several currencies or its newest row first is refused before anything is posted, with the option that helps.
Begin with --dry-run.

Columns of the ledger's own form: id,date,account,direction,operation,amount_minor[,partner_bank,partner_account]

A refusal for want of credit is final for its id. Refused rows go to the rejects file with their reason: import that file
with the same options and --retry once the account has the money.

Exit codes: 0 every row is in the ledger; 3 rows were refused, the others are in the ledger; 2 the file or the command line
is refused, nothing was posted; 1 the import broke off: run the same command again.

Examples:
  shieldx ledger import year.csv --ledger bank/credits
  shieldx ledger import konto.csv --ledger bank/credits --encoding windows-1252 --skip-lines 4 --date-format DD.MM.YYYY \\
    --decimal-comma --column account=Auftragskonto --column date=Buchungstag --column amount=Betrag \\
    --column operation=Buchungstext --id-from Buchungstag --id-from Betrag --id-from Verwendungszweck --dry-run
`;

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
    withImport(withAccess(command("import", "post the rows of a CSV file; running it again changes nothing"))).action(
      async (file: string, options: unknown) => {
        const { importCommand, importFlags } = await import("./ledger.import-command.ts");
        code = await importCommand(file, parseFlags(importFlags, options));
      },
    ),
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
