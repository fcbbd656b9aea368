// Three tiers, chosen by the file name: pure unit tests, integration tests (kube-apiserver and PostgreSQL on
// loopback), and end-to-end tests (kind). `SHIELDX_TIER` names the one to run; without it the unit tests run.
const ignored = ["/node_modules/", "/dist/", "/.build/"];

const base = {
  testEnvironment: "node",
  extensionsToTreatAsEsm: [".ts"],
  injectGlobals: false,
  randomize: true,
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      {
        jsc: { target: "es2022", parser: { syntax: "typescript" }, transform: { verbatimModuleSyntax: true } },
        module: { type: "es6" },
        sourceMaps: "inline",
      },
    ],
  },
  testPathIgnorePatterns: ignored,
  modulePathIgnorePatterns: ["<rootDir>/dist/", "<rootDir>/.build/"],
};

const tiers = {
  unit: { testRegex: ["(?<!\\.int|\\.e2e)\\.test\\.ts$"] },
  int: {
    testRegex: ["\\.int\\.test\\.ts$"],
    testTimeout: 120_000,
  },
  e2e: {
    testRegex: ["\\.e2e\\.test\\.ts$"],
    testTimeout: 600_000,
    // One after another: they share a cluster of two cores.
    maxWorkers: 1,
  },
};

const tier = process.env["SHIELDX_TIER"] ?? "unit";
if (!(tier in tiers)) throw new Error(`SHIELDX_TIER must be one of ${Object.keys(tiers).join(", ")}, not "${tier}"`);

const { testTimeout, maxWorkers, ...selection } = tiers[tier];
export default {
  ...base,
  ...selection,
  testTimeout: testTimeout ?? 10_000,
  maxWorkers: maxWorkers ?? 2,
  workerIdleMemoryLimit: "700MB",
};
