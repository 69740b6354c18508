# Each target sets up what it needs in .venv.  A comment with two signs is the target's line in
# `make help`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: soak help demo test test-clusters compiled lint types docs peers clean constraints

## help: list the targets
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST) | while IFS= read -r line; do \
	    printf '  make %-14s %s\n' "$${line%%:*}" "$${line#*: }"; done

## demo: segment a mosaic of real nuclei and draw demo/overlay.png; 1 to 2 minutes
demo: .venv/installed
	$(BIN)/bigunet demo demo

## test: lint, types, layers, and the tests of every change
test: lint compiled
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow" $(PYTEST)

## test-clusters: tests that start many processes, kill them, run a batch system, or a browser
# As root on Debian or Ubuntu it installs Slurm and Chromium first; without them, tests are skipped.
test-clusters: compiled
	-tests/slurm/install.sh
	-tests/browser/install.sh
	$(BIN)/pytest -n 2 --dist loadfile -m slow $(PYTEST)

## soak: the laws of make test with hundreds of new examples each; for a night
soak: compiled
	HYPOTHESIS_PROFILE=soak $(BIN)/pytest -n 2 --dist loadfile --timeout=0 -m "not slow" \
	    --hypothesis-seed=$$(date +%s) $(PYTEST)

# Hundreds of processes start in the tests, and each would compile the package anew.
compiled: .venv/installed-test
	$(BIN)/python -m compileall -q bigunet cli

## lint: format, style, types and layers of the code, and its bash
# SC1090: a script for clusters activates an environment that is not on this machine. A test checks
# the scripts that come from bigunet/jobs/templates in the same way.
lint: .venv/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck --exclude=SC1090 .ci/run examples/*/*.sh benchmarks/*/*/*.sh tests/*/*.sh

## types: types of the code as it is on macOS and on Windows
types: .venv/installed-test
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32

## docs: the documentation as a website in site/; a warning ends it
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

## peers: other programs in an environment of their own, for benchmarks/compare.py
peers: .venv-peers/installed

.venv-peers/installed: pyproject.toml constraints.txt benchmarks/peers/requirements.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install -qq --disable-pip-version-check -c constraints.txt -e . \
	    -r benchmarks/peers/requirements.txt
	touch $@

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e '.[test]'
	mkdir -p .venv/links && ln -sfn ../../cli .venv/links/bigunet_cli
	touch $@

.venv/installed-docs: .venv/installed
	$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

## constraints: write constraints.txt anew, after a change of versions in .venv
constraints: .venv/installed-test .venv/installed-docs
	{ echo "# Every package that 'make' installs into .venv; 'make constraints' writes it anew."; \
	  $(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//' | sort -f; } > constraints.new
	mv constraints.new constraints.txt

## clean: remove everything that make made
clean:
	rm -rf .venv .venv-peers build dist demo site *.egg-info
