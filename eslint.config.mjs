// Rules that catch mistakes; the look of the code is Biome's. Every rule that is switched off says why.
import tseslint from "typescript-eslint";

/** The wall clock, randomness and the environment have one home each; the message names the replacement. */
const clock = [
  {
    selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    message: "Take a Clock (lib/core/clock.ts): tests choose the time.",
  },
  {
    selector: "NewExpression[callee.name='Date'][arguments.length=0]",
    message: "Take a Clock (lib/core/clock.ts): tests choose the time.",
  },
];
const random = [
  {
    selector: "MemberExpression[object.name='Math'][property.name='random']",
    message: "Take a random function as an argument (lib/core/prng.ts in tests).",
  },
];
const environment = [
  {
    selector: "MemberExpression[object.name='process'][property.name='env']",
    message: "Take what you need as arguments; lib/node/env.ts is the one reader of the environment.",
  },
];

const everywhere = [
  { selector: "ExportDefaultDeclaration", message: "Export by name: a default has another name in each file." },
  {
    selector: "TSEnumDeclaration",
    message: "Use a const object or a union: Node strips types, it does not compile enums.",
  },
];

/** Programs and tests at the edge: they print, and read the machine's clock and environment. */
const edge = ["**/*.test.ts", "**/testing/**", "testkit/**", "e2e/**", "bench/**", "bin/**", "crds/generate.ts"];

export default tseslint.config(
  { ignores: ["dist/", ".build/", "node_modules/", "coverage/", "**/*.mjs", "**/*.cjs"] },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_", ignoreRestSiblings: true },
      ],
      // A number in a text is what it looks like; anything else still needs a decision.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "no-restricted-syntax": ["error", ...everywhere, ...clock, ...random, ...environment],
      "no-console": "error",
      "no-constant-condition": ["error", { checkLoops: false }],
      "no-debugger": "error",
      "no-empty": "error",
      "no-sparse-arrays": "error",
      "no-unsafe-finally": "error",
      "no-var": "error",
      "prefer-const": "error",
      eqeqeq: "error",

      // Figures that start a talk, not a quarrel: a factory that returns many small functions is one function to them.
      "max-params": ["warn", 3],
      "max-depth": ["warn", 4],
      "max-lines-per-function": ["warn", { max: 70, skipBlankLines: true, skipComments: true }],

      // "return done()" as an early exit is clear enough, and its value is void anyway.
      "@typescript-eslint/no-confusing-void-expression": "off",
      "@typescript-eslint/no-meaningless-void-operator": "off",
      // Narrowing does not see that a signal may be aborted, or a field changed, during an await.
      "@typescript-eslint/no-unnecessary-condition": "off",
      // Our objects are records of closures: their functions have no "this" to lose.
      "@typescript-eslint/unbound-method": "off",
      // "async" is also how a function keeps to an interface, and how a throw becomes a rejection.
      "@typescript-eslint/require-await": "off",
      // It does not know branded numbers, such as credits.
      "@typescript-eslint/no-unsafe-unary-minus": "off",
      // It rejects plain objects where client-node declares model classes.
      "@typescript-eslint/no-unsafe-class-instance-assignment": "off",
      // Labels, annotations and raw objects are maps: their members come and go by name.
      "@typescript-eslint/no-dynamic-delete": "off",
      // A type parameter that only names the result is how a caller says what it expects of JSON.
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
    },
  },
  {
    // Decisions get the time as a number; the formatting functions beside the clock are theirs to use.
    files: ["controllers/**/*.ts", "**/*.decider.ts"],
    ignores: ["**/*.{agents,controller,make}.ts", "**/*.test.ts", "**/testing/**"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            { regex: "core/clock\\.ts$", importNames: ["systemClock"], message: "Take the time as an argument." },
          ],
        },
      ],
    },
  },
  {
    files: ["lib/core/clock.ts"],
    rules: { "no-restricted-syntax": ["error", ...everywhere, ...random, ...environment] },
  },
  {
    files: ["lib/node/env.ts"],
    rules: { "no-restricted-syntax": ["error", ...everywhere, ...clock, ...random] },
  },
  {
    files: edge,
    rules: {
      "no-restricted-syntax": ["error", ...everywhere],
      "no-console": "off",
      "max-params": "off",
      "max-lines-per-function": "off",
    },
  },
);
