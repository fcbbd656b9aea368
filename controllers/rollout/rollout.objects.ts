/** The objects of a Rollout, as they are to be. */
import { ANNOTATIONS, COMPONENTS, LABELS } from "../../crds/group.ts";
import type { Colour } from "../../crds/rollout-status.ts";
import type { RolloutPort } from "../../crds/rollout-target.ts";
import { type KubeObject, RESOURCES, type ResourceType, type SecretObject } from "../../lib/kube/types.ts";
import { componentLabels, componentSelector, ownedObject } from "../kit/objects.ts";
import { textData } from "../kit/secrets.ts";
import { colourLabel, type Target } from "./rollout.names.ts";
import type { SourceContent } from "./rollout.sources.ts";
import type { Copy, VersionContent } from "./rollout.template.ts";

/** Labels that tell the pods of a colour from all others; they never change. */
export function colourSelector({ owner }: Target, colour: Colour): Record<string, string> {
  return { ...componentSelector(owner), [LABELS.colour]: colourLabel(colour) };
}

/** Deployment `<name>-<colour>`. */
export function colourDeployment(
  target: Target,
  colour: Colour,
  { revision, template, replicas }: VersionContent & { readonly replicas: number | undefined },
): KubeObject {
  const selector = colourSelector(target, colour);
  const { metadata, spec } = template;
  const labels = { ...metadata.labels, ...selector, [LABELS.revision]: revision };
  return ownedObject(target.owner, RESOURCES.Deployment, target.names.colour(colour), {
    labels: { [LABELS.colour]: colourLabel(colour), [LABELS.revision]: revision },
    ...(replicas === undefined ? { annotations: { [ANNOTATIONS.autoscaled]: "true" } } : {}),
    spec: {
      // Whoever names the number takes it from an autoscaler.
      ...(replicas === undefined ? {} : { replicas }),
      selector: { matchLabels: selector },
      // A version is another Deployment: this one has no history of its own.
      revisionHistoryLimit: 0,
      progressDeadlineSeconds: target.spec.progressDeadlineSeconds,
      template: { metadata: { ...metadata, labels }, spec },
    },
  });
}

/** Service `<name>-<colour>`. Its selector never changes: requests move by the weights of the route alone. */
export function colourService(target: Target, colour: Colour, ports: readonly RolloutPort[]): KubeObject {
  return ownedObject(target.owner, RESOURCES.Service, target.names.colour(colour), {
    labels: { [LABELS.colour]: colourLabel(colour) },
    spec: {
      type: "ClusterIP",
      selector: colourSelector(target, colour),
      ports: ports.map(({ name, port, targetPort = port, appProtocol }) => ({
        ...(name === undefined ? {} : { name }),
        port,
        targetPort,
        protocol: "TCP",
        ...(appProtocol === undefined ? {} : { appProtocol }),
      })),
    },
  });
}

/** ControllerRevision `<name>-<revision>`: what a version runs, which the Deployment of the spec no longer says. */
export function revisionObject(target: Target, { revision, template, ports }: VersionContent): KubeObject {
  return ownedObject(target.owner, RESOURCES.ControllerRevision, target.names.revision(revision), {
    labels: { [LABELS.revision]: revision },
    data: { template, ports },
    revision: 1,
  });
}

/** ConfigMap or Secret `<name>-<hash>`: what a version reads, for as long as there is the version. Nobody can change it. */
export function copyObject({ owner }: Target, { kind, name, source }: Copy, content: SourceContent): KubeObject {
  return ownedObject(owner, RESOURCES[kind] as ResourceType, name, {
    labels: componentLabels(owner, COMPONENTS.configuration),
    annotations: { [ANNOTATIONS.copyOf]: source },
    immutable: true,
    // Whatever acts upon Secrets of a type is to leave the copy alone.
    ...(kind === "Secret" ? { type: "Opaque" } : {}),
    ...content,
  });
}

/** Member of the Secret with the key. */
const KEY_MEMBER = "key";

/** Secret `<name>-configuration-key`: without it nobody can tell from the name of a copy what is in it. */
export function keyObject({ owner, names }: Target, key: string): KubeObject {
  return ownedObject(owner, RESOURCES.Secret, names.configurationKey, {
    labels: componentLabels(owner, COMPONENTS.configurationKey),
    immutable: true,
    type: "Opaque",
    data: textData({ [KEY_MEMBER]: key }),
  });
}

/** The key in its Secret, as it was made; one that somebody emptied is no key, and is not made anew. */
export function keyIn({ data }: SecretObject): string {
  return data?.[KEY_MEMBER] ?? "";
}

/** ConfigMap `<name>-run`: the record of the last release; `shieldx rollout replay` reads it. */
export function runConfigMap(target: Target, data: Readonly<Record<string, string>>): KubeObject {
  return ownedObject(target.owner, RESOURCES.ConfigMap, target.names.run, { data });
}
