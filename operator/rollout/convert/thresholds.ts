/** Success and failure conditions of analyses, as far as they are limits on the share of failed requests. */
import { limitOf } from "./ladder.ts";

/** A metric of another project: what it asks for, and what it demands of the answer. */
export interface Threshold {
  readonly name: string;
  readonly query: string;
  /** Bounds of a good value. */
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

/** Series that count failures: 5xx, or 4xx and 5xx, or gRPC codes are matched. */
const FAILED = /=~?\s*"[^"]*(5\.|5xx|\[45\]|50\d)[^"]*"/;
const NOT_FAILED = /!~?\s*"[^"]*(5\.|5xx|\[45\]|50\d)[^"]*"|=~?\s*"(2|\[23\]|\[234\])(\.|xx)[^"]*"/;

/** Largest share of failed requests that a good value allows, in basis points; nothing when it is not about that share. */
export function errorLimit(threshold: Threshold): number | undefined {
  const { min, max } = threshold;
  const scale = scaleOf(threshold);
  if (scale === undefined) return undefined;
  const kind = kindOf(threshold);
  if (kind === "success" && min !== undefined) return limitOf(1 - min / scale);
  if (kind === "failure" && max !== undefined) return limitOf(max / scale);
  return undefined;
}

function kindOf({ name, query }: Threshold): "success" | "failure" | undefined {
  if (/latency|duration|seconds|histogram_quantile/i.test(`${name} ${query}`)) return undefined;
  if (NOT_FAILED.test(query)) {
    // "1 - good / all" is a share of failures.
    return /(^|\()\s*(1|100)\s*-/.test(query) ? "failure" : "success";
  }
  if (FAILED.test(query)) return /(^|\()\s*(1|100)\s*-/.test(query) ? "success" : "failure";
  if (/success|availability/i.test(name)) return "success";
  if (/error|fail|5xx/i.test(name)) return "failure";
  return undefined;
}

/** 1 for shares, 100 for percents; nothing when the numbers fit neither. */
function scaleOf({ query, min, max }: Threshold): number | undefined {
  const value = min ?? max;
  if (value === undefined || value < 0) return undefined;
  if (/\*\s*100\b|\b100\s*[*-]/.test(query)) return value <= 100 ? 100 : undefined;
  // Without a factor in the query a value above 1 is no share; one of a success rate above 1 can only be in percent.
  if (value <= 1) return 1;
  return min !== undefined && value <= 100 ? 100 : undefined;
}

const NUMBER = String.raw`([0-9]+(?:\.[0-9]+)?)`;
const RESULT = String.raw`(?:result(?:\[0\])?|default\(result(?:\[0\])?,\s*[-0-9.]+\))`;
const FORWARD = new RegExp(`^${RESULT}\\s*(>=|>|<=|<)\\s*${NUMBER}$`);
const BACKWARD = new RegExp(`^${NUMBER}\\s*(>=|>|<=|<)\\s*${RESULT}$`);
/** What is said of results that are none: no data never passes a stage here. */
const NO_DATA = /^(len\(result\)\s*==\s*0|isNaN\(result(\[0\])?\)|isInf\(result(\[0\])?\)|result\s*==\s*nil)$/;

/** A condition as bounds of a good value. `isFailure` turns it around. Nothing when it is anything but one comparison. */
export function boundsOf(condition: string, isFailure: boolean): Pick<Threshold, "min" | "max"> | undefined {
  const parts = condition.split("||").map((part) =>
    part
      .trim()
      .replace(/^\((.*)\)$/, "$1")
      .trim(),
  );
  const [part, ...more] = parts.filter((one) => !NO_DATA.test(one));
  if (part === undefined || more.length > 0) return undefined;
  const forward = FORWARD.exec(part);
  const backward = BACKWARD.exec(part);
  const value = Number(forward?.[2] ?? backward?.[1]);
  const isAtLeast = forward === null ? backward?.[2]?.startsWith("<") : forward[1]?.startsWith(">");
  if (isAtLeast === undefined || Number.isNaN(value)) return undefined;
  return isAtLeast === isFailure ? { max: value } : { min: value };
}

/** Names that a pod's own counter has, as a query of it tells; nothing for counters of meshes and gateways. */
export function podMetricsOf(query: string): { readonly requests: string; readonly errors: object } | undefined {
  const [, requests = "", label = "", values = ""] =
    /([a-zA-Z_:][\w:]*)\{[^}]*?(\w+)\s*(?:=~|!~)\s*"([^"]*5[^"]*)"/.exec(query.replace(/\{\{[^}]*\}\}/g, "")) ?? [];
  if (
    !/_total$|_count$/.test(requests) ||
    /^(istio|envoy|nginx|traefik|linkerd|contour|gloo|skipper|haproxy|kuma|apisix)_/.test(requests)
  ) {
    return undefined;
  }
  const pattern = values.replace(/^\^|\$$/g, "").replace(/^5\.[*+]$/, "5..");
  if (!/^[A-Za-z0-9_.-]+(\|[A-Za-z0-9_.-]+)*$/.test(pattern)) return undefined;
  return { requests, errors: { label, pattern } };
}
