# Everything a newcomer needs: `make demo` and `make test`. Needs Python 3.11+ and pip, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PIP := bash .ci/pip "$(PYTHON)" $(VENV)
ARGS ?=
ONLY ?=
SEED ?=
MINUTES ?=
PROFILE ?=
T ?=

# A stamp carries the hash of what it stands for: a warm start compares two names and goes on.
APP_STAMP := $(VENV)/.app-$(shell cat requirements/{build,app}.txt pyproject.toml | sha256sum | cut -c1-16)
TEST_STAMP := $(VENV)/.test-$(shell cat requirements/*.txt pyproject.toml | sha256sum | cut -c1-16)

help:
	@echo "make demo [ARGS=--once]     the whole main job on this machine, then stays up until Ctrl-C"
	@echo "make test [T=tests/unit]    set up, check and test everything (or one part)"
	@echo "make lint                   style, types, import laws"
	@echo "make bench [ONLY=face]      the figures, each beside what it is measured against"
	@echo "make sim SEED=7 | MINUTES=5    one deterministic world, replayed; or a search for one that breaks a law"
	@echo "make doctor                 what is configured and reachable"
	@echo "make clean                  remove the environment and what runs have left"

demo: $(APP_STAMP)
	@exec $(BIN)/python -m lockserver.main demo $(ARGS)

environment: $(APP_STAMP) # what demo installs, and nothing else

doctor: $(APP_STAMP)
	@exec $(BIN)/python -m lockserver.main doctor $(ARGS)

test: $(TEST_STAMP)
	@bash .ci/system-packages
	@bash .ci/checks $(BIN)
	@mkdir -p reports
	@$(BIN)/python -m pytest -n 4 --dist loadfile --junit-xml=reports/junit.xml $(T)

lint: $(TEST_STAMP)
	@bash .ci/checks $(BIN)

bench: $(TEST_STAMP)
	@exec $(BIN)/python -m bench $(ONLY)

sim: $(TEST_STAMP)
	@exec $(BIN)/python -m tests.sim $(if $(SEED),--seed $(SEED)) $(if $(PROFILE),--profile $(PROFILE)) $(if $(MINUTES),--minutes $(MINUTES))

$(VENV)/pyvenv.cfg:
	@bash .ci/environment "$(PYTHON)" $(VENV)

$(APP_STAMP): | $(VENV)/pyvenv.cfg
	@echo "installing requirements/app.txt into $(VENV) (about half a minute, once) ..."
	@$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements/build.txt
	@$(PIP) install --no-deps --require-hashes --only-binary :all: --no-binary nkeys --no-build-isolation -r requirements/app.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@rm -f $(VENV)/.app-*; touch $@

$(TEST_STAMP): $(APP_STAMP)
	@echo "installing what the tests need ..."
	@$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements/test.txt
	@$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements/face-recognition.txt
	@rm -f $(VENV)/.test-*; touch $@

requirements: $(TEST_STAMP)
	@bash .ci/pin $(BIN)

clean:
	rm -rf $(VENV) build reports .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help demo environment doctor test lint bench sim requirements clean
