# Two commands do everything on a machine with Python 3.11, pip, git and make: `make demo` and `make test`.

VENV := .venv
NERFSTUDIO_VENV := .venv-nerfstudio
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PYTHON ?= $(shell for name in python3.11 python3.12 python3; do \
	command -v $$name >/dev/null 2>&1 && $$name -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	&& echo $$name && break; done)

export NUMBA_CACHE_DIR ?= $(CURDIR)/.numba_cache
# Waiting threads sleep: on a shared machine spinning ones make small tensor calls take milliseconds.
export OMP_WAIT_POLICY ?= passive
export HF_HUB_OFFLINE := 1
export GRADIO_ANALYTICS_ENABLED := False

.PHONY: help demo app test test-nerfstudio lint bench clean
help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed, and none was found. Install it, or call: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp is written last, so an install that was cut off is done again.
$(STAMPS)/demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[vision3d,medseg]'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[vision3d,sam,vlm,medseg,train,batch,apps,dev]'
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/demo $(STAMPS)/app

$(STAMPS)/app: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[apps]'
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/demo

demo: $(STAMPS)/demo  ## Set up, fit and ask the embedded scene, ask a radiograph; writes pages below out/demo
	$(BIN)/vision3d demo --output out/demo
	$(BIN)/medseg demo --output out/demo/medseg

app: $(STAMPS)/app  ## Ask the embedded scene in the browser (fits it first where `make demo` has not); Ctrl+C ends it
	$(BIN)/python -m apps.scene_explorer

lint: $(STAMPS)/test  ## Run the gates: ruff, pyright, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

test: $(STAMPS)/test lint  ## Set up, run the gates and the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Nerfstudio is large and used by one room alone: it gets an environment of its own.
$(NERFSTUDIO_VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed, and none was found. Install it, or call: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(NERFSTUDIO_VENV)

$(NERFSTUDIO_VENV)/.stamp: $(NERFSTUDIO_VENV)/bin/python pyproject.toml constraints.txt
	$(NERFSTUDIO_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[nerfstudio,dev]'
	@touch $@

test-nerfstudio: $(NERFSTUDIO_VENV)/.stamp  ## Set up nerfstudio in .venv-nerfstudio and test the plugin there
	$(NERFSTUDIO_VENV)/bin/python -m pytest tests/vision3d/nerfstudio_plugin

bench: $(STAMPS)/test  ## Print the benchmark tables (minutes)
	$(BIN)/python -m benchmarks.renderer_accuracy
	$(BIN)/python -m benchmarks.rasteriser_speed
	$(BIN)/python -m benchmarks.training_step
	$(BIN)/python -m benchmarks.frozen_geometry

clean:  ## Remove the environment, caches and results
	rm -rf $(VENV) $(NERFSTUDIO_VENV) .numba_cache out .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
