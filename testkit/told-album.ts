import type { KubeObject } from "../lib/kube/types.ts";

/** What somebody who waits for a resource should make of it. */
export type Health = "Healthy" | "Progressing" | "Degraded" | "Suspended";

/** A resource at one moment of its life. */
export interface ToldState {
  readonly name: string;
  readonly object: KubeObject;
  readonly health: Health;
  /** Whoever waits by kstatus takes it for failed, although Argo CD has a word of its own for it. */
  readonly isFailed?: true;
}

/** Keeps a resource as it is now. */
type Take = (name: string, health: Health, how?: Pick<ToldState, "isFailed">) => void;

/** Collects moments of one resource. @param find reads it */
export function album(find: () => KubeObject | undefined): { readonly states: ToldState[]; readonly take: Take } {
  const states: ToldState[] = [];
  const take: Take = (name, health, how) => {
    const found = find();
    if (found === undefined) throw new Error(`${name}: the resource is gone`);
    // The server fills it in at creation; the world in memory has no defaults.
    const object = { status: { observedGeneration: -1 }, ...structuredClone(found) } as KubeObject;
    states.push({ name: `${object.kind}: ${name}`, object, health, ...how });
  };
  return { states, take };
}
