import { z } from "zod";
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import type { SecretObject } from "../../lib/kube/types.ts";
import { fingerprint } from "../../lib/node/certificates.ts";
import { type CertificateState, type SigningAuthority, trustBundle } from "./rotation.ts";

/*
 * The Secret that all replicas share:
 *   tls.crt, tls.key   what the server shows
 *   ca.crt             what callers trust, for people and for callers that mount it
 *   authorities.json   the CAs with their keys and the times that decide when they go
 */

const authority = z.strictObject({
  certPem: z.string().min(1),
  keyPem: z.string().min(1).exactOptional(),
  usedUntil: z.number().min(0),
});
const signingAuthority = z.strictObject({ ...authority.shape, keyPem: z.string().min(1) });
const authorities = z.strictObject({
  signing: signingAuthority,
  next: signingAuthority.exactOptional(),
  retired: z.array(authority),
});

/** What makes a Secret ours. */
const OWN_LABELS: Readonly<Record<string, string>> = {
  "app.kubernetes.io/name": "shieldx",
  [LABELS.component]: COMPONENTS.webhookCertificates,
};

/** The Secret with a state in it; members of an existing one that are not ours stay. */
export function secretOf(
  ref: { readonly namespace: string; readonly name: string },
  state: CertificateState,
  live?: SecretObject,
): SecretObject {
  const { signing, next, retired, serving } = state;
  const document = { signing, ...(next === undefined ? {} : { next }), retired };
  return {
    ...live,
    apiVersion: "v1",
    kind: "Secret",
    metadata: { ...live?.metadata, ...ref, labels: { ...live?.metadata.labels, ...OWN_LABELS } },
    data: {
      ...live?.data,
      "tls.crt": encode(serving.certPem),
      "tls.key": encode(serving.keyPem),
      "ca.crt": encode(trustBundle(state)),
      "authorities.json": encode(JSON.stringify(document)),
    },
  };
}

/**
 * The state in a Secret of ours.
 * @throws OperatorError NAME_CONFLICT when the Secret is somebody else's, CERTIFICATE_INVALID when it cannot be read
 */
export function stateOf(secret: SecretObject): CertificateState {
  const { namespace, name, labels = {} } = secret.metadata;
  const where = `Secret ${namespace}/${name}`;
  if (labels[LABELS.component] !== COMPONENTS.webhookCertificates) {
    throw new OperatorError(
      "NAME_CONFLICT",
      `${where} exists and is not ours: it lacks the label ${LABELS.component}=${COMPONENTS.webhookCertificates}`,
    );
  }
  const unreadable = new OperatorError("CERTIFICATE_INVALID", `${where} does not hold what we once wrote`);
  const parsed = authorities.safeParse(parseJson(decode(secret, "authorities.json")));
  if (!parsed.success) throw unreadable;
  const serving = { certPem: decode(secret, "tls.crt"), keyPem: decode(secret, "tls.key") };
  const { signing, next, retired } = parsed.data;
  for (const { certPem } of [...retired, ...(next === undefined ? [] : [next]), signing, serving]) {
    if (!isCertificate(certPem)) throw unreadable;
  }
  return { signing, ...(next === undefined ? {} : { next: next satisfies SigningAuthority }), retired, serving };
}

function isCertificate(pem: string): boolean {
  try {
    return fingerprint(pem) !== "";
  } catch {
    return false;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Refused by the schema, with a sentence that does not quote keys.
    return undefined;
  }
}

function encode(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

function decode({ data }: SecretObject, member: string): string {
  return Buffer.from(data?.[member] ?? "", "base64").toString("utf8");
}
