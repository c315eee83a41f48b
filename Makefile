# SPDX-License-Identifier: GPL-3.0-or-later
# make demo: set everything up and run a school visit on simulated machines.   make test: set everything up and test.

PYTHON ?= python3
PY := .venv/bin/python
ARGS ?=
PYTEST_ARGS ?=
NODE_OPCUA := tests/hardware_sim/node_opcua
SOURCES := edge office wire tests benchmarks content tools
WEB := $(shell find web content/i18n -type f -not -path '*/node_modules/*' -not -path 'web/dist/*' 2>/dev/null)

.PHONY: demo test check bench torture web wheel images lock clean

.venv/.installed: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh tools/debian.sh no-venv=python3-venv
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@echo "Installing the locked Python packages ..."
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(PY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

web/dist/.built: $(WEB) | .venv/.installed
	@echo "Building the pages ..."
	@sh tools/npm.sh web build
	@touch $@

web: web/dist/.built

$(NODE_OPCUA)/node_modules/.installed: $(NODE_OPCUA)/package-lock.json | .venv/.installed
	@echo "Installing the second OPC UA stack of the tests ..."
	@sh tools/npm.sh $(NODE_OPCUA)

demo: .venv/.installed web/dist/.built
	@sh tools/debian.sh mosquitto=mosquitto || echo "No Mosquitto: the lab runs on with its outbox, the office stays empty."
	@exec $(PY) -m tests.hardware_sim.lab $(ARGS)

check: .venv/.installed web/dist/.built
	$(PY) -m ruff check $(SOURCES)
	$(PY) -m ruff format --check $(SOURCES)
	$(PY) -m mypy
	.venv/bin/lint-imports
	sh tools/npm.sh web check
	sh tools/npm.sh web pyright

test: check $(NODE_OPCUA)/node_modules/.installed
	sh tools/debian.sh mosquitto=mosquitto chromium=chromium postgres=postgresql
	sh tools/test.sh $(PY) $(PYTEST_ARGS)

bench: .venv/.installed web/dist/.built
	sh tools/debian.sh mosquitto=mosquitto postgres=postgresql
	$(PY) -m benchmarks $(ARGS)

torture: .venv/.installed web/dist/.built
	sh tools/debian.sh mosquitto=mosquitto postgres=postgresql
	$(PY) -m tests.torture $(ARGS)

wheel: .venv/.installed web/dist/.built
	rm -f dist/infomobil-*.whl
	$(PY) -m hatchling build -t wheel

images: .venv/.installed web/dist/.built
	$(PY) -m tools.screenshots

lock:
	@test -x .venv/bin/uv || $(PY) -m pip install -q uv
	$(PY) -m uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 pyproject.toml -o requirements/run.txt
	$(PY) -m uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --extra office pyproject.toml -o requirements/office.txt
	$(PY) -m uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --extra dev --extra office pyproject.toml -o requirements/dev.txt
	$(PY) -m uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 requirements/node.in -o requirements/node.txt

clean:
	rm -rf .venv .run web/dist web/node_modules $(NODE_OPCUA)/node_modules dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
