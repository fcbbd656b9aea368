import type { SecretObject } from "../../../lib/kube/types.ts";
import type { Action } from "../../../operator/runtime/types.ts";
import type { Certificates } from "../pki/certificates.ts";
import { makePki } from "../pki/make.ts";
import { type NamedLeaf, observeAuthority, pkiActions, trustedBundle } from "../pki/objects.ts";
import type { Truster } from "../pki/rotation.ts";
import { keptSecrets, readLeafPair } from "../secrets.ts";
import { OWNER } from "./owner.ts";

/** Names of the Secrets of the model's CA. */
export const MODEL_NAMES = { ca: "bank-ca", caKey: "bank-ca-key", caNext: "bank-ca-next" };

/** What one reconcile of the model is about. */
export interface ModelRun {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly trusters: readonly Truster[];
  /** The value of annotation `shieldx.dev/rotate-ca`. */
  readonly request?: string | undefined;
  /** It dies after so many writes; all unless told. */
  readonly writes?: number;
}

/** Secrets in memory and the part of a controller that is about certificates. */
export interface PkiModel {
  readonly secrets: Map<string, SecretObject>;
  /** A text of a Secret; empty when there is none. */
  text(name: string, key: string): string;
  /** What the controller's own connections trust. */
  trusted(): string;
  /** @returns whether anything changed */
  reconcile(run: ModelRun): Promise<boolean>;
}

/** @param leaves by the name of the Secret */
export function createPkiModel(
  certificates: Certificates,
  leaves: Readonly<Record<string, NamedLeaf["request"]>>,
): PkiModel {
  const secrets = new Map<string, SecretObject>();
  const observe = () => {
    const secret = keptSecrets([...secrets.values()]);
    return {
      ...observeAuthority(secret, MODEL_NAMES),
      leaves: Object.entries(leaves).map(
        ([name, request]): NamedLeaf => ({ secret: name, kept: secret(name, readLeafPair), what: name, request }),
      ),
    };
  };
  const carryOut = (action: Action): void => {
    if (action.type === "create" || action.type === "apply") {
      const { name } = action.object.metadata;
      if (action.type === "create" && secrets.has(name)) return;
      const metadata = { ...action.object.metadata, uid: `uid-${name}` };
      secrets.set(name, { ...action.object, metadata });
    } else if (action.type === "delete") {
      secrets.delete(action.name);
    } else if (action.type === "patch") {
      const live = secrets.get(action.name);
      if (live === undefined) throw new Error(`${action.name} is gone`);
      const patch = action.patch as Pick<SecretObject, "metadata" | "data">;
      const annotations = { ...live.metadata.annotations, ...patch.metadata.annotations };
      const metadata = { ...live.metadata, annotations };
      secrets.set(action.name, { ...live, metadata, data: { ...live.data, ...patch.data } });
    }
  };
  return {
    secrets,
    text: (name, key) => Buffer.from(secrets.get(name)?.data?.[key] ?? "", "base64").toString("utf8"),
    trusted: () => trustedBundle(observe()) ?? "",
    reconcile: async ({ now, trusters, request, writes }) => {
      const seen = observe();
      const needs = { ...seen, commonName: "CA of the model", trusters, asked: { request, overlapMs: undefined } };
      const made = await makePki(certificates, needs, now);
      const plan = pkiActions({ ...seen, owner: OWNER, names: MODEL_NAMES, made });
      const before = JSON.stringify([...secrets]);
      for (const action of [...plan.authority, ...plan.certificates].slice(0, writes)) carryOut(action);
      return before !== JSON.stringify([...secrets]);
    },
  };
}
