# Everything works on a machine with Python 3.11, pip and make, as root or not.

VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: help setup demo run test check mutants bench lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(STAMP): requirements-dev.lock pyproject.toml
	@python=$$(command -v python3.11 || command -v python3) || { echo "Python 3.11 or newer is needed, none was found"; exit 1; }; \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $$python is older"; exit 1; }; \
	$$python -m venv $(VENV) || { echo "the venv module is missing; install your system's python3-venv"; exit 1; }
	$(PY) -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(PY) -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## make the virtual environment

demo: $(STAMP) ## a minute of trading on a paper exchange, with a crash and a market drop
	$(VENV)/bin/bulkhead demo

run: $(STAMP) ## the engine, against 'bulkhead paper' unless configured otherwise
	$(VENV)/bin/bulkhead run

test: $(STAMP) ## all tests
	$(PY) -m pytest -n 2 --dist loadfile

check: $(STAMP) ## what CI checks beside the tests: format, lint, types, tidiness
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(PY) -m pytest -q tests/test_tidy.py

mutants: $(STAMP) ## flip every comparison of the decisions, and see a test notice each
	$(PY) -m tests.mutants

bench: $(STAMP) ## the benchmarks; make bench NAMES="router restart" runs some
	$(PY) -m pip install --quiet --require-hashes -r requirements-bench.lock
	$(PY) -m bench $(NAMES)

lock: $(STAMP) ## the lock files anew, from pyproject.toml
	$(VENV)/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --strip-extras --allow-unsafe --no-header -o requirements.lock pyproject.toml
	$(VENV)/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --strip-extras --allow-unsafe --no-header --extra dev -o requirements-dev.lock pyproject.toml
	$(VENV)/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --strip-extras --allow-unsafe --no-header --extra bench -c requirements-dev.lock -o requirements-bench.lock pyproject.toml

clean: ## remove the virtual environment, caches and demo data
	rm -rf $(VENV) .data .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
