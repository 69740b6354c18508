# make demo: a first result.  make test: lint, types, layers, tests.  Both set up what they need.
# make test-clusters: tests that start many processes, kill them, or run a batch system.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-clusters compiled lint peers clean constraints

demo: .venv/installed
	$(BIN)/bigunet demo demo

test: lint compiled
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow" $(PYTEST)

# As root on Debian or Ubuntu it installs Slurm first; without Slurm its tests are skipped.
test-clusters: compiled
	-tests/slurm/install.sh
	$(BIN)/pytest -n 2 --dist loadfile -m slow $(PYTEST)

# Hundreds of processes start in the tests, and each would compile the package anew.
compiled: .venv/installed-test
	$(BIN)/python -m compileall -q bigunet cli

# SC1090: a script for clusters activates an environment that is not on this machine. A test checks
# the scripts that come from bigunet/jobs/templates in the same way.
lint: .venv/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck --exclude=SC1090 .ci/run examples/*/*.sh tests/*/*.sh

# Other programs, in an environment of their own, for benchmarks/compare.py.
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

# After a change of versions in this environment.
constraints:
	{ echo "# Every package that 'make demo' and 'make test' install; 'make constraints' writes it anew."; \
	  $(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//' | sort -f; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf .venv .venv-peers build dist demo *.egg-info
