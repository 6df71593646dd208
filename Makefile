# Everything is one word: `make run`, `make check`, `make test`. `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SHELL := /bin/sh
# More options for pytest: make test PYTEST="-k payments"
PYTEST ?=
# Tests at once: acceptance tests start whole stations, each with several processes.
TEST_PROCESSES ?= 2
# A file's tests stay together; the longest files stand first, so that none is left to the end.
TOGETHER = -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

# Development, unless the environment or .env says otherwise.
ifeq ($(shell grep -s '^DEBUG=' .env),)
DEBUG ?= 1
export DEBUG
endif

.DEFAULT_GOAL := help
.PHONY: help run check test bench unit acceptance faults lint format migrations env env-dev browser faketime clean

help: ## List these words
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: env ## Start everything: console, API, workers, beat, embedded Valkey (PORT=8000)
	@exec $(BIN)/python manage.py run

check: lint unit ## The quick part: lint, types, import rules, migrations, unit tests

test: lint browser faketime ## Every test, with real servers and a real browser
	$(BIN)/python -m pytest tests/faults tests/acceptance tests/unit $(TOGETHER) $(PYTEST)
	TEST_DATABASE=postgres $(BIN)/python -m pytest tests/unit $(TOGETHER) $(PYTEST)

bench: env-dev ## Drain 2,000 jobs beside plain Celery, ring 1,000 due jobs a second, keep 10,000 schedules
	$(BIN)/python -m bench.smoke
	$(BIN)/python -m bench.dispatch
	$(BIN)/python -m bench.schedules

unit: env-dev ## The unit tests
	$(BIN)/python -m pytest tests/unit -n $(TEST_PROCESSES) $(PYTEST)

acceptance: browser ## The tests that start whole stations
	$(BIN)/python -m pytest tests/acceptance $(TOGETHER) $(PYTEST)

faults: env-dev faketime ## The tests that break things (FAULT_SECONDS=180: the length of the random one)
	$(BIN)/python -m pytest tests/faults $(TOGETHER) $(PYTEST)

lint: env-dev ## Style, types, import rules, missing migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@data=$$(mktemp -d) && DEBUG=1 DATA_DIR=$$data $(BIN)/python manage.py makemigrations --check --dry-run; \
	  code=$$?; rm -rf "$$data"; exit $$code

format: env-dev ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

migrations: env-dev ## Write missing migrations
	DEBUG=1 $(BIN)/python manage.py makemigrations

clean: ## Remove the environment and the development data
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# --- What the words above stand on ------------------------------------------------------------

# The environment remembers the requirements it was made from, and is brought up to date when they change.
env:
	@cmp -s requirements.txt $(VENV)/installed.txt || \
	  { sh .ci/environment $(PYTHON) $(VENV) requirements.txt && cp requirements.txt $(VENV)/installed.txt; }

env-dev:
	@cat requirements.txt requirements-dev.txt 2>/dev/null | cmp -s - $(VENV)/installed-dev.txt || \
	  { sh .ci/environment $(PYTHON) $(VENV) requirements-dev.txt && \
	    cp requirements.txt $(VENV)/installed.txt && \
	    cat requirements.txt requirements-dev.txt > $(VENV)/installed-dev.txt; }

browser: env-dev
	@sh .ci/browser $(BIN)/python

# A beat whose host's clock is wrong.
faketime:
	@sh .ci/faketime
