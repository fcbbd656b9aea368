import type { OperatorError } from "../../../lib/core/errors.ts";
import type { KubeClient } from "../../../lib/kube/client.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import { createMemoryServer } from "../../../testkit/memory-server.ts";

/** What certificates of our own ask of the API server. */
export type CertificateKube = Pick<KubeClient, "find" | "create" | "replace" | "apply" | "delete" | "pages" | "watch">;

/** The fake API server in memory, which counts writes and can be told to fail. */
export interface MemoryKube extends CertificateKube {
  /** Kind and name of the object of each write that was sent and accepted, in order. */
  readonly writes: string[];
  /** Fails all calls of this kind. @returns how to end it */
  fail(method: "find" | "create" | "replace" | "apply", error: OperatorError): () => void;
}

export function createMemoryKube(): MemoryKube {
  const { client } = createMemoryServer();
  const writes: string[] = [];
  const faults = new Map<string, OperatorError>();
  const meet = (method: string): void => {
    const fault = faults.get(method);
    if (fault !== undefined) throw fault;
  };
  const wrote = <T extends KubeObject>(object: T): T => {
    writes.push(`${object.kind}/${object.metadata.name}`);
    return object;
  };
  return {
    ...client,
    writes,
    fail: (method, error) => {
      faults.set(method, error);
      return () => void faults.delete(method);
    },
    find: async (...how) => {
      meet("find");
      return client.find(...how);
    },
    create: async (...how) => {
      meet("create");
      return wrote(await client.create(...how));
    },
    replace: async (...how) => {
      meet("replace");
      return wrote(await client.replace(...how));
    },
    apply: async (...how) => {
      meet("apply");
      return wrote(await client.apply(...how));
    },
  };
}
