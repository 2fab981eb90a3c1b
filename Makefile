# Needs GNU make, bash and Python 3.11 or newer; everything else is installed into .venv.
SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
READY_BENCH := $(VENV)/.ready-bench
INPUTS := pyproject.toml sdk/pyproject.toml constraints.txt
TRIALS ?= 40
DEMO_HOME ?= $(CURDIR)/.trimtab
# Tests of numerical code take one thread each: more only make them wait for each other.
TEST_ENV := OMP_NUM_THREADS=1

# pip's own words, without the lines that say nothing new; all of them when it fails.
# (The options stand in the recipe: macOS' make 3.81 knows no .SHELLFLAGS.)
SHORT := awk '/^(Collecting|Building|Installing|Successfully)/ { \
	print "  " substr($$0, 1, 100); fflush() }'
# About half of the time of all tests, without those of processes that are killed and started.
BESIDE = tests/search tests/bench tests/migrations tests/sdk tests/service

install = set -eu -o pipefail; \
	$(PYTHON) -m pip install --disable-pip-version-check --no-input --progress-bar off \
		-c constraints.txt $(1) 2>&1 | tee $(VENV)/setup.log | $(SHORT) \
	|| { tail -n 40 $(VENV)/setup.log; exit 1; }

# ioh installs its own tests as the package `tests`, which processes of ours would take for our folder.
export ALIEN_TESTS = import shutil, sysconfig; \
	shutil.rmtree(sysconfig.get_path("platlib") + "/tests", ignore_errors=True)

.PHONY: help
help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## Install everything into .venv (again only when the requirements change)

.PHONY: demo
demo: $(READY) ## Tune a neural network on this machine; TRIALS=6 is quick, NEW=1 starts anew
	@TRIMTAB_HOME="$(DEMO_HOME)" $(PYTHON) -P -m workers.demo \
		--trials $(TRIALS) $(if $(NEW),--new)

.PHONY: test
test: lint ## Run all checks and all tests
	@echo "Beside these run $(BESIDE); their result comes last."
	@$(TEST_ENV) $(PYTHON) -m pytest -q -p no:cacheprovider $(BESIDE) >$(VENV)/beside.log 2>&1 & \
	beside=$$!; trap 'kill $$beside 2>/dev/null || true' EXIT; status=0; \
	$(TEST_ENV) $(PYTHON) -m pytest -q $(patsubst %,--ignore=%,$(BESIDE)) || status=$$?; \
	wait $$beside || status=$$?; cat $(VENV)/beside.log; exit $$status

.PHONY: lint
lint: $(READY) ## Run the checks that start no process: ruff, mypy, import-linter
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

.PHONY: bench-service
bench-service: $(READY_BENCH) ## Measure the service beside Optuna on the same database
	@$(TEST_ENV) $(PYTHON) bench/service.py

.PHONY: bench-digits
bench-digits: $(READY) ## Measure the search on the digits study beside random search
	@$(TEST_ENV) $(PYTHON) bench/digits.py

.PHONY: bench-search
bench-search: $(READY_BENCH) ## Compare the searchers with their rivals; QUICK=1 takes 10 minutes
	@$(TEST_ENV) $(PYTHON) -m bench.search $(if $(QUICK),--quick) $(if $(REPORT),--report) \
		$(if $(MINUTES),--minutes $(MINUTES))

.PHONY: clean
clean: ## Remove what was installed and cached; the demo's data in .trimtab stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache bench/.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The build tools come first, pinned like everything else, instead of anew for each build.
$(READY): $(INPUTS)
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || $(MAKE) environment
	@echo "Installing what Trimtab needs: about 2.3 GB, 3 to 4 minutes the first time."
	@$(call install,hatchling editables)
	@$(call install,--no-build-isolation -e sdk -e ".[test]")
	@touch $@

$(READY_BENCH): $(READY)
	@$(call install,--no-build-isolation -e ".[bench]")
	@$(PYTHON) -c "$$ALIEN_TESTS"
	@touch $@

# A command of that name may be there and not run (pyenv's are like that), so each is tried.
.PHONY: environment
environment:
	@for python in python3.11 python3.12 python3.13 python3.14 python3; do \
		$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
			>/dev/null 2>&1 || continue; \
		echo "Making $(VENV) with $$($$python --version)."; \
		exec $$python -m venv --clear $(VENV); \
	done; \
	echo "Python 3.11 or newer, with its venv module, was not found." >&2; \
	echo "Debian and Ubuntu: apt install python3-venv.  macOS: brew install python@3.12." >&2; \
	exit 1
