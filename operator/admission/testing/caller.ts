import type { RotationPolicy } from "../rotation.ts";
import type { WebhookServer } from "../server.ts";
import type { TrustTarget } from "../trust-targets.ts";
import { GADGET_CRD_NAME, type Gadget } from "./gadget.ts";
import type { CertificateKube } from "./memory-kube.ts";

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

/** A caller and the webhook server that it asks. */
export interface RunningCaller extends Caller {
  /** Where Secret and targets are. */
  readonly kube: CertificateKube;
  readonly server: WebhookServer;
  stop(): Promise<void>;
}

export interface CallerOptions {
  /** How the server's certificates are renewed; as in the product unless told. */
  readonly policy?: RotationPolicy;
}

/** Starts both, and waits until objects are judged. */
export type StartCaller = (options?: CallerOptions) => Promise<RunningCaller>;

/** Name of the webhook configurations. */
export const CONFIGURATION = "gadgets.test.shieldx.dev";
export const SECRET = { namespace: "default", name: "gadget-webhooks" };

/** Everything that must trust the server. */
export const TARGETS: readonly TrustTarget[] = [
  { role: "validating", name: CONFIGURATION },
  { role: "mutating", name: CONFIGURATION },
  { role: "conversion", name: GADGET_CRD_NAME },
];
