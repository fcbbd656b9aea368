# What people, tests and CI type. 'make help' lists it. Every target may be run again at any time.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:

# The pinned Node, whatever the machine has.
NODE := node_modules/.bin/node --disable-warning=ExperimentalWarning
# npm sometimes asks; nobody is there to answer.
NPM := npm </dev/null

# The lock file's hash is the name of the stamp: another lock file is another stamp.
LOCK := $(shell sha256sum package-lock.json | cut -c1-16)
DEPS := .build/deps/$(LOCK)

# Bench and chaos runs take names from the command line.
BENCH ?=
CHAOS ?=
CHAOS_NAMES := runtime dataplane api border rollout
E2E ?=
export E2E

# Where programs for people go.
PREFIX ?= /usr/local/bin

.PHONY: help
help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: CLUSTERS=\"a b\" WORKERS=2 KUBECONFIG_CLUSTER=1 E2E=name TIERS=\"unit int\" BENCH=name CHAOS=name SEED=n CHAOS_SECONDS=n DATA=file.csv PREFIX=folder"

.PHONY: deps
deps: $(DEPS) ## Installs the npm packages of the lock file, unless they are there

$(DEPS): package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer (on Debian: apt-get install npm)" >&2; exit 1; }
	$(NPM) ci --no-audit --no-fund
	@rm -rf .build/deps && mkdir -p .build/deps && touch $@

.PHONY: tools
tools: ## Builds kube, kubectl, helm, kind and promtool into .build/bin (about 10 minutes cold)
	e2e/cluster/toolchain.sh tools

.PHONY: fmt
fmt: deps ## Formats the sources
	$(NPM) run -s fmt

.PHONY: lint
lint: deps ## Lints the sources
	$(NPM) run -s lint

.PHONY: types
types: deps ## Checks the types
	$(NPM) run -s types

.PHONY: generate
generate: deps ## Writes CRDs, their copies in the chart, and reference pages from the schemas
	$(NPM) run -s generate

.PHONY: docs
docs: generate ## Writes the reference pages; checks links, and what pages and comments refer to
	$(NODE) bin/check-links.ts

.PHONY: verify
verify: deps ## Checks everything that needs no test run: format, lint, types, walls, unused code, generated files, chart, links
	@$(NODE) bin/test.ts tools verify

.PHONY: test
test: deps ## Runs everything: verify, unit, integration and end-to-end tests; TIERS="unit int" runs some
	@$(NODE) bin/test.ts tools verify images unit int e2e

.PHONY: test-unit
test-unit: deps ## Runs the unit tests
	@$(NODE) bin/test.ts unit

.PHONY: update-golden
update-golden: deps ## Writes the transcripts of the stories anew; read the difference before it is committed
	SHIELDX_UPDATE_GOLDEN=1 $(NPM) run -s jest -- story.test.ts

.PHONY: test-int
test-int: deps ## Runs the integration tests: a real API server and a real PostgreSQL on loopback
	@$(NODE) bin/test.ts tools images int

.PHONY: test-e2e
test-e2e: deps ## Runs the end-to-end tests on a kind cluster; E2E=name runs one file
	@$(NODE) bin/test.ts tools images e2e

.PHONY: cluster
cluster: ## Brings up kind clusters: CLUSTERS="a b", WORKERS=2
	e2e/cluster/up.sh

.PHONY: cluster-down
cluster-down: ## Removes them
	e2e/cluster/down.sh

.PHONY: images
images: deps ## Builds the images shieldx and shieldx-postgres, unless they are up to date
	images/build.sh

.PHONY: chart
chart: deps tools ## Lints the chart and runs its template tests
	.build/bin/helm lint --strict --quiet charts/operator --set image.reference=example/shieldx:1,postgresImage.reference=example/postgres:1
	SHIELDX_TIER=int $(NPM) run -s jest -- charts/

.PHONY: demo
demo: deps ## One command from nothing to a ledger with a year of transactions in it, and to a release that is judged; DEMO=bank or DEMO=rollout plays one act, DATA=file.csv takes a file of your own
	$(NODE) e2e/demo.ts

.PHONY: bench
bench: deps tools ## Runs the benchmarks beside their peers; BENCH=name runs one
	@for file in bench/$(if $(BENCH),$(BENCH),*).bench.ts; do \
	  [ -e "$$file" ] || { echo "there is no benchmark $$file" >&2; exit 1; }; \
	  echo "== $$file"; $(NODE) "$$file"; \
	done

# Both run, also when the first one fails.
.PHONY: chaos
chaos: deps ## Breaks things at random and checks that nothing is lost; CHAOS=name runs one (runtime, dataplane, api, border, rollout), SEED=n repeats a run
	@for name in $(CHAOS); do \
	  [[ " $(CHAOS_NAMES) " == *" $$name "* ]] || { echo "there is no chaos run \"$$name\": $(CHAOS_NAMES)" >&2; exit 2; }; \
	done
	@failed=0; for name in $(or $(CHAOS),$(CHAOS_NAMES)); do \
	  echo "== chaos $$name"; $(MAKE) --no-print-directory chaos-$$name || failed=1; \
	done; exit $$failed

# Ten minutes on a real etcd and kube-apiserver; CHAOS_SECONDS=n makes it shorter or longer.
.PHONY: chaos-runtime
chaos-runtime: deps tools
	@$(NODE) e2e/chaos/runtime.chaos.ts

# Twenty kills on a kind cluster; KILLS=n makes them more or fewer.
.PHONY: chaos-dataplane
chaos-dataplane: deps
	@E2E=chaos $(NODE) bin/test.ts tools images e2e

# Fifty thousand generated requests on a real PostgreSQL; FUZZ_REQUESTS=n makes them more or fewer.
.PHONY: chaos-api
chaos-api: deps
	@images/build.sh && $(NODE) e2e/chaos/api.chaos.ts

# Two minutes of a thousand bad connections beside a good client; CHAOS_SECONDS=n makes them more or fewer.
.PHONY: chaos-border
chaos-border: deps
	@images/build.sh && $(NODE) e2e/chaos/border.chaos.ts

# Twenty-five minutes of releases on a kind cluster with Traefik; CHAOS_SECONDS=n leaves out what does not begin in time.
.PHONY: chaos-rollout
chaos-rollout: deps tools
	@$(NODE) e2e/chaos/rollout.chaos.ts

# A link: it runs the sources of this folder. kubectl finds programs named kubectl-<word> on the PATH.
.PHONY: plugin
plugin: ## Makes "kubectl shieldx ..." of the program: links PREFIX/kubectl-shieldx (PREFIX=/usr/local/bin)
	@mkdir -p "$(PREFIX)"
	ln -sf "$(CURDIR)/bin/shieldx" "$(PREFIX)/kubectl-shieldx"

.PHONY: clean
clean: ## Removes what was built here; clusters, images and the cache of downloads stay
	rm -rf dist coverage .build/deps .build/failures .build/results node_modules
