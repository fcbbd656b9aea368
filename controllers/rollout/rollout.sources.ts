/** What is remembered of the ConfigMaps and Secrets that people make: whether their content is another one, never the content. */
import { ANNOTATIONS, COMPONENTS, GROUP, LABELS } from "../../crds/group.ts";
import { contentHash } from "../../lib/core/canonical.ts";
import { omitUndefined } from "../../lib/core/objects.ts";
import type { KubeObject } from "../../lib/kube/types.ts";

/** What a ConfigMap or Secret holds, as the server says it. */
export interface SourceContent {
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
}

/** What is remembered of one. */
export interface Source {
  readonly name: string;
  /** Hash of what it holds. It never leaves this process: short values could be found by trying. */
  readonly digest: string;
  /** Of its keys and values. */
  readonly bytes: number;
  /** Of a Secret. */
  readonly type: string | undefined;
  /** Its owner wants it left out: pods read it as it is. */
  readonly isShared: boolean;
}

/** Hex digits of a digest: two contents of one name must not meet by chance, whoever chooses them. */
const DIGEST_DIGITS = 64;

/** Annotations that are read. */
const READ_ANNOTATIONS: readonly string[] = [ANNOTATIONS.configuration];

/**
 * For `Watch.transform`: the object without what it holds, with a digest of it. The watches hold all ConfigMaps and
 * Secrets, most of which concern nobody here: a few hundred bytes of each stay. Our own key is kept whole.
 */
export function rememberSource<T extends KubeObject>(object: T): T {
  const { apiVersion, kind, metadata } = object;
  const { name, namespace, uid, resourceVersion, deletionTimestamp, ownerReferences } = metadata;
  const labels = some(metadata.labels, (label) => label.startsWith(`${GROUP}/`));
  const annotations = some(metadata.annotations, (annotation) => READ_ANNOTATIONS.includes(annotation));
  const content = contentOf(object);
  const remembered: KubeObject = {
    apiVersion,
    kind,
    metadata: {
      name,
      ...omitUndefined({ namespace, uid, resourceVersion, deletionTimestamp, ownerReferences, labels, annotations }),
    },
    ...omitUndefined({ type: object["type"] }),
    digest: digestOf(content),
    bytes: bytesOf(content),
    ...(labels?.[LABELS.component] === COMPONENTS.configurationKey ? content : {}),
  };
  return remembered as T;
}

/** What an object holds that the server sent. */
export function contentOf(object: KubeObject): SourceContent {
  const { data, binaryData } = object as SourceContent;
  return omitUndefined({ data, binaryData });
}

export function digestOf({ data = {}, binaryData = {} }: SourceContent): string {
  return contentHash([data, binaryData], DIGEST_DIGITS);
}

/** @param object as `rememberSource` left it */
export function sourceOf(object: KubeObject): Source {
  const { digest = "", bytes = 0, type } = object as Partial<Source>;
  const isShared = object.metadata.annotations?.[ANNOTATIONS.configuration] === "Shared";
  return { name: object.metadata.name, digest, bytes, type, isShared };
}

function some(
  all: Readonly<Record<string, string>> | undefined,
  isWanted: (name: string) => boolean,
): Record<string, string> | undefined {
  const wanted = Object.entries(all ?? {}).filter(([name]) => isWanted(name));
  return wanted.length === 0 ? undefined : Object.fromEntries(wanted);
}

/** Near enough: values of Secrets and binary ones count as their base64, as the server stores them. */
function bytesOf({ data = {}, binaryData = {} }: SourceContent): number {
  return [...Object.entries(data), ...Object.entries(binaryData)].reduce(
    (sum, [key, value]) => sum + key.length + Buffer.byteLength(value),
    0,
  );
}
