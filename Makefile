# Two commands: `make demo` shows what the library does, `make test` checks it. Each sets itself up.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FORMS := $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))

.PHONY: help demo test lint types layers pytest coverage docs clean

help:
	@echo "make demo      fuse the built-in pair, print scores, write demo/side_by_side.png"
	@echo "make test      ruff, codespell, mypy, import-linter, pytest"
	@echo "make coverage  pytest with a coverage report; fails below the floor in pyproject.toml"
	@echo "make docs      build the site into site/"

demo: $(READY)
	$(BIN)/imfuse demo -o demo

test: lint types layers pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms $(FORMS)
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.citation-file-format CITATION.cff

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports --no-logo

pytest: $(READY)
	$(BIN)/pytest -n auto

coverage: $(READY)
	$(BIN)/pytest -n auto --cov

docs: $(READY)
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) demo site build dist .coverage

# Made again only when the requirements change.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,docs]"
	touch $(READY)
