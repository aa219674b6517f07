# Every target does its own set-up first, and set-up that is done is not done again.
# Options: PYTHON=python3.12 (any 3.11 or newer), SEEDS=20 FIRST_SEED=7 AT_ONCE=1 for test-fault, ARGS="..." for demo, bench,
# quality, test and lock (--upgrade).

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
# Two at a time: they wait for Kafka and Spark most of the time, and each brings up to 2 GiB of them.
PYTEST := $(BIN)/python -m pytest -n 2
# A file stays on one worker, and the long files of tests/e2e come first: sorted by their number of tests they come last.
BY_FILE := --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# What the tests of faults took: each is minutes.
DURATIONS := --durations=0 --durations-min=1
DATA ?= ../shared/quality/dev
OUT ?= build/quality
SEEDS ?= 2
FIRST_SEED ?= 0
AT_ONCE ?= 2
LOCKS := requirements-build.lock requirements-dev.lock
# Named by content, not by time: a fresh checkout of the same locks installs nothing.
INSTALLED := $(VENV)/.installed-$(shell cat $(LOCKS) pyproject.toml 2>/dev/null | cksum | tr -d ' ')
UV := uv==0.13.9
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup demo bench quality test test-fault test-surroundings image image-build check lint format lock clean java-and-jars

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) java-and-jars ## install everything the other targets need

demo: setup ## broker, history, training, a live plant with faults, alerts
	@$(BIN)/tidemark demo $(ARGS)

bench: setup ## measure speed and scale (ARGS=--quick: whether it works)
	@$(BIN)/python -m bench $(ARGS)

quality: setup ## judge labelled series (DATA=directory OUT=results)
	@test -f $(DATA)/manifest.csv || { \
		echo "$(DATA) holds no series; name a directory with manifest.csv: make quality DATA=DIRECTORY" >&2; exit 78; }
	@$(BIN)/tidemark evaluate $(DATA) --out $(OUT) $(ARGS)
	@test ! -f $(DATA)/../score.py || $(BIN)/python $(DATA)/../score.py $(DATA) $(OUT)

test: setup ## run all tests, with a real broker and Spark
	@$(PYTEST) $(BY_FILE) $(ARGS)

test-fault: setup ## kill the application at every step of a batch (SEEDS=2)
	@SEEDS=$(SEEDS) FIRST_SEED=$(FIRST_SEED) AT_ONCE=$(AT_ONCE) \
		$(BIN)/python -m pytest tests/fault/test_kills.py -s $(DURATIONS) $(ARGS)

test-surroundings: setup ## break what it stands on: Kafka, workers, executors, disk; take over
	@$(PYTEST) $(BY_FILE) tests/fault --ignore tests/fault/test_kills.py $(DURATIONS) $(ARGS)

image-build: ## build the image alone
	@.ci/image build

image: $(INSTALLED) ## build the image, run it as deploy/compose.yaml does
	@.ci/image $(ARGS)

check: lint ## lint, types, import contract, tests that need no Java
	@$(PYTEST) tests/unit tests/contract

lint: $(INSTALLED) ## lint, formatting, types and the import contract
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/shellcheck .ci/run .ci/image
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml

format: $(INSTALLED) ## format the code and apply safe lint fixes
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

lock: $(INSTALLED) java-and-jars ## write the locks of packages and jars anew
	@$(PIP) $(UV)
	@$(COMPILE) requirements-build.in -o requirements-build.lock
	@$(COMPILE) pyproject.toml -o requirements.lock
	@$(COMPILE) pyproject.toml --group dev -o requirements-dev.lock
	@$(BIN)/python -m detector.kafka relock

clean: ## remove .venv and what tools left; downloads stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis \
		spark-warehouse metastore_db derby.log
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

java-and-jars: $(INSTALLED)
	@$(BIN)/tidemark setup

# pyspark comes as source: what builds it is locked too, and is installed first.
$(INSTALLED):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it, or name it: make PYTHON=..." >&2; exit 69; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || test -x $(BIN)/python || { \
		echo "$(PYTHON) has no ensurepip, which makes virtual environments (on Debian and Ubuntu: python3-venv)"; \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing it: apt-get install -y python3-venv"; \
			apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q python3-venv >/dev/null; \
		else echo "Install it: sudo apt-get install -y python3-venv" >&2; exit 69; fi; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV) (a few minutes the first time)"
	@$(PIP) --require-hashes -r requirements-build.lock
	@$(PIP) --require-hashes --no-build-isolation -r requirements-dev.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-* && touch $@
