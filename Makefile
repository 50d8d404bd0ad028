# Everything works through the project's own environment, which the first command makes.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# What is set on make's command line goes on as it was typed, NAME=VALUE in quotes: the program knows which names there are.
OWN   := PYTHON VENV BIN PERF MAKEFLAGS MAKEOVERRIDES -*-command-variables-*-
GIVEN := $(filter-out $(OWN),$(foreach name,$(.VARIABLES),$(if $(filter command line,$(origin $(name))),$(name))))
VARIABLES = --variables $(foreach name,$(GIVEN),'$(subst ','\'',$(name)=$(value $(name)))')

MARKDOWN := README.md CONTRIBUTING.md CHANGELOG.md docs $(wildcard results/*.md results/*/*.md)

.PHONY: help bench report test test-fast lint check format perf clean
help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 11

bench: $(VENV)/.installed  ## Train the sweep, measure it, write the report (DATASET MODELS PRESET STUDY BUDGET SEEDS ITERATIONS WIDTH WORKERS DEVICE ENGINE DATA_DIR RESULTS FILE DRY_RUN, and every other option of `run` in capitals)
	@$(BIN)/python -m benchmark run $(VARIABLES)

report: $(VENV)/.installed  ## Write the reports again from the records (STUDY RESULTS OUTPUT SECTIONS)
	@$(BIN)/python -m benchmark report $(VARIABLES)

test: $(VENV)/.installed  ## Run the tests, as many at once as there are cores
	$(BIN)/python -m pytest --numprocesses logical

test-fast: $(VENV)/.installed  ## Run the quick tests, in about a minute
	$(BIN)/python -m pytest -m 'not processes and not slow' --numprocesses logical

lint: $(VENV)/.installed  ## Check style, types, imports, and the lock of the shared training code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mdformat --check $(MARKDOWN)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m benchmark.model.lock check

check: lint test  ## What the continuous integration runs

format: $(VENV)/.installed  ## Put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mdformat $(MARKDOWN)

perf: $(VENV)/.installed  ## Measure what costs how much, as ratios with goals (PERF=full DEVICE DATA_DIR INCEPTION_WEIGHTS)
	$(if $(filter-out full,$(PERF)),$(error PERF is full, or left out, not $(PERF)))
	@$(BIN)/python -m benchmark.perf $(if $(PERF),--full) $(VARIABLES)

clean:  ## Remove the environment and all caches; results stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than Python 3.11; name another with PYTHON=…"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
