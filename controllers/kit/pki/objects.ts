import { ANNOTATIONS } from "../../../crds/group.ts";
import { type KubeObject, type ObjectIdentity, RESOURCES, type SecretObject } from "../../../lib/kube/types.ts";
import { apply, create, inOrder, patch, remove, tell } from "../../../operator/runtime/actions.ts";
import type { Action } from "../../../operator/runtime/types.ts";
import { type Content, keptObject, type Owner, ownedObject } from "../objects.ts";
import { type Kept, type KeptSecrets, readKeyPair, textData } from "../secrets.ts";
import type { KeyPair } from "./certificates.ts";
import type { AskedRotation, Leaf, MadePki } from "./make.ts";
import { type AuthorityNotes, overlapOf } from "./rotation.ts";

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
  /** The CA that is to sign next, while there is one. */
  readonly caNext: string;
}

/** What is kept of a resource's CA. */
export interface ObservedAuthority {
  /** The bundle of CA certificates that clients trust. */
  readonly ca: Kept<string> | undefined;
  readonly caKey: Kept<KeyPair> | undefined;
  readonly caNext?: Kept<KeyPair> | undefined;
  readonly notes?: AuthorityNotes;
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
  const noteOn = (name: string, annotation: string): string | undefined =>
    secret(name, (_, { metadata }) => metadata.annotations?.[annotation])?.value;
  const replaced = noteOn(names.caNext, ANNOTATIONS.replaces) ?? noteOn(names.caKey, ANNOTATIONS.replaces);
  const pairIn = (name: string): Kept<KeyPair> | undefined => secret(name, readKeyPair);
  return {
    ca: secret(names.ca, (text) => text("ca.crt")),
    caKey: pairIn(names.caKey),
    caNext: pairIn(names.caNext),
    notes: {
      // The key may be one that somebody brought: it says nothing about requests.
      handled: [names.caNext, names.ca, names.caKey].map((name) => noteOn(name, ANNOTATIONS.rotateCa)).find(isText),
      trustedSince: noteOn(names.ca, ANNOTATIONS.trustedSince),
      replaced: replaced?.split(",").filter((digest) => digest !== "") ?? [],
    },
  };
}

/** What people say about the CA of a resource. */
export function askedRotation({ metadata }: KubeObject): AskedRotation {
  const { [ANNOTATIONS.rotateCa]: request, [ANNOTATIONS.caOverlap]: overlap } = metadata.annotations ?? {};
  return { request: request === "" ? undefined : request, overlapMs: overlapOf(overlap) };
}

/** The bundle that our own connections trust: also where somebody took its Secret away. */
export function trustedBundle({ ca, leaves }: Pick<ObservedPki, "ca" | "leaves">): string | undefined {
  return ca?.value ?? leaves.map(({ kept }) => kept?.value?.bundle).find(isText);
}

