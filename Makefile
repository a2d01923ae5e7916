# Each target works alone and first, on a machine where nothing was set up before: density/setup makes ready what it needs.
PROFILE ?= quickstart
ARGS ?=
SETUP := sh density/setup/setup.sh
EXEC := sh density/setup/exec.sh

.PHONY: help run test check bench attribution torture versus grafana engines clean

help: ## What there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-12s%s\n' "$$name" "$$text"; done

run: ## Fill this host with containers and VMs until something gives (PROFILE=quickstart ARGS="--max 50")
	@$(SETUP) run
	@$(EXEC) .venv/bin/density run $(PROFILE) $(ARGS)

test: check ## Set up, all checks, all tests (ARGS="-k docker")
	@$(EXEC) env DENSITY_CHECK_HOST=1 .venv/bin/python -m pytest -n 3 $(ARGS)

check: ## Lint, format, strict types, layers, dependencies
	@$(SETUP) dev
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/deptry density
	@.venv/bin/deptry grafana tests --ignore DEP002,DEP004 --exclude '\.venv|fixtures'

bench: ## The benchmarks, against the engines here
	@$(SETUP) dev
	@$(EXEC) .venv/bin/python -m pytest -o python_files='bench_*.py' tests/bench $(ARGS)

attribution: ## Induce real ceilings, judge 1,000 simulated hosts (long)
	@$(SETUP) dev
	@$(EXEC) .venv/bin/python -m pytest -o python_files='attribution_*.py' tests/attribution $(ARGS)

torture: ## Kill, starve and lie to density; print what survived, stayed, was lost (long)
	@$(SETUP) dev
	-@.venv/bin/python -m pip install --quiet --disable-pip-version-check --group torture
	@$(EXEC) env DENSITY_REQUIRE_ENGINES=1 .venv/bin/python -m pytest -o python_files='torture_*.py' tests/torture $(ARGS)

versus: ## Containers and VMs side by side, measured (ARGS="--row start")
	@$(SETUP) run
	@$(EXEC) .venv/bin/density versus $(ARGS)

grafana: ## Prometheus and Grafana beside density: http://127.0.0.1:3000 (ARGS=down ends them)
	@$(SETUP) run
	@$(EXEC) sh grafana/up.sh $(ARGS)

engines: ## Set up and start the engines, say which there are
	@$(SETUP) engines

clean: ## Remove what a crashed run left behind
	@$(SETUP) run
	@$(EXEC) .venv/bin/density clean $(ARGS)
