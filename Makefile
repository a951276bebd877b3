# Everything works on a machine with Python 3.11, pip and make, as root or not.

VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# The clients of traders as published, which need other versions than we do.
CLIENTS := .venv-clients
HEAVY := .venv-clients-heavy
COMPILE := $(VENV)/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --strip-extras --allow-unsafe --no-header

.PHONY: help setup demo run test check settings mutants faults chaos model clients bench lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(STAMP): requirements-dev.lock pyproject.toml
	@python=$$(command -v python3.11 || command -v python3) || { echo "Python 3.11 or newer is needed, none was found"; exit 1; }; \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $$python is older"; exit 1; }; \
	$$python -m venv $(VENV) || { echo "the venv module is missing; install your system's python3-venv"; exit 1; }
	$(PY) -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(PY) -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(CLIENTS)/.installed $(HEAVY)/.installed: .venv-%/.installed: requirements-%.lock | $(STAMP)
	$(PY) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

setup: $(STAMP) ## make the virtual environment

demo: $(STAMP) ## a minute of trading on a paper exchange, with a crash and a market drop
	$(VENV)/bin/bulkhead demo

run: $(STAMP) ## the engine, against 'bulkhead paper' unless configured otherwise
	$(VENV)/bin/bulkhead run

test: $(STAMP) $(CLIENTS)/.installed ## all tests
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(STAMP) ## what CI checks beside the tests: format, lint, types, tidiness
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(PY) -m pytest -q tests/test_tidy.py

settings: $(STAMP) ## write deploy/bulkhead.toml and docs/limits.md from the settings and limits in the code
	$(PY) -m actors.assembly.settings_files

mutants: $(STAMP) ## flip comparisons, and see a test notice each: a sample of them
	$(PY) -m tests.mutants

chaos: $(STAMP) ## kill, freeze and cut off engine and Postgres 200 times, and compare the books
	$(PY) -m tests.chaos --cycles 200

model: $(STAMP) ## 20,000 sequences of one account, the engine against a model that knows nothing of it
	$(PY) -m tests.model --sequences 20000

faults: $(STAMP) ## plant each fault of tests/planted.py, and see the tests fail that must catch it
	$(PY) -m tests.faults $(FAULTS)

clients: $(STAMP) $(CLIENTS)/.installed $(HEAVY)/.installed ## every real client against a paper exchange, freqtrade and python-binance too
	$(PY) -m pytest -q -n 0 tests/contract tests/clients
	$(PY) -m tests.clients.heavy

bench: $(STAMP) ## the benchmarks; make bench NAMES="router restart" runs some
	$(PY) -m pip install --quiet --require-hashes -r requirements-bench.lock
	$(PY) -m bench $(NAMES)

lock: $(STAMP) ## the lock files anew, from pyproject.toml and tests/clients/*.in
	$(COMPILE) --extra embedded -o requirements.lock pyproject.toml
	$(COMPILE) --extra dev --extra embedded -o requirements-dev.lock pyproject.toml
	$(COMPILE) --extra bench --extra embedded -c requirements-dev.lock -o requirements-bench.lock pyproject.toml
	$(COMPILE) -o requirements-clients.lock tests/clients/clients.in
	$(COMPILE) -o requirements-clients-heavy.lock tests/clients/clients-heavy.in

clean: ## remove the virtual environments, caches and demo data
	rm -rf $(VENV) $(CLIENTS) $(HEAVY) .data .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
