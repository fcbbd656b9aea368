import { firstWords, type Trouble } from "./trouble.ts";

// Why a ReplicaSet or a Job gets no pods: what admission said to its controller.

/** "User … cannot create": a missing right. "being terminated": the namespace goes. Neither is for the reader of a quota. */
const ADMISSION = /is forbidden|admission webhook|violates PodSecurity|exceeded quota|failed quota/i;
const PASSING = /being terminated|try again|timeout|connection refused/i;

/** Why no pod could be made, from what its controller was answered. @param message of a condition or an event */
export function refusalTrouble(message: string): Trouble {
  const text = `no pod can be made: ${firstWords(message.replace(/^Error creating: /, ""))}`;
  if (PASSING.test(message) || !ADMISSION.test(message)) return { text, needsPerson: false };
  return { text: `${text}; change the quota, the limit range or the policy, or the spec`, needsPerson: true };
}
