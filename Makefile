# One command per act; CI calls the same ones. `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help install demo demo-ota test faults systemd check format bench build schemas clean

help:  ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

install: $(INSTALLED)  ## Create .venv with everything, as constraints.txt pins it

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(INSTALLED)  ## Train, convert, watch, alert: the whole line on synthetic footage
	$(BIN)/python scripts/demo.py

demo-ota: $(INSTALLED)  ## Update models from afar: good and bad ones, forged ones, new keys (three minutes)
	$(BIN)/python scripts/demo_ota.py

test: $(INSTALLED)  ## Run all tests and hold the branch coverage of each room
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist loadfile --max-worker-restart=0
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='edge/*' --fail-under=85
	$(BIN)/coverage report --include='converters/*' --fail-under=85
	$(BIN)/coverage report --include='train/*' --fail-under=75

faults: $(INSTALLED)  ## Try every fault many times; prints tries and losses (half an hour)
	VEDETTE_FAULTS=many $(BIN)/python -m pytest -q tests/faults

systemd: $(INSTALLED)  ## Try the service on a real systemd, in a container; takes root (ten minutes)
	VEDETTE_SYSTEMD=yes $(BIN)/python -m pytest -q tests/systemd

check: $(INSTALLED)  ## Lint, format, types, import arrows, sizes
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture/test_sizes.py

format: $(INSTALLED)  ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(INSTALLED)  ## Measure speed, as ratios within one run
	$(BIN)/python -m tests.bench

build: $(INSTALLED)  ## Build wheel and source archive into dist/
	$(BIN)/python -m build --outdir dist

schemas: $(INSTALLED)  ## Write docs/schemas and docs/asyncapi.yaml anew
	$(BIN)/python -m vedette_edge.schemas docs/schemas
	$(BIN)/python -m vedette_edge.asyncapi docs/asyncapi.yaml

clean:  ## Remove what the other commands wrote, but not runs/
	rm -rf $(VENV) out dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
