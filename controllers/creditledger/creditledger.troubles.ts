import type { Clues } from "../../operator/runtime/clues.ts";
import { podTrouble } from "../kit/explain/pods.ts";
import { refusalTrouble } from "../kit/explain/refusals.ts";
import { type Trouble, together } from "../kit/explain/trouble.ts";
import type { ObservedJob } from "./creditledger.facts.ts";
import type { World } from "./creditledger.observe.ts";

// Why the pods of a ledger do not come up: a Job or a Deployment stands between, so their controllers are asked too.

/** Why a Job that runs has no pod at work; what an attempt ended with is told by itself. */
export function jobTrouble({ uid = "", pods }: ObservedJob, clues: Clues): Trouble | undefined {
  const complaint = clues.complaints.get(uid);
  if (pods.length === 0) return complaint && refusalTrouble(complaint.message);
  return ofPods(
    pods.filter(({ phase }) => phase === "Pending"),
    clues,
  );
}

/** Why pods of the Deployment do not come up; `undefined` while they start as pods do. */
export function deploymentTrouble({ deployment, unreadyPods, clues }: World): Trouble | undefined {
  return together([
    deployment?.refused === undefined ? undefined : refusalTrouble(deployment.refused.message),
    ofPods(unreadyPods, clues),
  ]);
}

/** Pods of one template fail for one reason: the first of them that tells one tells for all. */
function ofPods(pods: World["unreadyPods"], { complaints }: Clues): Trouble | undefined {
  for (const pod of pods) {
    const trouble = podTrouble(pod, complaints.get(pod.uid ?? ""));
    if (trouble !== undefined) return { ...trouble, text: `pod ${pod.name}: ${trouble.text}` };
  }
  return undefined;
}

/** The sentence, with what is wrong behind it. */
export function withTrouble(sentence: string, trouble: Trouble | undefined): string {
  return trouble === undefined ? sentence : `${sentence}; ${trouble.text}`;
}
