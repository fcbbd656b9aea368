/** What happened to a resource as a CloudEvent: version 1.0, in the JSON format, to be sent in structured mode. */
import type { Entry } from "../../../crds/notifications.ts";
import { objectPath } from "../../../lib/kube/paths.ts";
import type { ResourceType } from "../../../lib/kube/types.ts";

export const CLOUD_EVENT_CONTENT_TYPE = "application/cloudevents+json; charset=utf-8";

/** The resource that an event is about. */
export interface Origin {
  readonly resource: ResourceType;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** What happened, and what it was about within the resource. */
export interface Occurrence extends Entry {
  readonly subject: string;
  /** What a receiver may want to know beside the resource and the event. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** The event as JSON: the same text for each delivery of it. */
export function cloudEventText({ resource, ...where }: Origin, { id, event, at, subject, facts }: Occurrence): string {
  return JSON.stringify({
    specversion: "1.0",
    id,
    source: objectPath(resource, where),
    type: eventType(resource, event),
    subject,
    time: at,
    datacontenttype: "application/json",
    data: { ...where, event, ...facts },
  });
}

/** `dev.shieldx.rollout.stage_passed.v1`: in parts of letters, digits and '_', as Standard Webhooks want names of events. */
function eventType({ group, kind }: ResourceType, event: string): string {
  const words = event.replace(/(?!^)([A-Z])/g, "_$1").toLowerCase();
  return [...group.split(".").reverse(), kind.toLowerCase(), words, "v1"].join(".");
}
