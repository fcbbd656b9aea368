/** `shieldx rollout convert`. */
import { readFile, writeFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import { OperatorError } from "../../lib/core/errors.ts";
import { verb } from "./command.ts";
import { convert } from "./convert/convert.ts";
import { entriesOf, yamlOf } from "./convert/documents.ts";
import { reportText } from "./convert/report.ts";

interface ConvertFlags {
  readonly gateway?: string;
  readonly service?: string;
  readonly report?: string;
}

const CONVERT_HELP = `
FILE holds Rollouts, AnalysisTemplates and ClusterAnalysisTemplates of Argo Rollouts, or Canaries and MetricTemplates of Flagger,
and the HTTPRoutes or GRPCRoutes that they moved weights in, as YAML or JSON; - reads standard input. Rollouts go to standard output. What is not translated, or means something else
afterwards, goes to standard error, or to the file of --report: read it before you apply anything.

Examples:
  shieldx rollout convert rollout.yaml analysis.yaml --gateway infra/public > shop.yaml
  kubectl get canaries,metrictemplates -n shop -o yaml | shieldx rollout convert - --report shop.txt > shop.yaml

Exit codes: 0 converted, also when something is not translated; 2 nothing was printed, since a document is refused or an option
is missing.
`;

export function convertVerb(): Command {
  return verb("convert", "make Rollouts of those of Argo Rollouts and Flagger, with a report", CONVERT_HELP)
    .argument("<file...>", "documents, or - for standard input")
    .option("--gateway <namespace/name>", "Gateway that serves the route, where no document names it")
    .option("--service <name>", "Service of the Deployment, where no document names it")
    .option("--report <file>", "write the report to a file")
    .action(convertFiles);
}

async function convertFiles(files: readonly string[], flags: ConvertFlags): Promise<void> {
  const sources = await Promise.all(
    files.map(async (file) => ({ name: file === "-" ? "standard input" : file, text: await readText(file) })),
  );
  const { objects, reports } = convert(entriesOf(sources), {
    gateway: gatewayFlag(flags.gateway),
    service: flags.service,
  });
  const report = reportText(reports);
  if (flags.report === undefined) process.stderr.write(report);
  else await writeFile(flags.report, report);
  process.stdout.write(yamlOf(objects));
}

function gatewayFlag(value: string | undefined): { readonly namespace?: string; readonly name: string } | undefined {
  if (value === undefined) return undefined;
  const [, namespace, name = ""] = /^(?:([a-z0-9-]+)\/)?([a-z0-9.-]+)$/.exec(value) ?? [];
  if (name === "") throw new OperatorError("USAGE", `--gateway: "${value}" is not NAMESPACE/NAME`);
  return { ...(namespace === undefined ? {} : { namespace }), name };
}

/** The text of a file, or of standard input. @throws OperatorError FILE_UNREADABLE */
export async function readText(file: string): Promise<string> {
  if (file === "-") return text(process.stdin);
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new OperatorError("FILE_UNREADABLE", `${file}: ${(cause as Error).message}`, { cause });
  }
}
