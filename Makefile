# Two commands: `make run` trains the default experiment, `make test` checks everything. Each does all the set-up.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3 python; do \
  $$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
SET_UP := .venv/.set-up

.PHONY: run test lint types bench clean
run: $(SET_UP)
	$(BIN)/dlhw

test: lint types
	$(BIN)/python -m pytest

lint: $(SET_UP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(SET_UP)
	$(BIN)/mypy

bench: $(SET_UP)
	$(BIN)/python benchmarks/training_loop.py

$(SET_UP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "dlhw needs Python 3.11, 3.12 or 3.13; name one: make $(MAKECMDGOALS) PYTHON=…"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .mypy_cache