function isText(text: string | undefined): text is string {
  return text !== undefined;
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

/** While a CA is replaced, it is looked at this often. */
export const ROTATION_CHECK_SECONDS = 15;

/** What makes the Secrets as they should be. Empty where the CA cannot be used: what is kept stays as it is. */
export function pkiActions(state: PkiState): PkiActions {
  const { owner, names, ca, leaves, made } = state;
  if (made.ca !== undefined) {
    const secret = caKeySecret(owner, { name: names.caKey, ca: made.ca, notes: made.rotation?.notes });
    return { authority: [create(secret, "there is no CA yet")], certificates: [] };
  }
  const bundle = made.bundle;
  if (bundle === undefined || made.problem !== undefined) return { authority: [], certificates: [] };
  const authority = inOrder([...rotationActions(state), ...bundleActions(state, bundle)]);
  // No certificate of a CA that clients do not trust yet.
  const needs = bundle === ca?.value ? [] : authority;
  return {
    authority,
    certificates: leaves.flatMap((leaf) => {
      const renewed = made.leaves.get(leaf.secret);
      const pair = renewed?.pair ?? leaf.kept?.value;
      if (pair === undefined) return [];
      const note = renewed === undefined ? `the ${leaf.what} is good` : `new ${leaf.what}: ${renewed.why}`;
      return [apply(leafSecret(owner, leaf, { pair, bundle }), note, needs)];
    }),
  };
}

/** The step that is taken now, and what users read of it. */
function rotationActions({ owner, names, caKey, caNext, made }: PkiState): Action[] {
  const { rotation, next } = made;
  if (rotation === undefined) return [];
  const told = rotation.progress?.message ?? "";
  const { notes } = rotation;
  if (next !== undefined) {
    const secret = caKeySecret(owner, { name: names.caNext, ca: next, notes });
    return [
      ...(caNext === undefined ? [] : [remove(caNext, "it holds no usable CA")]),
      create(secret, told),
      tell("AuthorityAdding", told),
    ];
  }
  if (rotation.step === "switch" && caNext?.value !== undefined) {
    const secret = caKeySecret(owner, { name: names.caKey, ca: caNext.value, notes });
    const write = caKey === undefined ? create(secret, told) : replaced(caKey, secret, told);
    return [write, tell("AuthoritySwitching", told)];
  }
  if (rotation.isNextSpent && caNext !== undefined) return [remove(caNext, "it is the CA that signs now")];
  return [];
}

/** The Secret with another content: whoever's its fields are, as it is our step. Another Secret of the name is left alone. */
function replaced(secret: ObjectIdentity, { metadata, data }: SecretObject, note: string): Action {
  const change = { metadata: { uid: secret.uid, annotations: metadata.annotations ?? {} }, data };
  return patch(secret, { change, note });
}

function bundleActions({ owner, names, made }: PkiState, bundle: string): Action[] {
  const retired = made.rotation?.retired.length ?? 0;
  const secret = bundleSecret(owner, names.ca, { bundle, notes: made.rotation?.notes });
  if (retired === 0) return [apply(secret, "clients trust the CA that signs now")];
  const note = `CA rotation, done: ${String(retired)} former CA left the bundle`;
  return [apply(secret, note), tell("AuthorityCurrent", note)];
}

function caKeySecret(
  owner: Owner,
  { name, ca, notes }: { readonly name: string; readonly ca: KeyPair; readonly notes: AuthorityNotes | undefined },
): SecretObject {
  const data = textData({ "tls.crt": ca.certPem, "tls.key": ca.keyPem });
  const annotations = written({
    [ANNOTATIONS.rotateCa]: notes?.handled,
    [ANNOTATIONS.replaces]: notes?.replaced.join(","),
  });
  return keptObject(owner, RESOURCES.Secret, name, { ...annotations, type: "kubernetes.io/tls", data });
}

function bundleSecret(
  owner: Owner,
  name: string,
  { bundle, notes }: { readonly bundle: string; readonly notes: AuthorityNotes | undefined },
): SecretObject {
  const annotations = written({
    [ANNOTATIONS.rotateCa]: notes?.handled,
    [ANNOTATIONS.trustedSince]: notes?.trustedSince,
  });
  const data = textData({ "ca.crt": bundle });
  return keptObject(owner, RESOURCES.Secret, name, { ...annotations, type: "Opaque", data });
}

/** Annotations that say something; none at all where there is nothing to say. */
function written(notes: Readonly<Record<string, string | undefined>>): Pick<Content, "annotations"> {
  const said = Object.entries(notes).filter(
    (note): note is [string, string] => note[1] !== undefined && note[1] !== "",
  );
  return said.length === 0 ? {} : { annotations: Object.fromEntries(said) };
}

function leafSecret(
  owner: Owner,
  { secret, labels }: NamedLeaf,
  { pair, bundle }: { readonly pair: KeyPair; readonly bundle: string },
): SecretObject {
  const data = textData({ "ca.crt": bundle, "tls.crt": pair.certPem, "tls.key": pair.keyPem });
  return ownedObject(owner, RESOURCES.Secret, secret, { labels, type: "kubernetes.io/tls", data });
}
