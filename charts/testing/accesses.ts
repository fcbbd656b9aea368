import type { Transport } from "../../lib/kube/transport.ts";

/** One right: `create secrets`, `patch shardsets.shieldx.dev/status`. */
export type Right = string;

/** Verb and resource as a Role writes them. */
export function rightOf(verb: string, group: string, resource: string): Right {
  const [plural = "", subresource] = resource.split("/");
  return `${verb} ${plural}${group === "" ? "" : `.${group}`}${subresource === undefined ? "" : `/${subresource}`}`;
}

/** A rule of a Role. */
export interface RoleRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** Every right that rules grant. */
export function rightsOf(rules: readonly RoleRule[]): Set<Right> {
  return new Set(
    rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => rightOf(verb, group, resource))),
      ),
    ),
  );
}

/** A right that was used, in a namespace ("" for all), and the server's answer. */
export interface Access {
  readonly right: Right;
  readonly namespace: string;
  readonly status: number;
}

const PATH =
  /^\/(?:api\/v1|apis\/(?<group>[^/]+)\/[^/]+)(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<plural>[^/?]+)(?:\/(?<name>[^/?]+))?(?:\/(?<subresource>[^/?]+))?(?:\?(?<query>.*))?$/;

/** The transport, writing down which right each of its requests needs. */
export function recordAccesses(transport: Transport, accesses: Access[]): Transport {
  return {
    ...transport,
    send: async (request) => {
      const response = await transport.send(request);
      const {
        group = "",
        namespace = "",
        plural = "",
        name,
        subresource,
        query = "",
      } = PATH.exec(request.path)?.groups ?? {};
      const resource = subresource === undefined ? plural : `${plural}/${subresource}`;
      for (const verb of verbsOf(request.method, { name, query, status: response.statusCode })) {
        accesses.push({ right: rightOf(verb, group, resource), namespace, status: response.statusCode });
      }
      return response;
    },
  };
}

function verbsOf(
  method: string,
  { name, query, status }: { readonly name: string | undefined; readonly query: string; readonly status: number },
): readonly string[] {
  switch (method) {
    case "GET":
      return [name !== undefined ? "get" : /(^|&)watch=(true|1)(&|$)/.test(query) ? "watch" : "list"];
    case "POST":
      return ["create"];
    case "PUT":
      return ["update"];
    case "DELETE":
      return ["delete"];
    default:
      // An apply that makes the object needs the right to create it too.
      return status === 201 ? ["patch", "create"] : ["patch"];
  }
}
