# pgwarden: `make help` lists what there is.
SHELL := /bin/bash
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
#: pip-audit alone: it pins a pip, and two dozen packages that nothing else here needs.
AUDIT  := .audit
#: Every shell script, whatever its name: what git tracks and what begins as one.
SCRIPTS = $(shell git grep --cached -lIE '^\#!(/usr)?/bin/(env )?(ba)?sh' -- . ':!*.md' ':!*.py')

# Where the caller switches this on, each of the thousand Pythons that the tests start would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help venv cluster cluster-down images demo test durations check lint audit release record reproducible unit bench bench-downtime bench-webhook bench-schedules bench-fleet faults disasters matrix drills liars rebuild clean

help: ## what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.stamp: requirements-dev.lock
	@echo "== Python environment: installing the locked packages into $(VENV)"
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get update -q && apt-get install -y -q python3-venv; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

$(AUDIT)/.stamp: requirements-audit.lock
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/pip install --quiet --require-hashes -r requirements-audit.lock
	@touch $@

venv: $(VENV)/.stamp ## the Python environment that everything below uses

cluster: venv ## a real Kubernetes on this machine, with an S3 server and our images (root; no Docker needed; NODES=2: of two nodes)
	@$(BIN)/python -m localcluster up $(if $(NODES),--nodes $(NODES))
	@$(BIN)/python -m localcluster.images build --load

cluster-down: venv ## end that cluster and remove every trace of it
	@$(BIN)/python -m localcluster down

images: venv ## build the container images into the cache
	@$(BIN)/python -m localcluster.images build

demo: venv ## the whole story: install, archive, back up, lose a table, restore to a point in time
	@$(BIN)/python -m demo

test: venv lint ## every test: unit, API server, and end to end on real clusters; a table of the slowest at the end
	@$(BIN)/python -m localcluster tools
	@$(BIN)/python -m harness.lanes

durations: venv ## save what the end-to-end modules took in the last `make test`, for the order in which they run
	@$(BIN)/python -m harness.durations

unit: venv ## the tests that need nothing but Python
	@$(BIN)/python -m pytest tests/unit

check: lint audit ## lint, known weaknesses of what is locked, and the chart under every combination of values
	@$(BIN)/python -m localcluster tools --only helm
	@$(BIN)/python -m pytest --quiet tests/unit/chart

lint: venv ## style, types, layers, shell scripts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/shellcheck $(SCRIPTS)

audit: venv $(AUDIT)/.stamp ## known weaknesses of the locked Python packages, where an advisory service answers
	@$(BIN)/python -m release.audit $(AUDIT)/bin/pip-audit

release: venv ## images, bills of materials, provenance and checksums into dist/ (BASE=IMAGE@sha256:… or BASE=debootstrap; SNAPSHOT=TIME)
	@$(BIN)/python -m release release --base "$(BASE)" --snapshot "$(SNAPSHOT)"

record: venv ## the packages that the images have now, into release/recorded: look at the difference, and commit it
	@$(BIN)/python -m release record --base "$(BASE)" --snapshot "$(SNAPSHOT)"

reproducible: venv ## build each image twice from nothing, and compare
	@$(BIN)/python -m release reproducible --base "$(BASE)" --snapshot "$(SNAPSHOT)"

bench: venv ## backup and restore beside pgBackRest by hand (see also bench-downtime, bench-webhook, bench-schedules, bench-fleet)
	@$(BIN)/python -m bench.backup_restore
	@$(BIN)/python -m bench.cluster_restore

bench-downtime: venv ## for how long a client cannot write while a Restore in place goes on (hours; a CASE alone: see bench/downtime.py)
	@$(BIN)/python -m bench.downtime $(CASES)

bench-webhook: venv ## the webhook beside a standard Go webhook that makes the same pods
	@$(BIN)/python -m bench.webhook

faults: venv ## a restore under fire: each fault at each step, rows compared (an hour); FAULTS="--help" says how to choose
	@$(BIN)/python -m bench.faults $(FAULTS)

disasters: venv ## what is lost for good: nodes, volumes, whole installations; one after the other (an hour)
	@$(BIN)/python -m localcluster tools
	@PGWARDEN_AWAY_SECONDS=600 PGWARDEN_SLOW_SECONDS=1200 $(BIN)/python -m pytest -v tests/e2e/disasters --timeout=1800

matrix: venv ## PostgreSQL 14 to 18, and of many shapes, end to end: archive, backups, restore, rows (half an hour)
	@$(BIN)/python -m localcluster tools
	@PGWARDEN_SAVE=1 $(BIN)/python -m pytest -v tests/e2e/matrix --timeout=1800

drills: venv ## restore drills that have to fail: one planted fault after the other, each found and named (half an hour)
	@$(BIN)/python -m localcluster tools
	@PGWARDEN_SAVE=1 $(BIN)/python -m pytest -v tests/e2e/drills --timeout=1800

liars: venv ## agents, hosts and stores that lie, one lie after the other (half an hour)
	@$(BIN)/python -m localcluster tools
	@$(BIN)/python -m pytest -v tests/redteam/test_liars.py

rebuild: venv ## everything but the bucket is lost and applied again, ten times over, in ten orders (an hour)
	@PGWARDEN_REBUILD_ROUNDS=10 $(BIN)/python -m pytest -q tests/e2e/disasters/test_rebuilt.py -k same_folder --timeout=7200

bench-schedules: venv ## ten thousand BackupSchedules beside as many CronJobs and kopf timers (a quarter of an hour)
	@$(BIN)/python -m localcluster tools
	@$(BIN)/python -m bench.schedules

bench-fleet: venv ## the controller with a thousand Repositories (an hour); FLEET="--repositories 10 --events 5" is a quick try
	@$(BIN)/python -m localcluster tools
	@$(BIN)/python -m bench.fleet $(or $(FLEET),--save)

clean: ## remove what this checkout made (the cache outside of it stays)
	rm -rf $(VENV) $(AUDIT) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .reports
