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

PIP = $(BIN)/python -m pip --disable-pip-version-check
# Only files whose SHA-256 the list has, and nothing that would run code of its own to be built.
VERIFIED = $(PIP) install --quiet --require-hashes --only-binary :all: --no-deps

# Made again only when the requirements change. A wheel of PyTorch at hand (PIP_FIND_LINKS), such as the build for
# processors alone, comes before that of the index, which needs gigabytes of CUDA; its hash counts as well.
$(READY): pyproject.toml constraints.txt constraints-cuda.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	sed -n '/^torch==/,/[^\\]$$/p' constraints.txt > $(VENV)/torch.txt
	$(VERIFIED) --no-index -r $(VENV)/torch.txt 2> /dev/null || true
	$(VERIFIED) -r constraints.txt
	$(BIN)/python -c "import importlib.metadata as m; exit('+cpu' not in m.version('torch'))" \
		|| $(VERIFIED) -r constraints-cuda.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	$(PIP) check
	touch $(READY)
