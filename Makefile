# Two commands are enough: `make up` runs the whole system, `make test` the whole suite.
# Everything is installed into .venv/ and kept in .deployx/; nothing tracked changes.

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --no-input
RUN := $(VENV)/bin/python

# What is imported is compiled once, whatever the shell wants: without it each program that starts
# compiles Django and all the rest again, which takes more than twice as long as starting.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: up agent-wheel test test-browser faults thorough bench lint format messages screenshots lock clean

up: $(VENV)/embedded.stamp
	@exec $(RUN) manage.py up

# What devices install, in dist/: the same bytes that the server gives out under /agent/.
agent-wheel: $(VENV)/embedded.stamp
	@$(RUN) -m devices.wheel dist

# All of it on all processors there are; what is asked for, as it is asked for.
test: $(VENV)/dev.stamp
	$(RUN) -m pytest $(or $(ARGS),-n logical --dist loadscope --no-loadscope-reorder)

test-browser: $(VENV)/dev.stamp
	$(RUN) -m pytest -m browser tests/browser $(ARGS)

# First what takes the whole machine, then as many at a time as there are cores. Needs root for the
# cases with file systems and networks. A selection may have nothing in one of the two (5).
faults: $(VENV)/dev.stamp
	@failed=0; \
	$(RUN) -m pytest -m "faults and alone" $(ARGS) || [ $$? -eq 5 ] || failed=1; \
	$(RUN) -m pytest -m "faults and not alone" -n logical --dist loadscope $(ARGS) || [ $$? -eq 5 ] || failed=1; \
	exit $$failed

# When things run, tried against a walk by the minute a hundred times as often as in `make test`; and
# the protocol with two things going wrong at once.
thorough: $(VENV)/dev.stamp
	DEPLOYX_TEST_EFFORT=100 $(RUN) -m pytest --timeout=0 scheduling/tests/recurrence tests/protocol_model $(ARGS)

bench: $(VENV)/dev.stamp
	$(RUN) -m benchmarks $(ARGS)

lint: $(VENV)/dev.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(RUN) manage.py makemigrations --check --dry-run
	$(RUN) -m deployx.deploy_check
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

format: $(VENV)/dev.stamp
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# Brings locale/ up to date with what the source says; then translate what is empty there.
messages: $(VENV)/dev.stamp
	$(RUN) manage.py makemessages

# Pictures of every page for README and guide, in docs/img; look at them before they are committed.
screenshots: $(VENV)/dev.stamp
	rm -f docs/img/*.webp
	$(RUN) -m pytest -q -m browser tests/browser/screenshots.py

# Pins what the *.in files allow; run it after changing one.
lock: $(VENV)/dev.stamp
	for name in requirements requirements-s3 requirements-embedded requirements-dev; do \
	  $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --upgrade --custom-compile-command "make lock" $$name.in --output-file $$name.txt || exit 1; \
	done

clean:
	rm -rf $(VENV) staticfiles .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("DeployX needs Python 3.11 or newer; PYTHON=python3.12 make … chooses another.") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

# The files name everything there is to install. What is imported is compiled then, for the checks.
$(VENV)/embedded.stamp: requirements-embedded.txt | $(VENV)/bin/python
	$(PIP) install --quiet --require-hashes --no-deps -r requirements-embedded.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt | $(VENV)/bin/python
	$(PIP) install --quiet --require-hashes --no-deps --no-compile -r requirements-dev.txt
	@touch $@ $(VENV)/embedded.stamp
