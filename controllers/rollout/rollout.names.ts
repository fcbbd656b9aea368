/** What a Rollout is called and what it is to be. Every other file of this folder builds on it. */
import { COMPONENTS } from "../../crds/group.ts";
import { ROLLOUT, type Rollout, type RolloutSpec } from "../../crds/rollout.ts";
import { type Colour } from "../../crds/rollout-status.ts";
import { type Owner, ownerOf } from "../kit/objects.ts";

/** Both colours, in the order of everything that is made for each. */
export const COLOURS: readonly Colour[] = ["Blue", "Green"];

/** Names of the objects of one Rollout, all in its own namespace (ARCHITECTURE.md, "Objects of a Rollout"). */
export interface RolloutNames {
  /** Deployment and Service of a colour. */
  readonly colour: (colour: Colour) => string;
  readonly route: string;
  /** ControllerRevision that keeps the pod template of a revision. */
  readonly revision: (revision: string) => string;
  /** ConfigMap or Secret that is a copy, by the hash of its content. */
  readonly copy: (hash: string) => string;
  /** Secret with the key that names of copies depend on. */
  readonly configurationKey: string;
  /** Job of a smoke test. */
  readonly smoke: (name: string, hash: string) => string;
  /** FeatureFlag with the flags that releases raise. */
  readonly flags: string;
  /** ConfigMap with the record of the last release. */
  readonly run: string;
}

/** What a Rollout is to be. */
export interface Target {
  readonly owner: Owner;
  readonly spec: RolloutSpec;
  readonly names: RolloutNames;
}

/** Value of the label that tells a colour. */
export function colourLabel(colour: Colour): string {
  return colour.toLowerCase();
}

/** The colour that a label tells; nothing for a label of somebody else. */
export function colourOf(label: string | undefined): Colour | undefined {
  return COLOURS.find((colour) => colourLabel(colour) === label);
}

export function targetOf(rollout: Rollout): Target {
  const { name } = rollout.metadata;
  const names: RolloutNames = {
    colour: (colour) => `${name}-${colourLabel(colour)}`,
    route: name,
    revision: (revision) => `${name}-${revision}`,
    copy: (hash) => `${name}-${hash}`,
    configurationKey: `${name}-configuration-key`,
    smoke: (check, hash) => `${name}-${check}-${hash}`,
    flags: `${name}-flags`,
    run: `${name}-run`,
  };
  return { owner: ownerOf(ROLLOUT, rollout, COMPONENTS.release), spec: rollout.spec, names };
}

/** What helps where an image of a pod template cannot be had. */
export const TEMPLATE_IMAGES = "correct the image in the pod template, or name a pull secret there";
