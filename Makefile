# Every target sets up what it needs; nothing but make and Python 3 has to be there.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
UV_VERSION := 0.13.8
STAMP := $(VENV)/.complete
PEERS_STAMP := $(VENV)/.peers

.PHONY: setup demo check format test test-faults test-peers test-all test-deep soak bench docs lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml scripts/find-uv
	uv=$$(sh scripts/find-uv $(UV_VERSION)) && \
	{ [ -x $(PYTHON) ] || "$$uv" venv --quiet --python 3.13 $(VENV); } && \
	"$$uv" pip install --quiet --python $(PYTHON) --require-hashes -r requirements.lock && \
	"$$uv" pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	touch $@

$(PEERS_STAMP): $(STAMP) requirements-peers.lock
	uv=$$(sh scripts/find-uv $(UV_VERSION)) && \
	"$$uv" pip install --quiet --python $(PYTHON) --require-hashes -r requirements-peers.lock
	touch $@

demo: setup
	$(PYTHON) scripts/demo.py

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_architecture.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: setup
	$(PYTHON) scripts/run_tests.py

# Believes that the tests pass without a fault: run `make test` first.
test-faults: setup
	$(PYTHON) scripts/mutate.py --passed --sample

# What cannot be had fails here, where it was asked for; in a plain run of pytest it is skipped.
test-peers: $(PEERS_STAMP)
	$(PYTHON) scripts/run_tests.py --peers

# Both in one pool: where a real program is waited for, our own tests work.
test-all: $(PEERS_STAMP)
	$(PYTHON) scripts/run_tests.py --all

# All of everything: branches instead of lines, long loops whole, and every fault.
test-deep: $(PEERS_STAMP)
	$(PYTHON) scripts/run_tests.py --peers
	MAHAVISHNU_TEST_WHOLE=1 $(PYTHON) scripts/run_tests.py --branches
	$(PYTHON) scripts/mutate.py --passed

# Commands and their database are killed, many times, and have a full disk, a twin or another clock. A round is replayed
# by its seed: python -m tests.crash store --first 17 --seeds 1. Then an hour of load with faults.
soak: setup
	$(PYTHON) -m tests.crash
	$(PYTHON) -m tests.soak

bench: setup
	$(PYTHON) -m benchmarks --json .cache/benchmarks.json

docs: setup
	$(PYTHON) scripts/generate_docs.py

lock:
	uv=$$(sh scripts/find-uv $(UV_VERSION)) && \
	"$$uv" pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --extra alerts --extra backup --extra hot --extra local --extra keyring --extra telemetry --group dev pyproject.toml -o requirements.lock && \
	"$$uv" pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate -c requirements.lock --extra agno --extra backup-gcs --extra backup-s3 --extra llamaindex --extra oneiric --extra prefect --extra translate --group peers pyproject.toml -o requirements-peers.lock && \
	"$$uv" pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --group session-buddy -o requirements-session-buddy.lock

clean:
	rm -rf $(VENV) .cache dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov
