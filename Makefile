# Two commands: `make run` trains the default experiment, `make test` checks everything. Each does all the set-up.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3 python; do \
  $$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
SET_UP := .venv/.set-up

.PHONY: run test fuzz lint types torture faults test-hydra-next bench bench-gpu bench-shown bench-lightning clean
run: $(SET_UP)
	$(BIN)/dlhw

test: lint types
	$(BIN)/python -m pytest

lint: $(SET_UP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(SET_UP)
	$(BIN)/mypy

# Runs and sweeps killed at random moments and gone on with; every call that changes a file made to fail. Minutes each.
torture: $(SET_UP)
	$(BIN)/python tests/torture/campaign.py --kills 200

faults: $(SET_UP)
	$(BIN)/python -m pytest -m slow -n 4 -rP tests/faults

# Thousands of bad commands: each is refused in one line, or truly valid. `make fuzz FUZZ='--seed 1 --templates'`
fuzz: $(SET_UP)
	$(BIN)/python tests/fuzz/fuzz_campaign.py $(FUZZ)

# Every benchmark that applies, one at a time, then pictures and tables; `make bench-NAME` runs benchmarks/NAME.py alone.
# On a GPU: `make bench-gpu`. Beside Lightning, which gets a virtual environment of its own: `make bench-lightning`.
BENCHMARKS := startup training_loop evaluation large_nets scaling sweep load lanes host_work numpy_conv lightning_loop
GPU_BENCHMARKS := training_loop evaluation large_nets sweep lanes lightning_loop
LIGHTNING := .venv-lightning
PYTHON_OF = $(firstword $(if $(filter lightning_loop,$1),$(wildcard $(LIGHTNING)/bin/python)) $(BIN)/python)
SITE := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
.NOTPARALLEL:

bench: $(BENCHMARKS:%=bench-%) bench-shown
bench-gpu: $(GPU_BENCHMARKS:%=bench-gpu-%) bench-shown

# The pictures and the tables of docs/benchmarks.md, from the latest results.
bench-shown: $(SET_UP)
	$(BIN)/python benchmarks/plot.py
	$(BIN)/python benchmarks/page.py

bench-gpu-%: $(SET_UP)
	$(call PYTHON_OF,$*) benchmarks/$*.py --device cuda

bench-%: $(SET_UP)
	$(call PYTHON_OF,$*) benchmarks/$*.py

bench-startup: $(SET_UP)
	$(BIN)/python benchmarks/startup.py --rounds 5 --output benchmarks/results/startup.md

bench-lightning: $(LIGHTNING)/.set-up
	$(LIGHTNING)/bin/python benchmarks/lightning_loop.py

# It looks into .venv for what it has not itself: the same torch, and dlhw.
$(LIGHTNING)/.set-up: $(SET_UP)
	$(BIN)/python -m venv --without-pip $(LIGHTNING)
	site=$$($(BIN)/python $(SITE)) && \
	  echo "import site; site.addsitedir('$$site')" > $$($(LIGHTNING)/bin/python $(SITE))/project.pth
	$(LIGHTNING)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[lightning]'
	@touch $@

# With the release candidate of the next Hydra, which .venv does not have; its two deprecations are put up with.
HYDRA_NEXT := .venv-hydra-next
test-hydra-next: $(HYDRA_NEXT)/.set-up
	PYTHONWARNINGS=ignore $(HYDRA_NEXT)/bin/python -m pytest tests/config tests/cli tests/sweep \
	  -W ignore:register_new_resolver -W ignore::hydra.errors.Hydra15MigrationWarning

$(HYDRA_NEXT)/.set-up: $(SET_UP)
	$(BIN)/python -m venv --without-pip $(HYDRA_NEXT)
	site=$$($(BIN)/python $(SITE)) && \
	  echo "import site; site.addsitedir('$$site')" > $$($(HYDRA_NEXT)/bin/python $(SITE))/project.pth
	$(HYDRA_NEXT)/bin/python -m pip install --quiet --no-deps --pre --ignore-installed --editable . \
	  'hydra-core>=1.4.0rc3,<1.5' 'omegaconf>=2.4.1rc1,<2.5'
	@touch $@

$(SET_UP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "dlhw needs Python 3.11, 3.12 or 3.13; name one: make $(MAKECMDGOALS) PYTHON=…"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

clean:
	rm -rf .venv .venv-lightning .venv-hydra-next build dist .pytest_cache .ruff_cache .mypy_cache
