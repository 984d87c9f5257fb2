# Everything needs only git, make, a C compiler and Python 3.11; the environment is made on first use.
# `make help` lists the commands.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.8
PATIENTS ?= 60
SEED ?= 1
EXTRAS := dev redis smears

COMPILE := $(UV) pip compile --quiet --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11

export DO_NOT_TRACK := 1
# Compiled modules are kept: starting Dagster, Feast and dbt takes half the time then.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-smears soak check ui bench lock lock-check format clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	  || { echo "OncoFrame needs Python 3.11 or 3.12; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# What runs: the locked packages and OncoFrame itself, without the tools of development. Packages
# are compiled here, once: where Python may write no compiled modules, each start would do it again.
$(VENV)/.run: requirements.lock pyproject.toml | $(UV)
	$(UV) pip install --quiet --compile-bytecode --require-hashes -r requirements.lock
	$(UV) pip install --quiet --no-deps -e .
	@touch $@

# What develops: the same set and the tools of the dev extra.
$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(UV) pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

# What networks on smears need: gigabytes that nothing else does.
$(VENV)/.smears: requirements-smears.lock $(VENV)/.dev
	$(UV) pip install --quiet --require-hashes -r requirements-smears.lock
	@touch $@

demo: $(VENV)/.run ## simulate a cohort, run the whole line on it, train a model
	$(BIN)/oncoframe demo --patients $(PATIENTS) --seed $(SEED)

ui: $(VENV)/.run ## open the Dagster and MLflow UIs on the default home
	$(BIN)/oncoframe ui

test: $(VENV)/.dev ## run all tests but the soak tests
	$(BIN)/pytest -m "not soak and not smears" -n auto --dist loadfile

test-smears: $(VENV)/.smears ## install torch and run the tests of networks on smears
	$(BIN)/pytest tests/smears -m "not soak"

test-fast: $(VENV)/.dev ## run the unit tests that are not slow
	$(BIN)/pytest tests/unit -m "not slow and not soak" -n auto --dist loadfile

soak: $(VENV)/.dev ## run the tests that are too long for CI
	$(BIN)/pytest -m soak

check: $(VENV)/.dev lock-check ## lint, types, import rules, lock
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## measure; one JSON line per measurement
	@for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

lock: | $(UV) ## resolve pyproject.toml anew into the lock files
	$(COMPILE) --upgrade pyproject.toml -o requirements.lock
	@for extra in $(EXTRAS); do \
	  $(COMPILE) --upgrade pyproject.toml --extra $$extra -c requirements.lock -o requirements-$$extra.lock || exit 1; \
	done

# Resolving again with the pins of the locks changes nothing as long as they fit pyproject.toml.
lock-check: | $(UV)
	@for extra in "" $(EXTRAS); do \
	  lock=requirements$${extra:+-$$extra}.lock; cp $$lock $(VENV)/$$lock; \
	  $(COMPILE) pyproject.toml $${extra:+--extra $$extra -c requirements.lock} -o $(VENV)/$$lock >/dev/null || exit 1; \
	  cmp -s $$lock $(VENV)/$$lock || { echo "$$lock does not fit pyproject.toml: run 'make lock'"; exit 1; }; \
	done
	@! grep -nE 'https?://' requirements*.lock || { echo "a lock names a registry"; exit 1; }

format: $(VENV)/.dev ## format and fix what can be fixed
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

clean: ## remove the environment, caches and the default home
	rm -rf $(VENV) .oncoframe .mypy_cache .ruff_cache .pytest_cache dbt_clinical/target
