import { Command, InvalidArgumentError, Option } from "commander";
import type { ClusterFlags } from "./cluster.ts";

/** Options of every verb that talks to a cluster. */
export interface PlaceFlags extends ClusterFlags {
  readonly namespace?: string;
}

/** A verb of `shieldx rollout` whose refusals are ours to print. */
export function verb(name: string, description: string, help = ""): Command {
  return new Command(name)
    .description(description)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .allowExcessArguments(false)
    .addHelpText("after", help);
}

/** A verb that talks to a cluster. */
export function clusterVerb(name: string, description: string, help = ""): Command {
  return verb(name, description, help)
    .option("-n, --namespace <namespace>", "namespace; that of the kubeconfig's context unless told")
    .option("--kubeconfig <file>", "kubeconfig; what kubectl would use unless told")
    .option("--context <name>", "context of the kubeconfig");
}

/** `-o json` and `-o yaml`: the objects as the server has them. */
export function outputOption(): Option {
  return new Option("-o, --output <format>", "the object as the server has it").choices(["json", "yaml"]);
}

/** A whole number within bounds, as an argument. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`it must be a whole number from ${String(min)} to ${String(max)}.`);
  };
}
