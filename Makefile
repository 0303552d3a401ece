# The commands are `make demo` and `make test`; each installs what it needs into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

CURL := tests/live/test_messages.py::test_a_loop_of_curl_arrives_in_order
ACCESS := tests/live/test_access.py
# Tests that nothing else may run beside: they measure how long others are kept waiting.
ALONE := $(addprefix tests/chaos/test_,03_absent.py 06_reads_nothing.py 07_inbound.py)

# The tests start hundreds of processes: what they import is to be compiled once.
export PYTHONDONTWRITEBYTECODE =

# Where the demo listens; see demo/run.py.
export PORT PUSH_PORT NOTIFIER_PORT

.DEFAULT_GOAL := help
.PHONY: help demo demo-cluster test test-all lint test-python test-js build bench bench-cluster chaos chaos-cluster soak clean

help:
	@echo "make demo       run the demo: Python 3.11 or later is all it needs"
	@echo "make demo-cluster   the demo with three push servers, nginx and Redis"
	@echo "make test       lint, Python tests, JavaScript tests, browser tests"
	@echo "make test-all   the Python tests on each supported Python and Django that is here"
	@echo "make build      bundle js/src into the script that pages load"
	@echo "make bench      measure, and write the figures that the docs show"
	@echo "make bench-cluster   the same for several push servers"
	@echo "make chaos      the fault tests at full size, and their table in the docs: 20 minutes"
	@echo "make chaos-cluster   the same for several push servers, and Redis: 12 minutes"
	@echo "make soak       clients coming and going for 20 minutes: nothing may grow"
	@echo "make clean      remove what the above have installed"

$(BIN)/python:
	@.ci/venv $(PYTHON) $(VENV)

# Stamps: what is installed is older than what asks for it.
$(VENV)/.demo: $(BIN)/python pyproject.toml
	@echo "Installing django-serverpush into $(VENV)."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml
	@echo "Installing django-serverpush and what its tests need into $(VENV)."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.demo

js/node_modules/.stamp: js/package.json js/package-lock.json
	@.ci/node
	@echo "Installing what the JavaScript tests need into js/node_modules."
	@cd js && npm ci --silent --no-audit --no-fund
	@touch $@

demo: $(VENV)/.demo
	@exec $(BIN)/python demo/run.py

demo-cluster: $(VENV)/.test
	@.ci/debian
	@exec $(BIN)/python demo/cluster.py

test: lint test-python test-js

lint: $(VENV)/.test js/node_modules/.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	cd js && npm run --silent lint
	cd js && npm run --silent check-built

test-python: $(VENV)/.test js/node_modules/.stamp
	@.ci/chromium
	@.ci/debian
	$(BIN)/python -m pytest -n 5 --dist loadfile $(addprefix --ignore ,$(ALONE))
	$(BIN)/python -m pytest $(ALONE)

test-js: js/node_modules/.stamp
	cd js && npm test --silent

test-all: js/node_modules/.stamp
	@.ci/chromium
	@.ci/debian
	@for pair in 3.11:5.2 3.13:6.0; do \
		python=python$${pair%:*}; django=$${pair#*:}; folder=.venv-$${pair%:*}; \
		if ! $$python --version >/dev/null 2>&1; then \
			echo "$$python is not here: its tests are left out."; continue; \
		fi; \
		[ -x $$folder/bin/python ] || .ci/venv $$python $$folder || exit 1; \
		echo "Python $${pair%:*}, Django $$django"; \
		$$folder/bin/python -m pip install -qq --disable-pip-version-check \
			--editable '.[test]' "Django~=$$django.0" || exit 1; \
		$$folder/bin/python -m pytest || exit 1; \
	done

build: js/node_modules/.stamp
	cd js && npm run --silent build

soak: $(VENV)/.test
	$(BIN)/python -m tests.chaos.soak

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks

bench-cluster: $(VENV)/.test
	@.ci/debian
	$(BIN)/python -m benchmarks.cluster

chaos: $(VENV)/.test
	@rm -rf build/chaos
	$(BIN)/python -m pytest --full tests/chaos/test_[01][0-9]_*.py $(CURL) $(ACCESS)
	$(BIN)/python -m tests.chaos.table

chaos-cluster: $(VENV)/.test
	@.ci/debian
	$(BIN)/python -m pytest --full tests/cluster/test_history.py

clean:
	rm -rf .venv .venv-3.* js/node_modules build *.egg-info
