# Everything that a person or CI runs. The first two need nothing but Python 3.11 or newer and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test install lint format docs speed browser screenshots real clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP)  ## install ehps and everything it needs into .venv, pinned

$(STAMP): pyproject.toml constraints.txt $(wildcard build_backend/*.py shards/native/*.[ch])
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install  ## convert, catalog, mix, train, benchmark and report on built-in data
	$(BIN)/ehps demo --out demo_out

test: install  ## run the test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile -q

lint: install  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: install  ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install  ## rewrite the generated pages
	$(BIN)/python -m ehps.cli.reference

speed: install  ## measure speed beside peers and limits
	$(BIN)/python -m pytest tests/speed -m speed -o addopts='--import-mode=importlib --strict-markers' --benchmark-columns=median,rounds --benchmark-group-by=group

browser: install  ## open the dashboard in headless Chromium (installs it on Debian when run as root)
	command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium)
	$(BIN)/python -m pytest tests -m browser -q

screenshots: demo  ## take the pictures of docs/dashboard.md anew (needs Chromium, as make browser does)
	$(BIN)/python -m ehps.tests.dashboard.screenshots demo_out docs/images/dashboard

real: install  ## run the tests on real samples and licensed body models
	$(BIN)/python -m pytest tests -m real -q -rs

clean:  ## remove what the targets above made
	rm -rf $(VENV) build shards/_native.so demo_out .pytest_cache .ruff_cache .benchmarks
