import type { ResourceType } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";

/** Tells in the log that an optional kind is not served, once a change. */
export interface AbsenceTeller {
  /** @param away parts of the kind that are not there, by namespace; `undefined`: the whole cluster */
  tell(away: ReadonlyMap<string | undefined, "missing" | "forbidden">): void;
}

/** @param how `parts`: namespaces that are read one by one, else 1 */
export function createAbsenceTeller(how: {
  readonly type: ResourceType;
  readonly log: Logger;
  readonly parts: number;
}): AbsenceTeller {
  const { kind, apiVersion, plural, group } = how.type;
  const about = { kind, apiVersion };
  const resource = group === "" ? plural : `${plural}.${group}`;
  const forbidden = new Set<string | undefined>();
  let isMissing = false;
  return {
    tell: (away) => {
      const missing = [...away.values()].filter((why) => why === "missing").length;
      if (missing >= how.parts && !isMissing) {
        isMissing = true;
        how.log.info(about, "the server has no such kind, and we do without it until it is installed");
      }
      for (const [namespace, why] of away) {
        if (why !== "forbidden" || forbidden.has(namespace)) continue;
        forbidden.add(namespace);
        how.log.warn({ ...about, namespace }, `we may not list ${resource}, and do without them until that is granted`);
      }
      if (away.size > 0 || (!isMissing && forbidden.size === 0)) return;
      isMissing = false;
      forbidden.clear();
      how.log.info(about, "the server serves the kind now");
    },
  };
}
