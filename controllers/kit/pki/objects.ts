import { RESOURCES, type SecretObject } from "../../../lib/kube/types.ts";
import { apply, create } from "../../../operator/runtime/actions.ts";
import type { Action } from "../../../operator/runtime/types.ts";
import { keptObject, type Owner, ownedObject } from "../objects.ts";
import { type Kept, type KeptSecrets, readKeyPair, textData } from "../secrets.ts";
import type { KeyPair } from "./certificates.ts";
import type { Leaf, MadePki } from "./make.ts";

// Secrets of a resource's CA and certificates. The CA outlives its resource: bundle and key carry no owner reference.
// The bundle is apart from the key, so that a rotation can add a CA first and switch later.

/** A certificate with what its Secret and the log say about it. */
export interface NamedLeaf extends Leaf {
  /** For example "certificate of shard 0". */
  readonly what: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Names of the Secrets of a CA. */
export interface AuthorityNames {
  readonly ca: string;
  readonly caKey: string;
}

/** What is kept of a resource's CA. */
export interface ObservedAuthority {
  /** The bundle of CA certificates that clients trust. */
  readonly ca: Kept<string> | undefined;
  readonly caKey: Kept<KeyPair> | undefined;
}

/** What is kept of a resource's CA and certificates. */
export interface ObservedPki extends ObservedAuthority {
  /** Certificates that there are to be, with what is kept of each. */
  readonly leaves: readonly NamedLeaf[];
}

/** What is observed, made and wanted of a resource's CA and certificates. */
export interface PkiState extends ObservedPki {
  readonly owner: Owner;
  readonly names: AuthorityNames;
  readonly made: MadePki;
}

/** Reads the Secrets of a CA. */
export function observeAuthority(secret: KeptSecrets, names: AuthorityNames): ObservedAuthority {
  return { ca: secret(names.ca, (text) => text("ca.crt")), caKey: secret(names.caKey, readKeyPair) };
}

/** What is to be written, in two parts: pods and other steps may stand between them. */
export interface PkiActions {
  /** The CA: made once, or its bundle. */
  readonly authority: readonly Action[];
  /** The certificates, with the bundle beside each. */
  readonly certificates: readonly Action[];
}

/** Certificates are looked at this often; they are renewed a month before their end. */
export const CERTIFICATE_CHECK_SECONDS = 6 * 3_600;

/** What makes the Secrets as they should be. Empty where the CA cannot be used: what is kept stays as it is. */
export function pkiActions({ owner, names, caKey, ca, leaves, made }: PkiState): PkiActions {
  const authority = made.ca && create(caKeySecret(owner, names.caKey, made.ca), "there is no CA yet");
  if (authority !== undefined) return { authority: [authority], certificates: [] };
  const signing = certificateOf(caKey?.value?.certPem);
  if (signing === undefined || made.problem !== undefined) return { authority: [], certificates: [] };
  const bundle = withAuthority(ca?.value, signing);
  return {
    authority: [apply(bundleSecret(owner, names.ca, bundle), "clients trust the CA that signs now")],
    certificates: leaves.flatMap((leaf) => {
      const renewed = made.leaves.get(leaf.secret);
      const pair = renewed?.pair ?? leaf.kept?.value;
      if (pair === undefined) return [];
      const note = renewed === undefined ? `the ${leaf.what} is good` : `new ${leaf.what}: ${renewed.why}`;
      return [apply(leafSecret(owner, leaf, { pair, bundle }), note)];
    }),
  };
}

/** The bundle with the signing CA in it; CAs that are trusted already stay. */
export function withAuthority(bundle: string | undefined, signing: string): string {
  if (bundle === undefined) return signing;
  return bundle.includes(signing.trim()) ? bundle : `${bundle.trimEnd()}\n${signing}`;
}

/**
 * The first certificate of a PEM text, which is the one that signs. Some tools write the key beside it: it must not get
 * into what clients mount.
 */
function certificateOf(pem: string | undefined): string | undefined {
  const [first] = pem?.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/) ?? [];
  if (first !== undefined) return `${first}\n`;
  return pem?.includes("PRIVATE KEY") ? undefined : pem;
}

function caKeySecret(owner: Owner, name: string, ca: KeyPair): SecretObject {
  const data = textData({ "tls.crt": ca.certPem, "tls.key": ca.keyPem });
  return keptObject(owner, RESOURCES.Secret, name, { type: "kubernetes.io/tls", data });
}

function bundleSecret(owner: Owner, name: string, bundle: string): SecretObject {
  return keptObject(owner, RESOURCES.Secret, name, { type: "Opaque", data: textData({ "ca.crt": bundle }) });
}

function leafSecret(
  owner: Owner,
  { secret, labels }: NamedLeaf,
  { pair, bundle }: { readonly pair: KeyPair; readonly bundle: string },
): SecretObject {
  const data = textData({ "ca.crt": bundle, "tls.crt": pair.certPem, "tls.key": pair.keyPem });
  return ownedObject(owner, RESOURCES.Secret, secret, { labels, type: "kubernetes.io/tls", data });
}
