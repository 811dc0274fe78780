# Set-up in one place: every target makes its own virtual environment in .venv from Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Where torch comes from. Users who want the small CPU build:
#   make test TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# make demo LAST_STEP=no leaves out learning from verdicts, and what it needs.
LAST_STEP ?=
TORCH_FROM := $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX),)

.PHONY: help demo test lint bench install-serve install-learn install-train install-dev clean

help:  ## say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip

# Stamps, so that a second run installs nothing; editable, so that the tree is what runs.
$(VENV)/.serve: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

# What learning from verdicts needs: the encoder stays as it is, so no torch.
$(VENV)/.learn: $(VENV)/.serve
	@echo "Installing what learning from verdicts needs (the extra learn), for the"
	@echo "last step of the demo: scipy and scikit-learn, 45 MB to fetch, 200 MB on disk;"
	@echo "no torch, since the encoder stays. To leave it out: make demo LAST_STEP=no"
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[learn]'
	@touch $@

# torch first and by itself: anything else that asks for it would take the newest build with CUDA.
$(VENV)/.train: $(VENV)/.serve
	$(PIP) install --quiet --constraint constraints.txt $(TORCH_FROM) torch
	$(PIP) install --quiet --constraint constraints.txt --editable '.[train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.train
	$(PIP) install --quiet --constraint constraints.txt --editable '.[train,dev]'
	@touch $@

install-serve: $(VENV)/.serve  ## install what a gateway needs into .venv (no torch)
install-learn: $(VENV)/.learn  ## add what learning from verdicts needs (no torch)
install-train: $(VENV)/.train  ## add what training needs
install-dev: $(VENV)/.dev  ## add what tests and lint need

demo: $(VENV)/$(if $(filter no,$(LAST_STEP)),.serve,.learn)  ## a message's life, then a model of your own; on loopback
	$(BIN)/gatepost demo $(if $(filter no,$(LAST_STEP)),--short)

test: $(VENV)/.dev  ## run the tests
	$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

lint: $(VENV)/.dev  ## ruff, mypy strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev  ## measure this machine; prints tables, fails nothing
	@for bench in throughput quarantine_store byte_identity extract_cases commands_on_outside_mail parity; do \
	  echo "== tests/bench/$$bench.py"; $(BIN)/python tests/bench/$$bench.py || true; done

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
