/** Routes of the Gateway API that a router of the other project moved weights in, as far as they are among the documents. */
import type { Entry } from "./documents.ts";
import { listOf, optional, textOf } from "./frame.ts";
import type { Path, Reading, Rule } from "./reading.ts";

const GATEWAY_GROUP = "gateway.networking.k8s.io";

/** Which route. */
export interface RouteName {
  readonly kind: "HTTPRoute" | "GRPCRoute";
  readonly name: string;
  /** Of the Rollout. */
  readonly namespace: string | undefined;
}

/** The part of `traffic.gatewayAPI` that the route says; nothing when it is not among the documents. */
export function trafficOfRoute(entries: readonly Entry[], route: RouteName): object | undefined {
  const found = entries.find(
    ({ apiVersion, kind, name, namespace = route.namespace }) =>
      apiVersion.startsWith(`${GATEWAY_GROUP}/`) &&
      kind === route.kind &&
      name === route.name &&
      namespace === route.namespace,
  );
  if (found === undefined) return undefined;
  const { reading } = found;
  reading.use(["metadata", "name"]);
  const parentRefs = listOf(reading.peek(["spec", "parentRefs"])).flatMap((_, index) =>
    parentOf(reading, ["spec", "parentRefs", index]),
  );
  if (parentRefs.length === 0) return undefined;
  return { parentRefs, ...optional("hostnames", reading.use(["spec", "hostnames"])), ...ruleOf(reading) };
}

/** A reference to a Gateway; other parents are reported. */
export function parentOf(reading: Reading, path: Path): readonly object[] {
  const kind = textOf(reading, [...path, "kind"]) ?? "Gateway";
  const group = textOf(reading, [...path, "group"]) ?? GATEWAY_GROUP;
  if (kind !== "Gateway" || group !== GATEWAY_GROUP) {
    reading.drop(path, "it is no Gateway of the Gateway API");
    return [];
  }
  for (const member of ["group", "kind"]) reading.use([...path, member]);
  const members = ["namespace", "name", "sectionName", "port"].map(
    (name) => [name, reading.use([...path, name])] as const,
  );
  return [Object.fromEntries(members.filter(([, value]) => value !== undefined))];
}

function ruleOf(reading: Reading): object {
  const rules: Path = ["spec", "rules"];
  const [, ...more] = listOf(reading.peek(rules));
  if (more.length > 0) {
    reading.drop(
      rules,
      "the route of a Rollout has one rule for all its requests",
      "make one Rollout for each program; other paths keep routes of their own",
    );
    return {};
  }
  const of = (member: string): object => optional(member, reading.use([...rules, 0, member]));
  return { ...of("matches"), ...of("filters") };
}

/** Fields of routes that are not translated. */
export const ROUTE_RULES: readonly Rule[] = [
  { pattern: "metadata", why: undefined },
  ...["apiVersion", "kind", "status"].map((pattern) => ({ pattern, why: undefined })),
  { pattern: "spec.rules[].backendRefs", why: "the Services of both versions take their place" },
];
