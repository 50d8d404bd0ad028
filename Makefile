# Everything works through the project's own environment, which the first command makes.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

RESULTS ?= results
# What the user sets on the command line becomes the option of the same name; what is not set, the program decides.
option = $(if $($(1)),--$(2) '$($(1))')
RUN_OPTIONS = $(call option,DATASET,dataset) $(call option,MODELS,models) $(call option,PRESET,preset) \
	$(call option,STUDY,study) $(call option,BUDGET,budget) $(call option,SEEDS,seeds) \
	$(call option,ITERATIONS,iterations) $(call option,WIDTH,width) $(call option,WORKERS,workers) \
	$(call option,DEVICE,device) $(call option,DATA_DIR,data-dir) $(call option,RESULTS,results) \
	$(call option,INCEPTION_WEIGHTS,inception-weights) $(call option,INCEPTION_SAMPLES,inception-samples) \
	$(call option,CIFAR10_WEIGHTS,cifar10-weights) \
	$(call option,ENGINE,engine) $(call option,STORAGE,storage) $(call option,RUNS_PER_GPU,runs-per-gpu) \
	$(call option,FILE,file) $(if $(filter-out 0 no,$(DRY_RUN)),--dry-run)

KNOWN := PYTHON RESULTS DATASET MODELS PRESET STUDY BUDGET SEEDS ITERATIONS WIDTH WORKERS DEVICE DATA_DIR \
	INCEPTION_WEIGHTS INCEPTION_SAMPLES CIFAR10_WEIGHTS ENGINE STORAGE RUNS_PER_GPU FILE DRY_RUN PERF
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command line,$(origin $(name))),$(name)))
UNKNOWN := $(filter-out $(KNOWN) MAKEFLAGS MAKEOVERRIDES -*-command-variables-*-,$(GIVEN))
$(if $(strip $(UNKNOWN)),$(error unknown variable $(strip $(UNKNOWN)): known are $(KNOWN)))

.PHONY: help bench report test lint check format perf clean
help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

bench: $(VENV)/.installed  ## Train the sweep, measure it, write the report (DATASET MODELS PRESET STUDY BUDGET SEEDS ITERATIONS WIDTH WORKERS DEVICE ENGINE DATA_DIR RESULTS FILE DRY_RUN)
	@$(BIN)/python -m benchmark run $(RUN_OPTIONS)

report: $(VENV)/.installed  ## Write the reports again from the records (STUDY RESULTS)
	@$(BIN)/python -m benchmark report $(STUDY) $(call option,RESULTS,results)

test: $(VENV)/.installed  ## Run the tests
	$(BIN)/python -m pytest

lint: $(VENV)/.installed  ## Check style, types, imports, and the lock of the shared training code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m benchmark.model.lock check

check: lint test  ## What the continuous integration runs

format: $(VENV)/.installed  ## Put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

perf: $(VENV)/.installed  ## Measure what costs how much, as ratios with goals (PERF=full DEVICE DATA_DIR INCEPTION_WEIGHTS)
	$(if $(filter-out full,$(PERF)),$(error PERF is full, or left out, not $(PERF)))
	@$(BIN)/python -m benchmark.perf $(if $(PERF),--full) $(call option,DEVICE,device) $(call option,DATA_DIR,data-dir) \
		$(call option,INCEPTION_WEIGHTS,inception-weights)

clean:  ## Remove the environment and all caches; results stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than Python 3.11; name another with PYTHON=…"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
