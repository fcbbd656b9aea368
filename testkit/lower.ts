import type { StoryStep } from "./story.ts";

// What controllers of Kubernetes itself do in a story, each call one small step.

/** The Deployment controller: it takes up the newest template, then one pod after another becomes ready. */
export const deploymentStep: StoryStep = (world) => {
  for (const deployment of world.all("Deployment")) {
    const { spec, status } = deployment as unknown as {
      spec: { replicas: number };
      status?: { observedGeneration: number; updatedReplicas: number; readyReplicas: number };
    };
    const current = status?.observedGeneration === deployment.metadata.generation;
    const updated = current ? (status?.updatedReplicas ?? 0) + 1 : 0;
    if (updated > spec.replicas) continue;
    // A rolling update never takes a ready pod away before the next one is ready.
    const readyReplicas = Math.max(status?.readyReplicas ?? 0, updated);
    world.edit("Deployment", deployment.metadata.name, (object) => ({
      ...object,
      status: {
        observedGeneration: deployment.metadata.generation,
        replicas: spec.replicas,
        updatedReplicas: updated,
        readyReplicas,
      },
    }));
    return `Deployment ${deployment.metadata.name}: ${updated} new pods, ${readyReplicas} ready`;
  }
  return undefined;
};
