# `make` alone lists what there is. Everything is installed into .venv; nothing is changed outside of this folder,
# except that `make test` and `make test-slow` install missing Debian packages when they may.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Processes that run tests: half of the time each waits for a disk or for another process. Each needs up to 2.5 GB.
WORKERS ?= 3
ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq
LOCK = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
       --no-emit-index-url --no-emit-find-links --no-annotate --no-header

# Images of Python often set it. Each start of the program would compile every module again: half a second of CPU.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-slow check bench chaos templates lock clean packages

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.run-installed  ## make .venv with what the program needs, and nothing else

run: setup  ## start the demo server: account, carriers, a first SMS
	@$(BIN)/heliograph demo --serve $(ARGS)

demo: setup  ## the same, and end
	@$(BIN)/heliograph demo $(ARGS)

test: .venv/.dev-installed packages  ## the tests, on SQLite and on PostgreSQL; ARGS='-k ledger' for some
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

test-slow: .venv/.dev-installed packages  ## the others: crashes under load, whole carriers, LibreOffice, every request twice
	@$(BIN)/python -m pytest -n $(WORKERS) -m slow $(ARGS)

check: .venv/.dev-installed  ## format, lint, types, dead code, house rules
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/vulture
	@$(BIN)/python -m pytest tests/test_house_rules.py

bench: setup  ## measure accept, delivery and storage on this machine
	@$(BIN)/python benchmarks/run.py $(ARGS)

chaos: setup  ## kill, stop, fill and flood a server of its own, and count what became of the messages
	@$(BIN)/python benchmarks/chaos.py $(ARGS)

templates: .venv/.dev-installed  ## make the HTML and the thumbnails of the master templates of emails (needs Chromium)
	@$(BIN)/python scripts/email_templates.py $(ARGS)

lock: .venv/bin/python  ## bring both lock files in line with pyproject.toml; ARGS=--upgrade for the newest
	@$(PIP) uv
	@$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'], sep='\n')" > .venv/build.in
	@$(LOCK) $(ARGS) -o requirements.lock pyproject.toml .venv/build.in
	@$(LOCK) $(ARGS) -o requirements-dev.lock -c requirements.lock --group dev pyproject.toml .venv/build.in

clean:  ## remove .venv, caches and builds; data folders stay
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info
	@find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

packages:
	@scripts/test-packages

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed.'; exit 1; }
	@$(PYTHON) -m venv .venv

# The build backend comes from the lock as well (--no-build-isolation), so that nothing unpinned is ever fetched.
.venv/.run-installed: requirements.lock pyproject.toml | .venv/bin/python
	@echo 'Installing what the program needs into .venv; the first time this takes minutes.'
	@$(BIN)/python scripts/install.py requirements.lock
	@echo 'Installing the program ...'
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# clicksend-client is only published as source: --use-pep517 builds it with the setuptools of the lock.
.venv/.dev-installed: requirements-dev.lock .venv/.run-installed
	@echo 'Installing what developing and testing need ...'
	@$(BIN)/python scripts/install.py requirements-dev.lock --no-build-isolation --use-pep517
	@touch $@
