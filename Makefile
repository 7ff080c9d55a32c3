# Everything a newcomer or a developer runs. `make` alone lists it.

PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	command -v $$name >/dev/null 2>&1 \
	&& $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml tests/constraints.txt
# REQUIRE=model,browser: fail, rather than skip, where the real small model's weights or a Chromium are absent.
REQUIRE ?=
export REQUIRE
BENCH ?=
STUDY ?=
CALIBRATE ?=
FUZZ_SECONDS ?= 3600
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help quickstart test lint format small-tokenizer bench bench-probes bench-placement calibrate study verify fuzz readme install-local install-test install-bench clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: install-local ## Set up, fetch the small model, and see the whole tool at work (a few minutes)
	@echo "== fetching the small model, if it is not there yet"
	@$(BIN)/needlepoint models fetch smollm2-135m
	@echo "== needlepoint quickstart"
	@$(BIN)/needlepoint quickstart

test: install-test ## Set up and run the whole test suite; REQUIRE=model,browser fails where one is absent
	@echo "== running the tests"
	@$(BIN)/python -m pytest -q --numprocesses=2 --dist=loadfile --no-loadscope-reorder

lint: install-test ## Check style, formatting and types
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

format: install-test ## Put the code into the one format
	@$(BIN)/python -m ruff check --fix --quiet . || true
	@$(BIN)/python -m ruff format --quiet .

small-tokenizer: install-test ## Train the small tokenizer that the package ships, from our own texts
	@$(BIN)/python -m tests.small_tokenizer

bench: install-bench ## Measure the tokenizer beside its peers, on a quiet machine: make bench BENCH="--corpus FILE"
	@$(BIN)/python -m tests.bench $(BENCH)

bench-probes: install-test ## Measure what the probe engine costs beside the calls themselves, on a quiet machine
	@$(BIN)/python -m tests.bench.probes $(BENCH)

bench-placement: install-test ## Time a whole placement study from plan to page, on a quiet machine
	@$(BIN)/python -m tests.bench.placement $(BENCH)

calibrate: install-test ## Count how often intervals and tests are right over 200 simulated studies of each planted effect (ten minutes)
	@$(BIN)/python -m tests.calibrate $(CALIBRATE)

study: install-test ## Ask the small model what the tables of the study show (hours, see --list in tests/study.py; goes on where it stopped)
	@$(BIN)/needlepoint models fetch smollm2-135m
	@$(BIN)/python -m tests.study $(STUDY)

verify: install-test ## Compare the tokenizer with its peers at length (about a quarter of an hour)
	@NEEDLEPOINT_FUZZ=100000 $(BIN)/python -m pytest -q --timeout=3600 --numprocesses=2 --dist=worksteal tests/tokenizer

fuzz: install-test ## Let chance attack the checked build of the compiled engine, for an hour
	@$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

readme: install-test ## Write the command reference into the README
	@$(BIN)/python -m cogapp -P -r README.md

install-local: EXTRAS := local
install-local:
	$(install)

install-test: EXTRAS := local,corpus,report,test
install-test:
	$(install)

install-bench: EXTRAS := local,corpus,report,test,bench
install-bench:
	$(install)

clean: ## Remove the virtual environment and every cache
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info

# Make the virtual environment if it is not there, is broken or was never finished (no stamp), and install into it unless the stamp says that just
# this was installed before. The stamp is a hash of what decides what is installed, so no network is needed again.
define install
	@set -e; \
	if [ -z "$(PYTHON)" ]; then echo "error: no Python 3.11 or newer was found" >&2; \
		echo "hint: install one, or say where it is: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; fi; \
	hash="$$(cat $(INPUTS) | $(PYTHON) -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')"; \
	stamp="$(VENV)/needlepoint-$(EXTRAS).stamp"; \
	if [ -x $(BIN)/python ] && $(BIN)/python -c pass 2>/dev/null && [ "$$(cat "$$stamp" 2>/dev/null)" = "$$hash" ]; then exit 0; fi; \
	if ! ls $(VENV)/*.stamp >/dev/null 2>&1 || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		if [ -e $(VENV) ]; then echo "== $(VENV) is not whole"; fi; \
		echo "== making the virtual environment $(VENV) with $(PYTHON)"; \
		rm -rf $(VENV); \
		$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "error: $(PYTHON) cannot make a virtual environment" >&2; \
			echo "hint: on Debian and Ubuntu, install the package python3-venv" >&2; exit 1; }; \
	fi; \
	echo "== installing needlepoint[$(EXTRAS)] into $(VENV)"; \
	$(BIN)/python -m pip install --quiet --constraint tests/constraints.txt --editable ".[$(EXTRAS)]" || { \
		echo "error: the packages could not be installed" >&2; \
		echo "hint: see the lines above; make runs on from here when you call it again" >&2; exit 1; }; \
	echo "$$hash" > "$$stamp"
endef
