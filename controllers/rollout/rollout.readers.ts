/** Which Rollouts a ConfigMap or Secret concerns: those whose pods read it, found by indexes, and the one whose copy it is. */
import { LABELS } from "../../crds/group.ts";
import { ROLLOUT, type Rollout } from "../../crds/rollout.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { labelKeys, ownKey, referringKeys } from "../../operator/runtime/mapping.ts";
import { factsChanged } from "../../operator/runtime/predicates.ts";
import type { CacheReader, Key, Watch } from "../../operator/runtime/types.ts";
import { ON_DEPLOYMENT } from "./rollout.observe.ts";
import { idOf, referencesIn, type SourceKind } from "./rollout.references.ts";
import { rememberSource, sourceOf } from "./rollout.sources.ts";

/** By the configuration that pods read: Rollouts with a template of their own, and Deployments. */
const ON_CONFIGURATION = "configuration";

interface Templated {
  readonly spec?: Readonly<Record<string, unknown>>;
}

function readBy(namespace: string | undefined, template: Templated | undefined): readonly string[] {
  const references = template?.spec === undefined ? [] : referencesIn(template.spec);
  return references.map((reference) => `${namespace ?? ""}/${idOf(reference)}`);
}

/** Of Rollouts. */
export const configurationIndexes = {
  [ON_CONFIGURATION]: ({ metadata, spec }: Rollout): readonly string[] =>
    readBy(metadata.namespace, spec.target.template),
};

/** Of Deployments. */
export const deploymentIndexes = {
  [ON_CONFIGURATION]: ({ metadata, ...body }: KubeObject): readonly string[] =>
    readBy(metadata.namespace, (body["spec"] as { readonly template?: Templated } | undefined)?.template),
};

const byLabel = labelKeys(LABELS.name);
const byDeployment = referringKeys(ROLLOUT, ON_DEPLOYMENT);

function concerned(kind: SourceKind, object: KubeObject, cache: CacheReader): readonly Key[] {
  const { namespace = "", name, labels } = object.metadata;
  if (labels?.[LABELS.kind] === ROLLOUT.kind) return byLabel(object, cache);
  const id = `${namespace}/${idOf({ kind, name })}`;
  return [
    ...cache.byIndex(ROLLOUT, ON_CONFIGURATION, id).flatMap((rollout) => ownKey(rollout, cache)),
    ...cache
      .byIndex(RESOURCES.Deployment, ON_CONFIGURATION, id)
      .flatMap((deployment) => byDeployment(deployment, cache)),
  ];
}

function watchOf(kind: SourceKind): Watch {
  return {
    resource: RESOURCES[kind],
    transform: rememberSource,
    keys: (object, cache) => concerned(kind, object, cache),
    changed: factsChanged((object) => [sourceOf(object), object.metadata.labels]),
    writes: ["create", "patch", "delete"],
  };
}

/** All ConfigMaps and Secrets, without what they hold. */
export const configurationWatches: readonly Watch[] = [watchOf("ConfigMap"), watchOf("Secret")];
