/** `shieldx rollout status`: one Rollout on one screen. */
import type { Rollout } from "../../crds/rollout.ts";
import type { RolloutStatus, Version } from "../../crds/rollout-status.ts";
import type { ColourPods, Pods } from "./colours.ts";
import { nextSteps, readyCondition } from "./next.ts";
import { percentText, sinceText, spanText, tableText } from "./text.ts";

/** Releases that fit on the screen; `history` has them all. */
const RELEASES_MAX = 3;

/** @param now milliseconds since the epoch */
export function screenText(rollout: Rollout, pods: ColourPods, now: number): string {
  const { metadata, spec, status } = rollout;
  const ready = readyCondition(status);
  const rows: (readonly [label: string, text: string | undefined])[] = [
    ["phase", phaseText(rollout, now)],
    ["ladder", ladderText(rollout)],
    ["weight", weightText(status)],
    ["verdict", verdictText(status)],
    ["dry run", dryRunText(status)],
    ["stable", versionText(status?.stable, pods.stable, now)],
    ["canary", versionText(status?.canary, pods.canary, now)],
    ["waits", ready?.status === "True" ? undefined : ready?.message],
    ["request", requestText(rollout, now)],
    ...endedTexts(status, now).map((text, index) => [index === 0 ? "releases" : "", text] as const),
    ...nextSteps(rollout).map(
      ({ command, purpose }, index) => [index === 0 ? "next" : "", `${command}   ${purpose}`] as const,
    ),
  ];
  const target =
    spec.target.deployment === undefined ? "a template of its own" : `Deployment ${spec.target.deployment}`;
  const reason = ready === undefined ? "no controller has seen it yet" : ready.reason;
  const head = `Rollout ${metadata.namespace ?? ""}/${metadata.name} of ${target}: ${reason}\n`;
  return head + tableText(rows.flatMap(([label, text]) => (text === undefined ? [] : [[label, text]])));
}

function phaseText({ spec, status }: Rollout, now: number): string {
  if (status?.phase === undefined) return "-";
  const since = status.phaseSince === undefined ? "" : ` since ${sinceText(status.phaseSince, now)}`;
  const step = status.step === undefined ? "" : `, ${stepText(status.step)}`;
  const held = spec.paused && status.heldSince !== undefined ? `, held since ${sinceText(status.heldSince, now)}` : "";
  const waits = status.pause === undefined ? "" : `, waits for a person since ${sinceText(status.pause.since, now)}`;
  return `${status.phase}${step}${since}${held}${waits}${status.isFastTrack === true ? ", not judged" : ""}`;
}

/** `stage 2 of 5`, or `mirror 25 %`. */
function stepText(step: string): string {
  return step.includes("/") ? `stage ${step.replace("/", " of ")}` : step;
}

/** The stages in a line, copies of requests before them, the present one in brackets. */
export function ladderText({ spec, status }: Rollout): string {
  const isJudged = status?.phase === "Canary";
  const stages = spec.stages.map(({ weightBps, approval }, index) => {
    const text = `${percentText(weightBps)}${approval ? " (approval)" : ""}`;
    return isJudged && index === (status.stage ?? 0) ? `[${text}]` : text;
  });
  const mirror = spec.shadow === undefined ? [] : [`mirror ${String(spec.shadow.percent)} %`];
  const copies = mirror.map((text) => (status?.phase === "Shadowing" ? `[${text}]` : text));
  const bake = `bake ${spanText(spec.bakeSeconds * 1_000)}`;
  return [...copies, ...stages, status?.phase === "Baking" ? `[${bake}]` : bake].join(" > ");
}

function weightText(status: RolloutStatus | undefined): string | undefined {
  if (status?.weight === undefined) return undefined;
  const { desiredBps, observedBps, measuredBps } = status.weight;
  const or = (bps: number | undefined): string => (bps === undefined ? "not known" : percentText(bps));
  return `desired ${percentText(desiredBps)}, accepted by the gateway ${or(observedBps)}, measured ${or(measuredBps)}`;
}

function verdictText(status: RolloutStatus | undefined): string | undefined {
  const said = status?.verdict;
  return said === undefined ? undefined : `${said.verdict} (${said.reason}): ${said.message}`;
}

/** Of the newest release: what the policy that is only tried would have done. */
function dryRunText(status: RolloutStatus | undefined): string | undefined {
  const [newest] = status?.dryRun?.releases ?? [];
  return newest === undefined ? undefined : `${newest.decision}: ${newest.message}`;
}

function versionText(version: Version | undefined, pods: Pods | undefined, now: number): string | undefined {
  if (version === undefined) return undefined;
  const { colour, revision, since } = version;
  const what = pods === undefined ? "" : podsText(pods);
  return `${colour.toLowerCase()}, revision ${revision}, ${what}, since ${sinceText(since, now)}`;
}

function podsText(pods: Pods): string {
  if ("unknown" in pods) return pods.unknown;
  return `${pods.images.join(" and ")}, ${String(pods.ready)} of ${String(pods.wanted)} pods ready`;
}

function requestText({ spec, status }: Rollout, now: number): string | undefined {
  const last = status?.lastRequest;
  const { request } = spec;
  const isOpen = request !== undefined && request.id !== last?.id;
  const open = isOpen ? `${request.action} (${request.id}): not answered yet` : undefined;
  if (last === undefined) return open;
  const told = `${last.action} (${last.id}) ${sinceText(last.at, now)} ago: ${last.result}: ${last.message}`;
  return open === undefined ? told : `${open}; before it ${told}`;
}

function endedTexts(status: RolloutStatus | undefined, now: number): readonly string[] {
  return (status?.releases ?? [])
    .slice(0, RELEASES_MAX)
    .map(
      ({ revision, outcome, reason, message, endedAt }) =>
        `${revision} ${outcome} ${sinceText(endedAt, now)} ago (${reason}): ${message}`,
    );
}
