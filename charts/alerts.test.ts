// Alerts and dashboards of the chart: they ask for metrics that exist, each alert has its page and each page its alert, and each
// alert is shown to fire. That the expressions are right is tested by promtool (charts/alerts.int.test.ts).
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { parse } from "yaml";
import { ROLLOUT_REASONS } from "../crds/conditions.ts";
import { OUTCOMES, PHASES } from "../crds/rollout-status.ts";
import { METRICS } from "../lib/core/metric-names.ts";
import { metricsOf } from "./testing/promql.ts";

const ROOT = join(import.meta.dirname, "..");
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const RULES = (parse(read("charts/operator/alerts/rollouts.yaml")) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  ({ rules }) => rules,
);

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly description: string;
    readonly targets: readonly { readonly expr: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
}

const DASHBOARD = JSON.parse(read("charts/operator/dashboards/rollouts.json")) as Dashboard;
const QUERIES = DASHBOARD.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

/** Reasons that say that all is well or on its way, that somebody wants it so, or that are never those of condition Ready. */
const NEEDS_NO_ALERT = [
  ...["Ready", "Converged", "Releasing", "RollingBack", "Promoted", "Deploying", "ConfigurationPending", "Deleting"],
  ...["Paused", "ReleasePaused", "RequestRefused", "WaitingForWindow"],
  ...[
    "TargetFound",
    "RouteAccepted",
    "Serving",
    "NotJudged",
    "Judging",
    "NoData",
    "NoTraffic",
    "CommonCause",
    "WeightNotMeasured",
  ],
  // Deployments whose pods are not ready have alerts in every cluster, and this one is a Deployment like others.
  "PodsUnavailable",
];

/** The metric's name without what a histogram adds. */
function catalogued(name: string): string {
  const base = name.replace(/_(bucket|sum|count)$/, "");
  return METRICS[base as keyof typeof METRICS]?.type === "histogram" ? base : name;
}

/** Values that a matcher of a label asks for. */
function asked(expressions: readonly string[], label: string): string[] {
  const matchers = expressions.flatMap((text) => [
    ...text.matchAll(new RegExp(`[{ ,]${label}(=~?|!~?=?)"([^"]*)"`, "g")),
  ]);
  return matchers.flatMap(([, , values = ""]) => values.split("|")).filter((value) => !value.startsWith("$"));
}

describe("alerts", () => {
  test("each has a page, and each page an alert", () => {
    const pages = readdirSync(join(ROOT, "docs/runbooks")).filter((file) => file !== "README.md");
    expect(RULES.map(({ alert }) => `${alert}.md`).toSorted()).toEqual(pages.toSorted());
    for (const { alert, annotations } of RULES) expect(annotations["runbook_url"]).toBe(`docs/runbooks/${alert}.md`);
  });

  test.each(RULES)("$alert: says how bad it is and what it means; its page what to look at and what to do", (rule) => {
    expect(["warning", "critical"]).toContain(rule.labels["severity"]);
    for (const text of ["summary", "description"]) expect(rule.annotations[text]).toMatch(/^\S.+/);
    const page = read(`docs/runbooks/${rule.alert}.md`);
    expect(page.startsWith(`# ${rule.alert}\n`)).toBe(true);
    expect([...page.matchAll(/^## (.*)$/gm)].map(([, title]) => title)).toEqual(["What it means", "Look at", "Do"]);
  });

  test("each is shown to fire", () => {
    interface Case {
      readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts?: readonly unknown[] }[];
    }
    const { tests } = parse(read("charts/testing/rollout-alerts.yaml")) as { tests: readonly Case[] };
    const firing = tests.flatMap(({ alert_rule_test: cases }) =>
      cases.filter(({ exp_alerts: alerts = [] }) => alerts.length > 0).map(({ alertname }) => alertname),
    );
    expect([...new Set(firing)].toSorted()).toEqual(RULES.map(({ alert }) => alert).toSorted());
  });

  test("a page that lists them names each", () => {
    const page = read("docs/runbooks/README.md");
    for (const { alert } of RULES) expect(page).toContain(`[${alert}](${alert}.md)`);
  });
});

describe("what alerts and dashboards ask for", () => {
  const expressions = [...RULES.map(({ expr }) => expr), ...QUERIES];

  test.each(expressions)("only metrics of the catalogue: %s", (expr) => {
    const names = metricsOf(expr);
    expect(names.length).toBeGreaterThan(0);
    expect(names.map(catalogued).filter((name) => !Object.hasOwn(METRICS, name))).toEqual([]);
  });

  test("values that labels can have", () => {
    const known = [...Object.keys(ROLLOUT_REASONS), ...[...PHASES, ...OUTCOMES, "desired", "observed", "measured"]];
    for (const label of ["reason", "phase", "outcome", "kind"]) {
      expect(asked(expressions, label).filter((value) => !known.includes(value))).toEqual([]);
    }
    expect(asked(expressions, "reason").length).toBeGreaterThan(10);
  });

  test("every reason has an alert, or is known to need none", () => {
    const alerting = asked(
      RULES.map(({ expr }) => expr),
      "reason",
    );
    const silent = Object.keys(ROLLOUT_REASONS).filter((reason) => !alerting.includes(reason));
    expect(silent.toSorted()).toEqual(NEEDS_NO_ALERT.toSorted());
  });

  test("every metric of releases is on the dashboard", () => {
    const shown = QUERIES.flatMap(metricsOf).map(catalogued);
    const own = Object.keys(METRICS).filter((name) => /^(rollout|rollback|canary|deployment|analysis)_/.test(name));
    expect(own.length).toBeGreaterThan(5);
    expect(own.filter((name) => !shown.includes(name))).toEqual([]);
  });
});

test("the dashboard's panels have numbers of their own, and say what they show", () => {
  const { panels } = DASHBOARD;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  for (const { title, description } of panels) expect([title, description.endsWith(".")]).toEqual([title, true]);
});
