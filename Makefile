# besom: `make demo` runs the main job and shows the page, `make test` runs every check. Both set up what they need.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SETUP  := $(VENV)/.ready
DEMO   := $(VENV)/.ready-demo

.PHONY: help setup test lint types unit web demo clean

help:
	@echo "make demo    run a sweep on real data with two agents, then serve the page"
	@echo "make test    set up, then check format, types, the page and run all tests"
	@echo "make lint | types | web | unit    one of these checks alone"

setup: $(SETUP)

# $(call install,EXTRA): an environment with besom and the packages of EXTRA, the page built on the way.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "besom needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up in $(VENV) (the first time takes a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(1)]'
	@touch $@
endef

$(SETUP): pyproject.toml web/package.json web/hatch_build.py
	$(call install,dev)

$(DEMO): pyproject.toml web/package.json web/hatch_build.py
	$(call install,demo)

test: lint types web unit

lint: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(SETUP)
	$(BIN)/mypy

web: $(SETUP)
	$(BIN)/python web/hatch_build.py check

unit: $(SETUP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

demo: $(DEMO)
	@$(BIN)/python examples/demo.py

clean:
	rm -rf $(VENV) build dist web/node_modules besom/server/static .demo
