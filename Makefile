# Everything that a contributor runs. `make help` lists it.

PYTHON ?= python3
VENV   ?= .venv
PORT   ?= 5000
DATA   ?= data
ARGS   ?=

BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOPED := $(VENV)/.installed-for-development
CODE      := src tests benchmarks docs

# Debian keeps this part of Python in a package of its own.
GET_VENV := { test "$$(id -u)" = 0 && apt-get -qq update \
	&& DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends python3-venv > /dev/null; }

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: $(INSTALLED) ## Start the server on http://localhost:5000, data in ./data (PORT=, DATA=, ARGS=)
	$(BIN)/customhouse serve --port $(PORT) --data $(DATA) $(ARGS)

.PHONY: test
test: $(DEVELOPED) ## Install the real clients, check the code, run the tests (ARGS="-k docker")
	tests/install-clients
	$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: lint
lint: $(DEVELOPED) ## Check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports

.PHONY: format
format: $(DEVELOPED) ## Put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(DEVELOPED) ## Measure side by side with docker-registry and Trivy
	$(BIN)/pip install --quiet --constraint constraints.txt --group bench
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: fuzz
fuzz: $(DEVELOPED) ## Give the readers hostile input (ARGS="--seconds 60 java layer")
	$(BIN)/pip install --quiet --constraint constraints.txt --group fuzz
	$(BIN)/python -m tests.fuzz $(ARGS)

.PHONY: docs
docs: $(DEVELOPED) ## Write the reference pages from the code
	$(BIN)/python docs/make_reference.py

.PHONY: constraints
constraints: $(DEVELOPED) ## Pin the newest versions that fit pyproject.toml
	$(BIN)/pip install --quiet --upgrade --upgrade-strategy eager pip --editable . --group dev --group fuzz --group bench
	$(BIN)/pip freeze --all --exclude customhouse --exclude setuptools > constraints.txt

.PHONY: clean
clean: ## Remove what was built and installed, but not ./data
	rm -rf $(VENV) build dist .*_cache .hypothesis
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/it" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(GET_VENV) \
		|| { echo "Python's venv is missing: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(DEVELOPED): $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt --group dev
	@touch $@
