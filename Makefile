# Each target sets up what it needs, and says on standard error what it installs. ARGS goes to the program behind the target.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.SILENT:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PY := .venv/bin/python
READY_DEMO := .venv/.ready-demo
READY_TEST := .venv/.ready-test
SET_UP := tools/set-up tools/machine tools/install-packages requirements/build.txt setup.cfg
ARGS ?=

.PHONY: help venv demo test explore check prove bench lock transcripts install uninstall clean

help:
	echo "make demo     the virtual counter"
	echo "make test     all tests"
	echo "make explore  the properties of the tests, on examples drawn anew"
	echo "make check    format, lint, types, import contracts"
	echo "make prove    the properties that are promised    ARGS='--only R3 --scale commit --json'"
	echo "make bench    the figures that are quoted         ARGS='--only P1 --json'"
	echo "make lock     pin requirements/*.in again"
	echo "make install  onto this machine, as root          ARGS='--with-screen --with-console ttyAMA0'"

venv: $(READY_TEST)

$(READY_DEMO): $(SET_UP) requirements/demo.txt
	tools/set-up demo
	touch $@

$(READY_TEST): $(SET_UP) requirements/dev.txt
	tools/set-up test
	touch $@ $(READY_DEMO)

demo: $(READY_DEMO)
	$(PY) -m demo $(ARGS)

test: $(READY_TEST)
	failed=0; \
	$(PY) -m tests.proofs --scale smoke --again || failed=$$?; \
	$(PY) -m pytest -n 2 $(ARGS) || { \
	  echo "make test: what failed is run once more, alone: on a busy machine real processes are late" >&2; \
	  $(PY) -m pytest --last-failed --last-failed-no-failures none $(ARGS); }; \
	exit $$failed

explore: $(READY_TEST)
	$(PY) -m pytest -n 2 -m hypothesis --hypothesis-profile explore $(ARGS)

check: $(READY_TEST)
	.venv/bin/ruff format --check --quiet
	.venv/bin/ruff check --quiet
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

prove: $(READY_TEST)
	$(PY) -m tests.proofs $(ARGS)

bench: $(READY_TEST)
	$(PY) -m bench $(ARGS)

lock:
	tools/lock

transcripts: $(READY_TEST)
	$(PY) -m pytest tests/core/test_transcripts.py tests/test_sale_states.py --rewrite

install:
	tools/install $(ARGS)

uninstall:
	tools/install --remove $(ARGS)

clean:
	rm -rf .venv .build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
