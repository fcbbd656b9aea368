import type { Gadget } from "./gadget.ts";

/** What asks the webhooks about gadgets: an API server, or something that does the same in this process. */
export interface Caller {
  /** As a client creates it, in the version that the object names. @throws OperatorError KUBE_… */
  create(gadget: Gadget): Promise<Gadget>;
  /** Replaces it. @throws OperatorError KUBE_… */
  update(gadget: Gadget): Promise<Gadget>;
  get(version: "v1" | "v2", name: string): Promise<Gadget>;
  list(version: "v1" | "v2"): Promise<readonly Gadget[]>;
  remove(name: string): Promise<void>;
  /** Whether a request without an answer is let through by the validating webhook. */
  setFailurePolicy(policy: "Fail" | "Ignore"): Promise<void>;
  /** The webhook server's metrics page. */
  metrics(): Promise<string>;
}
