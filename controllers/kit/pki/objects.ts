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
  const { owner, ca, leaves, made } = state;
  const { bundle } = made;
  if (made.problem !== undefined) return { authority: [], certificates: [] };
  const authority = authorityActions(state);
  if (bundle === undefined) return { authority, certificates: [] };
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

/** The step that is taken now, and what users read of it; then the bundle. */
function authorityActions(state: PkiState): readonly Action[] {
  const { caKey, caNext, made } = state;
  const { rotation, next, bundle } = made;
  const secret = authoritySecret(state);
  if (secret !== undefined && made.ca !== undefined) return [create(secret, "there is no CA yet")];
  const told = rotation?.progress?.message ?? "";
  const steps: Action[] = [];
  if (next !== undefined && caNext !== undefined) steps.push(remove(caNext, "it holds no usable CA"));
  if (secret !== undefined) {
    const isInPlace = next === undefined && caKey !== undefined;
    steps.push(isInPlace ? replaced(caKey, secret, told) : create(secret, told));
    steps.push(tell(next === undefined ? "AuthoritySwitching" : "AuthorityAdding", told));
  } else if (rotation?.isNextSpent === true && caNext !== undefined) {
    steps.push(remove(caNext, "it is the CA that signs now"));
  }
  return inOrder([...steps, ...(bundle === undefined ? [] : bundleActions(state, bundle))]);
}

/** The Secret with another content: whoever's its fields are, as it is our step. Another Secret of the name is left alone. */
function replaced(secret: ObjectIdentity, { metadata, data }: SecretObject, note: string): Action {
  const change = { metadata: { uid: secret.uid, annotations: metadata.annotations ?? {} }, data };
  return patch(secret, { change, note });
}

function bundleActions({ owner, names, made }: PkiState, bundle: string): Action[] {
  const retired = made.rotation?.retired.length ?? 0;
  const secret = bundleSecret(owner, names.ca, { bundle, notes: made.rotation?.notes });
  const done = `CA rotation, done: ${String(retired)} former CA left the bundle`;
  const write = apply(secret, retired === 0 ? "clients trust the CA that signs now" : done);
  return retired === 0 ? [write] : [write, tell("AuthorityCurrent", done)];
}

/** The Secret with the CA that is to be written now: the first one, the next one, or the next one in the place of that which signs. */
function authoritySecret({ owner, names, caNext, made }: PkiState): SecretObject | undefined {
  const { next, rotation } = made;
  const ca = made.ca ?? next ?? (rotation?.step === "switch" ? caNext?.value : undefined);
  if (ca === undefined) return undefined;
  const data = textData({ "tls.crt": ca.certPem, "tls.key": ca.keyPem });
  const annotations = written({
    [ANNOTATIONS.rotateCa]: rotation?.notes.handled,
    [ANNOTATIONS.replaces]: rotation?.notes.replaced.join(","),
  });
  const name = ca === next ? names.caNext : names.caKey;
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
