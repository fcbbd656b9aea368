// Who may import whom: the table of ARCHITECTURE.md as rules. Tests and test support may look everywhere.
const TEST = "\\.test\\.ts$|/testing/|^testkit/";

/** Files that read, write, listen, count, run, or use keys and randomness. */
const IO_ROLES = "\\.(agents|controller|make|metrics|migrate|store|server|main)\\.ts$|^controllers/kit/pki/make\\.ts$";

/** Files that decide and describe: all of the controllers but those; no I/O, no clock, no process. */
const PURE = { path: "^controllers/|\\.decider\\.ts$", pathNot: `${TEST}|${IO_ROLES}` };

/** One rule: files under `path` may import only what `allowed` matches, and Node's own modules unless `pure`. */
function room(name, { path, allowed, comment, pure = false }) {
  return {
    name,
    comment,
    severity: "error",
    from: { path, pathNot: TEST },
    to: { pathNot: allowed, ...(pure ? {} : { dependencyTypesNot: ["core"] }) },
  };
}

/** Types cost nothing at run time and may cross walls that values may not. */
const values = { dependencyTypesNot: ["type-only"] };

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      comment: "Two files that need each other are one file, or a third is missing; types count.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-unresolved",
      comment:
        "An import that leads nowhere; csv-parse names this one in a way that Node and the compiler read and this tool does not.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "^csv-parse/sync$" },
    },
    {
      name: "no-dev-dependencies-at-run-time",
      comment: "The images install without development dependencies.",
      severity: "error",
      from: { path: "^(lib|crds|operator|controllers|dataplane)/", pathNot: TEST },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
    {
      name: "no-test-code-in-sources",
      comment: "Tests and test support are shipped to no image.",
      severity: "error",
      from: { pathNot: `${TEST}|^bench/|^e2e/` },
      to: { path: TEST },
    },
    room("lib-core-is-pure", {
      path: "^lib/core/",
      allowed: "^lib/core/|^(node:)?crypto$",
      comment: "lib/core: itself alone, and hashes.",
      pure: true,
    }),
    room("lib-node", {
      path: "^lib/node/",
      allowed: "^lib/(core|node)/|node_modules",
      comment: "lib/node is process plumbing: it knows lib/core, packages and Node.",
    }),
    room("lib-kube", {
      path: "^lib/kube/",
      allowed: "^lib/|^crds/|node_modules",
      comment: "lib/kube is the Kubernetes transport; operator and data plane share it.",
    }),
    {
      name: "client-node-behind-lib-kube",
      comment: "Loading client-node costs half a second and 80 MB: its values stay behind lib/kube.",
      severity: "error",
      from: { pathNot: `^lib/kube/|${TEST}` },
      to: { path: "node_modules/@kubernetes/client-node", dependencyTypesNot: ["type-only"] },
    },
    room("crds", {
      path: "^crds/(?!generate\\.ts)",
      allowed: "^crds/|^lib/core/|node_modules/zod/",
      comment: "crds: lib/core and zod.",
      pure: true,
    }),
    room("crds-generate", {
      path: "^crds/generate\\.ts$",
      allowed: "^crds/|^lib/core/|^operator/(config|permissions|wiring)\\.ts$|node_modules/(zod|yaml)/",
      comment: "The printer may write files, and asks the controllers what they need.",
    }),
    {
      name: "pure-roles",
      comment: "What decides and describes takes everything as arguments: no I/O of its own, nor of a sibling.",
      severity: "error",
      from: PURE,
      to: { path: `${IO_ROLES}|^lib/node/|^lib/kube/(?!types|paths)|^operator/(?!runtime)|node_modules`, ...values },
    },
    {
      name: "pure-roles-without-node",
      comment: "Hashes are the only part of Node that a decision may use.",
      severity: "error",
      from: PURE,
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?crypto$" },
    },
    {
      name: "kinds-meet-through-the-api",
      comment: "A kind reads another kind's objects, never its code.",
      severity: "error",
      from: { path: "^controllers/([^/]+)/" },
      to: { path: "^controllers/([^/]+)/", pathNot: "^controllers/($1|kit)/" },
    },
    {
      name: "the-kit-knows-no-kind",
      comment: "What every kind is made with says nothing about one of them.",
      severity: "error",
      from: { path: "^controllers/kit/" },
      to: { path: "^controllers/(?!kit/)" },
    },
    {
      name: "controllers",
      comment: "Controllers see the runtime and interfaces; transport, database and packages are not theirs.",
      severity: "error",
      from: { path: "^controllers/", pathNot: TEST },
      to: {
        pathNot:
          "^controllers/|^crds/|^lib/core/|^operator/runtime/|^lib/kube/(types|paths)\\.ts$|^lib/node/|^(node:)?crypto$",
        ...values,
      },
    },
    room("operator-kube", {
      path: "^operator/kube/",
      allowed: "^operator/kube/|^lib/|^crds/|node_modules",
      comment: "operator/kube knows no controller.",
    }),
    {
      name: "operator-runtime",
      comment: "The runtime knows no controller, and operator/kube by its types only.",
      severity: "error",
      from: { path: "^operator/runtime/", pathNot: TEST },
      to: {
        pathNot: "^operator/runtime/|^lib/|^crds/|node_modules",
        dependencyTypesNot: ["type-only", "core"],
      },
    },
    room("operator-admission", {
      path: "^operator/admission/",
      allowed: "^operator/(admission|runtime)/|^lib/|^crds/|node_modules/zod/",
      comment: "operator/admission serves webhooks: it knows no controller and no cache.",
    }),
    room("operator-rollout", {
      path: "^operator/rollout/",
      allowed: "^operator/rollout/|^lib/|^crds/|node_modules/(commander|yaml|zod)/",
      comment: "operator/rollout is the command line: it asks controllers through the API, and knows none.",
    }),
    {
      name: "wiring-alone-imports-controllers",
      comment: "operator/wiring.ts is the only file that names the controllers.",
      severity: "error",
      from: { path: "^(operator|dataplane|lib|crds)/", pathNot: `^operator/(wiring|rollout-main)\\.ts$|${TEST}` },
      to: { path: "^controllers/" },
    },
    {
      name: "command-line-calls-the-judge",
      comment:
        "The command line reads stored runs and judges them with the judge itself; it knows nothing else of the controllers.",
      severity: "error",
      from: { path: "^operator/rollout-main\\.ts$" },
      to: { path: "^controllers/(?!rollout/(judge/|sampling/run\\.store\\.ts$))" },
    },
    {
      name: "data-plane-programs-are-neighbours",
      comment: "A data-plane program knows lib and crds, not the operator and not its neighbours.",
      severity: "error",
      from: { path: "^dataplane/([^/]+)/", pathNot: TEST },
      to: { path: "^(operator|controllers|dataplane)/", pathNot: "^dataplane/$1/" },
    },
    {
      name: "nobody-imports-the-edge",
      comment: "End-to-end tests, benchmarks, charts and scripts are entry points.",
      severity: "error",
      from: { path: "^(lib|crds|operator|controllers|dataplane)/" },
      to: { path: "^(e2e|bench|charts|bin)/" },
    },
    {
      name: "charts",
      comment: "The Pulumi component knows the API's words and Pulumi.",
      severity: "error",
      from: { path: "^charts/", pathNot: TEST },
      to: { pathNot: "^charts/|^crds/|node_modules/@pulumi/", dependencyTypesNot: ["core"] },
    },
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist|\\.build)/" },
    enhancedResolveOptions: {
      conditionNames: ["import", "node", "default", "types"],
      extensions: [".ts", ".js", ".json"],
    },
  },
};
