# Seedbook: short targets that call the tools. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SLUG ?=
.DEFAULT_GOAL := help
.PHONY: help install book test test-slow lint bench serve run clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP)  ## create .venv and install everything, pinned

$(STAMP): pyproject.toml requirements/constraints.txt requirements/no-deps.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c requirements/constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c requirements/constraints.txt -e '.[test]'
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --no-deps -r requirements/no-deps.txt
	touch $@

book: $(STAMP)  ## run what is stale and build the book; prints the page to open
	$(BIN)/seedbook book

serve: $(STAMP)  ## serve the book with live figures and the re-run panel
	$(BIN)/seedbook serve

test: $(STAMP)  ## the tests, with one smoke run of every chapter
	$(BIN)/python -m pytest -m "not slow" -q -n 2 --dist loadfile

test-slow: $(STAMP)  ## the long lane
	$(BIN)/python -m pytest -m slow -q -n 2 --dist loadfile

lint: $(STAMP)  ## ruff on code and notebooks, types on lib
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)  ## ratios for BENCHMARKS.md
	$(BIN)/python benchmarks/run.py

run: $(STAMP)  ## run one chapter: make run SLUG=perfect_reconstruction
	$(BIN)/seedbook run $(SLUG)

clean:  ## remove the built book; runs and editions stay
	rm -rf _build book/chapters
