import { createCertificateAuthority, issueCertificate, readCertificate } from "../../lib/node/certificates.ts";
import {
  type Authority,
  CERTIFICATE_NAME,
  type CertificateState,
  type RotationPolicy,
  type RotationStep,
  type ServerNames,
  type SigningAuthority,
} from "./rotation.ts";

/** What a step needs beside the state. */
export interface StepContext {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly names: ServerNames;
  readonly policy: RotationPolicy;
}

/** The state after a step: new keys and certificates are made here, nothing is stored or shown. */
export async function carryOut(
  type: RotationStep["type"],
  state: CertificateState | undefined,
  context: StepContext,
): Promise<CertificateState> {
  if (state === undefined || type === "make") return issue(await makeAuthority(context), [], context);
  switch (type) {
    case "announce":
      return { ...state, next: await makeAuthority(context) };
    case "switch": {
      const { signing, next, retired } = state;
      if (next === undefined) return state;
      const { keyPem: _keyPem, ...old } = signing;
      return issue(next, [old, ...retired], context);
    }
    case "renew": {
      const { signing, next, retired } = state;
      return { ...(await issue(signing, retired, context)), ...(next === undefined ? {} : { next }) };
    }
    case "retire":
      return { ...state, retired: state.retired.filter(({ usedUntil }) => usedUntil > context.now) };
  }
}

async function makeAuthority({ now, policy }: StepContext): Promise<SigningAuthority> {
  // Two CAs of one name are told apart by their keys; the time is for people who compare bundles.
  const name = `${CERTIFICATE_NAME} ${new Date(now).toISOString()}`;
  return { ...(await createCertificateAuthority(name, now, policy.authority)), usedUntil: 0 };
}

async function issue(
  signing: SigningAuthority,
  retired: readonly Authority[],
  { now, names, policy }: StepContext,
): Promise<CertificateState> {
  const serving = await issueCertificate(
    signing,
    { commonName: CERTIFICATE_NAME, usage: "server", ...names, lifetime: policy.certificate },
    now,
  );
  const usedUntil = Math.max(signing.usedUntil, readCertificate(serving.certPem).notAfter);
  return { signing: { ...signing, usedUntil }, retired, serving };
}
