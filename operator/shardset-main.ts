/** `shieldx shardset ...`: the command line of what people do with a ShardSet. */
import { randomInt } from "node:crypto";
import { Command, CommanderError } from "commander";
import { z } from "zod";
import { SHARD_SET } from "../crds/shardset.ts";
import { systemClock } from "../lib/core/clock.ts";
import { OperatorError } from "../lib/core/errors.ts";
import { connectKube } from "../lib/kube/connect.ts";
import { rotateCa } from "../lib/kube/rotate-ca.ts";
import { environment } from "../lib/node/env.ts";
import { programVersion } from "../lib/node/version.ts";

const rotateCaFlags = z.object({
  wait: z.boolean().default(false),
  timeout: z.coerce.number().int().min(1).default(3_600),
  overlap: z
    .string()
    .regex(/^\d{1,5}[smhd]$/)
    .optional(),
  kubeconfig: z.string().optional(),
  context: z.string().optional(),
});

/** Runs one subcommand. @returns the exit code */
export async function run(args: readonly string[]): Promise<number> {
  const program = new Command("shieldx shardset")
    .description("What people do with a ShardSet.")
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  program.addCommand(
    new Command("rotate-ca")
      .description("replace the CA without an outage")
      .exitOverride()
      .configureOutput({ writeErr: () => undefined })
      .argument("<namespace/name>", "the ShardSet")
      .option("--wait", "until the former CA is trusted no more")
      .option("--timeout <seconds>", "with --wait; an hour when absent")
      .option("--overlap <duration>", "for how long both CAs are trusted at least: 30m, 24h, 7d")
      .option("--kubeconfig <file>")
      .option("--context <name>")
      .action(async (of: string, options: unknown) => replaceCa(of, options)),
  );
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw new OperatorError("USAGE", error.message.replace(/^error: /, ""), { cause: error });
  }
  return 0;
}

async function replaceCa(of: string, options: unknown): Promise<void> {
  const flags = rotateCaFlags.safeParse(options);
  if (!flags.success) {
    const [issue] = flags.error.issues;
    throw new OperatorError("USAGE", `--${String(issue?.path[0])}: ${issue?.message ?? "invalid"}`);
  }
  const { wait, timeout, overlap, kubeconfig, context } = flags.data;
  const client = await connectKube({
    environment: environment(),
    kubeconfig,
    context,
    userAgent: `shieldx/${programVersion()} (command line)`,
    clock: systemClock,
    random: () => randomInt(2 ** 32) / 2 ** 32,
  });
  try {
    await rotateCa(
      { resource: SHARD_SET, of, overlap, wait, timeoutSeconds: timeout },
      { client, clock: systemClock, print: (line) => void process.stdout.write(`${line}\n`) },
    );
  } finally {
    await client.close();
  }
}
