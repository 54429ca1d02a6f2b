# `make help` lists the targets. Needs python3 (3.10 or newer) and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
# Test processes side by side; the suite is planned for two cores.
WORKERS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
DEMO := $(VENV)/.stamp-demo
DEV := $(VENV)/.stamp-dev

.PHONY: help demo test test-all check-style words clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(DEMO) ## install into .venv and watch four networks learn, or fail to (2 minutes)
	$(BIN)/evenflow demo

test: $(DEV) check-style ## linters, types, layers and every test that is not slow
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS)

test-all: $(DEV) check-style ## the same with the slow tests
	$(BIN)/python -m pytest -n $(WORKERS)

check-style: $(DEV) ## ruff, mypy and the contract between the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

words: $(DEV) ## gather messages into the catalogues of src/evenflow/locale, and compile them
	$(BIN)/python tests/words/catalogues.py

clean: ## remove .venv, caches and what the demo wrote
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	rm -rf evenflow-runs evenflow-demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment copied or half made is of no use: the stamp tells a whole one.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and \
	  "Evenflow needs Python 3.10 or newer; %s is %s. Try: make PYTHON=python3.12 ..." \
	  % (sys.executable, sys.version.split()[0]))'
	$(PYTHON) -m venv $(VENV)

$(DEMO): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing evenflow into $(VENV) (torch is large: minutes on a slow line) ..."
	$(PIP) -e ".[demo]"
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing evenflow and its test tools into $(VENV) ..."
	$(PIP) -e ".[dev]"
	@touch $@
