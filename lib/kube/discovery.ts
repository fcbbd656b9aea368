import { isOperatorError, OperatorError } from "../core/errors.ts";
import type { RequestOptions } from "./request-options.ts";
import type { Requests } from "./requests.ts";
import type { ResourceType } from "./types.ts";

/** A kind that the server serves, in one version. */
export interface ServedKind extends Required<Omit<ResourceType, "shape">> {
  /** For example `get`, `list`, `watch`, `patch`. */
  readonly verbs: readonly string[];
  /** For example `status`, `scale`. */
  readonly subresources: readonly string[];
}

/** Which kinds the server knows; asked anew each time, since CRDs come and go. */
export interface Discovery {
  /** All kinds in all versions, the server's preferred version of a group first. Groups that are down are left out. */
  servedKinds(options?: RequestOptions): Promise<readonly ServedKind[]>;
  /**
   * The kind in the wanted version, else in the version that the server prefers.
   * @throws OperatorError KUBE_NOT_SERVED with the versions that are there; KUBE_…
   */
  servedKind(
    wanted: { readonly group: string; readonly kind: string; readonly version?: string | undefined },
    options?: RequestOptions,
  ): Promise<ServedKind>;
}

/** Aggregated discovery (KEP-3352): everything in two requests. Servers before 1.26 ignore it and answer in the old form. */
const ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

interface AggregatedResource {
  readonly resource?: string;
  readonly responseKind?: { readonly kind?: string };
  readonly scope?: string;
  readonly verbs?: readonly string[];
  readonly subresources?: readonly { readonly subresource?: string }[] | null;
}

interface AggregatedList {
  readonly kind?: string;
  readonly items?: readonly {
    readonly metadata?: { readonly name?: string };
    readonly versions?: readonly { readonly version?: string; readonly resources?: readonly AggregatedResource[] }[];
  }[];
}

/** APIVersions of `/api`, APIGroupList of `/apis`. */
interface LegacyList {
  readonly versions?: readonly string[];
  readonly groups?: readonly {
    readonly name: string;
    readonly versions: readonly { readonly version: string }[];
    readonly preferredVersion?: { readonly version: string };
  }[];
}

interface LegacyResources {
  readonly resources?: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
    readonly verbs?: readonly string[];
  }[];
}

/** Discovery over a client's requests. */
export function createDiscovery({ request }: Pick<Requests, "request">): Discovery {
  const read = (path: string, how: RequestOptions | undefined): Promise<unknown> =>
    request({ method: "GET", path, accept: ACCEPT, idempotent: true }, how);

  const legacyKinds = async (group: string, version: string, how: RequestOptions | undefined) => {
    const path = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
    try {
      return kindsOfVersion(group, version, (await read(path, how)) as LegacyResources);
    } catch (error) {
      // An aggregated API whose server is down, or a CRD that went meanwhile.
      if (isOperatorError(error, "KUBE_NOT_FOUND") || isOperatorError(error, "KUBE_FAILED")) return [];
      throw error;
    }
  };

  const servedKinds = async (how?: RequestOptions): Promise<readonly ServedKind[]> => {
    const answers = await Promise.all(["/api", "/apis"].map((path) => read(path, how)));
    const kinds = await Promise.all(
      answers.map(async (answer) => {
        if ((answer as AggregatedList).kind === "APIGroupDiscoveryList")
          return aggregatedKinds(answer as AggregatedList);
        const found = await Promise.all(
          versionsOf(answer as LegacyList).map(({ group, version }) => legacyKinds(group, version, how)),
        );
        return found.flat();
      }),
    );
    return kinds.flat();
  };

  return {
    servedKinds,
    servedKind: async ({ group, kind, version }, how) => {
      const named = (await servedKinds(how)).filter((served) => served.group === group && served.kind === kind);
      const found = named.find((served) => version === undefined || served.version === version);
      if (found !== undefined) return found;
      const versions = named.map((served) => served.version).join(", ");
      const wanted = `${kind}${group === "" ? "" : ` of ${group}`}${version === undefined ? "" : ` in version ${version}`}`;
      throw new OperatorError(
        "KUBE_NOT_SERVED",
        versions === "" ? `the server does not know ${wanted}` : `the server does not know ${wanted}, but ${versions}`,
      );
    },
  };
}

function aggregatedKinds(list: AggregatedList): ServedKind[] {
  return (list.items ?? []).flatMap(({ metadata, versions }) =>
    (versions ?? []).flatMap(({ version = "", resources }) =>
      (resources ?? []).map((served) => ({
        group: metadata?.name ?? "",
        version,
        apiVersion: apiVersionOf(metadata?.name ?? "", version),
        plural: served.resource ?? "",
        kind: served.responseKind?.kind ?? "",
        namespaced: served.scope === "Namespaced",
        verbs: served.verbs ?? [],
        subresources: (served.subresources ?? []).map(({ subresource }) => subresource ?? ""),
      })),
    ),
  );
}

function apiVersionOf(group: string, version: string): string {
  return group === "" ? version : `${group}/${version}`;
}

function versionsOf(list: LegacyList): { readonly group: string; readonly version: string }[] {
  const core = (list.versions ?? []).map((version) => ({ group: "", version }));
  const groups = (list.groups ?? []).flatMap(({ name, versions, preferredVersion }) =>
    versions
      .map(({ version }) => ({ group: name, version }))
      .sort(
        (a, b) => Number(b.version === preferredVersion?.version) - Number(a.version === preferredVersion?.version),
      ),
  );
  return [...core, ...groups];
}

/** Subresources stand in the same list, as `deployments/scale`. */
function kindsOfVersion(group: string, version: string, { resources = [] }: LegacyResources): ServedKind[] {
  return resources
    .filter(({ name }) => !name.includes("/"))
    .map(({ name, kind, namespaced, verbs }) => ({
      group,
      version,
      apiVersion: apiVersionOf(group, version),
      plural: name,
      kind,
      namespaced,
      verbs: verbs ?? [],
      subresources: resources
        .filter((other) => other.name.startsWith(`${name}/`))
        .map((other) => other.name.slice(name.length + 1)),
    }));
}
