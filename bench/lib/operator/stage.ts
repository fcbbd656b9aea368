/** The server that both programs work against: etcd and kube-apiserver with an audit log, our kinds and namespaces. */

import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { KubeClient } from "../../../lib/kube/client.ts";
import { RESOURCES, type ResourceType } from "../../../lib/kube/types.ts";
import { temporaryFolder } from "../../../lib/node/testing/leftovers.ts";
import { startControlPlane } from "../../../testkit/kube-apiserver.ts";
import { makeNamespace } from "../../../testkit/namespaces.ts";
import { eventually } from "../../../testkit/wait.ts";
import { definitionOf, WIDGET, type Widget } from "../../../testkit/widget.ts";
import { AUDIT_POLICY, type AuditLog, openAuditLog } from "./audit.ts";
import { readUsage } from "./procfs.ts";

/** A running server. */
export interface Stage {
  readonly server: string;
  /** Folder with `token`, `ca.crt` and `namespace`, as a pod has it. */
  readonly serviceAccount: string;
  /** Folder for logs of programs; removed with the stage. */
  readonly directory: string;
  readonly client: KubeClient;
  readonly audit: AuditLog;
  readonly namespaces: readonly string[];
  /** Processor time of kube-apiserver since its start: what requests cost that a program sends. */
  serverCpuSeconds(): Promise<number>;
  close(): Promise<void>;
}

/** A kind of the shape of Widget. */
export function widgetKind(kind: string): ResourceType<Widget> {
  return { ...WIDGET, kind, plural: `${kind.toLowerCase()}s` };
}

/** Starts a server that knows the kinds and has the namespaces. */
export async function openStage(kinds: readonly ResourceType[], namespaceCount: number): Promise<Stage> {
  const directory = temporaryFolder("bench");
  const policy = join(directory, "audit-policy.json");
  const auditLog = join(directory, "audit.log");
  await writeFile(policy, JSON.stringify(AUDIT_POLICY));
  const controlPlane = await startControlPlane({
    apiserverArguments: [`--audit-policy-file=${policy}`, `--audit-log-path=${auditLog}`, "--audit-log-maxsize=100000"],
  });
  const close = async (): Promise<void> => {
    await controlPlane.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await Promise.all([
      writeFile(join(directory, "token"), controlPlane.token, { mode: 0o600 }),
      writeFile(join(directory, "ca.crt"), controlPlane.ca),
      writeFile(join(directory, "namespace"), "default"),
    ]);
    const client = controlPlane.client();
    for (const kind of kinds) {
      await client.create(RESOURCES.CustomResourceDefinition, definitionOf(kind));
      // The server answers 404 until it serves a new definition.
      await eventually(`${kind.plural} are served`, () => client.list(kind).catch(() => undefined));
    }
    const namespaces = Array.from({ length: namespaceCount }, (_, index) => `bench-${String(index).padStart(2, "0")}`);
    for (const name of namespaces) {
      await makeNamespace(client, name);
    }
    return {
      server: controlPlane.server,
      serviceAccount: directory,
      directory,
      client,
      audit: openAuditLog(auditLog),
      namespaces,
      serverCpuSeconds: async () => (await readUsage(controlPlane.pid())).cpuSeconds,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
