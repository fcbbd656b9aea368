/**
 * Writes what is printed from the schemas, catalogues and controllers: the CRDs, their copies and the permissions in the
 * chart, the reference pages.
 * With --check nothing is written; the files that differ are named and the exit code is 1.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { stringify } from "yaml";
import { parseControllerConfig } from "../operator/config.ts";
import { clusterRules, type PermissionRule, permissionRules } from "../operator/permissions.ts";
import { createControllers } from "../operator/wiring.ts";
import { customResourceDefinition } from "./crd.ts";
import { KINDS } from "./kinds.ts";
import { apiReference, conditionsReference, errorsReference, metricsReference } from "./reference.ts";

const ROOT = join(import.meta.dirname, "..");

/** Folders that hold nothing but generated files: a file in them that is not printed any more is removed. */
const GENERATED_FOLDERS = ["crds/generated", "charts/operator/templates/crds"];

const HEADER = "# Printed by 'make generate' from the schemas in crds/; do not edit.\n";

/** The CRD as a template of the chart: it can be left out, and it is kept on uninstall unless the values say otherwise. */
function chartTemplate(yaml: string): string {
  if (yaml.includes("{{")) throw new Error("a CRD must not contain '{{': Helm would read it as a template");
  const annotations = [
    "  {{- if .Values.crds.keep }}",
    "  annotations:",
    "    helm.sh/resource-policy: keep",
    "  {{- end }}",
  ].join("\n");
  const withAnnotations = yaml.replace(/^metadata:\n/m, `metadata:\n${annotations}\n`);
  return `${HEADER}{{- if .Values.crds.enabled }}\n${withAnnotations}{{- end }}\n`;
}

/**
 * The helpers of the chart's Roles: the plurals of the kinds, and what the controllers may do. A template of their own, so
 * that nobody edits them.
 */
function chartPermissions(): string {
  const plurals = KINDS.map(({ type }) => type.plural);
  const scaled = KINDS.filter(({ scale }) => scale !== undefined).map(({ type }) => `${type.plural}/scale`);
  const config = parseControllerConfig(["--shieldx-image=any", "--postgres-image=any"], {});
  const controllers = createControllers(config);
  const list = (words: readonly string[]): string => `[${words.map((word) => (word === "" ? '""' : word)).join(", ")}]`;
  const printed = (rules: readonly PermissionRule[]): string =>
    rules
      .flatMap(({ reason, apiGroups, resources, verbs }, index) => [
        ...(rules[index - 1]?.reason === reason ? [] : [`# ${reason}`]),
        `- apiGroups: ${list(apiGroups)}`,
        `  resources: ${list(resources)}`,
        `  verbs: ${list(verbs)}`,
      ])
      .join("\n");
  const define = (name: string, body: string): string => `{{- define "${name}" -}}\n${body}\n{{- end }}\n`;
  return [
    "{{/* Printed by 'make generate' from crds/kinds.ts and the watches of the controllers; do not edit. */}}\n",
    define("shieldx.kinds", list(plurals)),
    define("shieldx.kindsStatus", list(plurals.map((plural) => `${plural}/status`))),
    define("shieldx.kindsScale", list(scaled)),
    define("shieldx.rules", printed(permissionRules(controllers))),
    define("shieldx.clusterRules", printed(clusterRules(controllers))),
  ].join("");
}

/** Every generated file by its path in the repository. */
function generatedFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (const kind of KINDS) {
    // Helm and kubectl read YAML 1.1, to which a bare "on" is true.
    const how = { compat: "yaml-1.1", lineWidth: 0, aliasDuplicateObjects: false } as const;
    const yaml = stringify(customResourceDefinition(kind), how);
    files.set(`crds/generated/${kind.type.plural}.yaml`, HEADER + yaml);
    files.set(`charts/operator/templates/crds/${kind.type.plural}.yaml`, chartTemplate(yaml));
  }
  files.set("charts/operator/templates/_permissions.tpl", chartPermissions());
  files.set("docs/reference/api.md", apiReference(KINDS));
  files.set("docs/reference/conditions.md", conditionsReference(KINDS));
  files.set("docs/reference/errors.md", errorsReference());
  files.set("docs/reference/metrics.md", metricsReference());
  return files;
}

function staleFiles(files: ReadonlyMap<string, string>): string[] {
  return GENERATED_FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .map((name) => `${folder}/${name}`)
      .filter((path) => !files.has(path)),
  );
}

function main(check: boolean): number {
  const files = generatedFiles();
  const changed = [...files].filter(([path, text]) => {
    const full = join(ROOT, path);
    return !existsSync(full) || readFileSync(full, "utf8") !== text;
  });
  const stale = staleFiles(files);
  if (check) {
    for (const path of [...changed.map(([path]) => path), ...stale]) {
      console.error(`${path} is not up to date: run 'make generate' and commit the result`);
    }
    return changed.length + stale.length === 0 ? 0 : 1;
  }
  for (const [path, text] of changed) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), text);
    console.log(`wrote ${path}`);
  }
  for (const path of stale) {
    rmSync(join(ROOT, path));
    console.log(`removed ${path}`);
  }
  return 0;
}

process.exitCode = main(process.argv.includes("--check"));
