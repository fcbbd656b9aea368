import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import { OperatorError } from "../core/errors.ts";

/** What a kubeconfig says about one context and client-node does not read. */
export interface KubeconfigExtras {
  /** Path of a file with a bearer token that somebody renews. */
  readonly tokenFile: string | undefined;
}

export interface KubeconfigFileOptions {
  /** A file; without it those of `KUBECONFIG`, else `~/.kube/config`. */
  readonly path?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

interface Named {
  readonly name?: string;
  readonly [kind: string]: unknown;
}

type Settings = Readonly<Record<string, unknown>>;

interface Document {
  readonly file: string;
  readonly users: readonly Named[];
}

/** Settings of a user that kubectl obeys and we do not. They are refused: without them we would act as somebody else. */
const UNSUPPORTED: readonly string[] = ["as-groups", "as-uid", "as-user-extra"];
/** kubectl gave up all others in favour of exec plugins. */
const AUTH_PROVIDER = "oidc";

/**
 * Reads what client-node would pass over in silence. As in kubectl, the first file that names a user describes it.
 * @throws OperatorError KUBE_CONFIG_INVALID for a setting that we do not support, and when there is no file at all
 */
export async function readKubeconfigExtras(
  options: KubeconfigFileOptions,
  user: string | undefined,
): Promise<KubeconfigExtras> {
  const documents = await readDocuments(options);
  for (const { file, users } of documents) {
    const settings = users.find(({ name }) => name === user)?.["user"] as Settings | null | undefined;
    if (settings === undefined || settings === null) continue;
    refuseUnsupported(String(user), settings);
    const { tokenFile } = settings;
    return { tokenFile: typeof tokenFile === "string" ? resolve(dirname(file), tokenFile) : undefined };
  }
  return { tokenFile: undefined };
}

function refuseUnsupported(user: string, settings: Settings): void {
  const setting = UNSUPPORTED.find((name) => settings[name] !== undefined);
  if (setting !== undefined) {
    throw new OperatorError("KUBE_CONFIG_INVALID", `user "${user}" has ${setting}, which is not supported`);
  }
  const provider = (settings["auth-provider"] as { readonly name?: string } | undefined)?.name;
  if (provider !== undefined && provider !== AUTH_PROVIDER) {
    throw new OperatorError(
      "KUBE_CONFIG_INVALID",
      `user "${user}" has the auth-provider "${provider}", which is not supported: use its exec plugin`,
    );
  }
}

async function readDocuments(options: KubeconfigFileOptions): Promise<Document[]> {
  const listed = options.path === undefined ? options.environment["KUBECONFIG"] : undefined;
  const files = options.path === undefined ? (listed?.split(delimiter) ?? [defaultFile()]) : [options.path];
  const documents: Document[] = [];
  for (const file of files.filter((name) => name !== "")) {
    const text = await readFile(file, "utf8").catch((error: unknown) => {
      // kubectl passes over files of KUBECONFIG that do not exist.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw new OperatorError("KUBE_CONFIG_INVALID", `the kubeconfig ${file} cannot be read`, { cause: error });
    });
    if (text !== undefined) documents.push({ file, users: usersOf(file, text) });
  }
  if (documents.length === 0) {
    throw new OperatorError("KUBE_CONFIG_INVALID", `there is no kubeconfig at ${files.join(", ")}`);
  }
  return documents;
}

function usersOf(file: string, text: string): readonly Named[] {
  try {
    const parsed = parse(text) as { readonly users?: readonly Named[] | null } | null;
    return parsed?.users ?? [];
  } catch (cause) {
    throw new OperatorError("KUBE_CONFIG_INVALID", `the kubeconfig ${file} is not YAML`, { cause });
  }
}

function defaultFile(): string {
  return join(homedir(), ".kube", "config");
}
