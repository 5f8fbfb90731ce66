# make quickstart   a search on this machine, its report, the exported models
# make test         lint, types, tests; a test that lacks a program of the system is named
# make slow         the tests that take minutes each
# make docs         the documentation as a site, in site/
# make install      only what all of them need, in .venv
#
# EXTRAS=dev,npu    with Qualcomm's compiler for NPUs (docs/npu.md has its licence), and its tests
# PYTHON=python3.11 whose Python .venv gets (constraints.txt is for 3.11)
# RUN=runs/again    the folder of quickstart's run; its models go to models/ all the same

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/quickstart
EXTRAS ?= dev
INSTALLED := $(VENV)/installed-$(EXTRAS)

.PHONY: install quickstart test slow docs

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

quickstart: install
	$(BIN)/nas search quickstart --out $(RUN)
	$(BIN)/nas pareto $(RUN)
	$(BIN)/nas report $(RUN)
	$(BIN)/nas export $(RUN) --out models

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 -rs --durations=25

slow: install
	$(BIN)/pytest -m slow

docs: install
	$(BIN)/mkdocs build --strict --quiet
	@echo site/index.html
