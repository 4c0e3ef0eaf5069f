# Two commands for a newcomer: `make reproduce` and `make test`. Everything else is a one-liner over `msfp`.
VENV    ?= .venv
BIN     := $(VENV)/bin
PROFILE ?= demo
OPTIONS := --profile $(PROFILE) $(if $(ROOT),--root $(ROOT)) $(if $(WEIGHTS),--weights $(WEIGHTS)) $(if $(FROM),--from $(FROM)) $(if $(ONLY),--only $(ONLY)) $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup reproduce smoke paper test lint docs lab bench oracle clean

help: ## what can be made
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## environment with exact versions (uv where installed, else venv + pip)

$(VENV)/.ready: pyproject.toml constraints.txt setup.sh
	@VENV=$(VENV) sh setup.sh

reproduce: setup ## every notebook, table, figure and the report: PROFILE=demo|smoke|mot17|full ROOT= WEIGHTS= FROM= ONLY=
	@$(BIN)/msfp reproduce $(OPTIONS)

smoke: setup ## the same path, as small as it gets
	@$(BIN)/msfp reproduce --profile smoke --workers 0

paper: setup ## LaTeX of a run's tables and figures in runs/PROFILE/paper, and its PDF where there is a TeX
	@$(BIN)/msfp paper --profile $(PROFILE) $(if $(ROOT),--root $(ROOT)) $(if $(WEIGHTS),--weights $(WEIGHTS)) $(ARGS)
	@if command -v latexmk tectonic pdflatex >/dev/null; then $(MAKE) -C runs/$(PROFILE)/paper; \
	else echo 'no TeX here: main.pdf is not made (Debian: apt-get install texlive-latex-recommended lmodern)'; fi

test: setup ## the test suite
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

lint: setup ## format, lint (notebooks too) and types
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

docs: $(VENV)/.docs ## the documentation in docs/_build/html, with PROFILE's executed notebooks where there is such a run
	@PROFILE=$(PROFILE) $(BIN)/python -m sphinx -q -W --keep-going docs docs/_build/html && echo 'docs: docs/_build/html/index.html'

$(VENV)/.docs: $(VENV)/.ready
	@VENV=$(VENV) EXTRAS=test,lint,docs sh setup.sh && touch $@

lab: setup ## JupyterLab on explore.ipynb: a finished run, frame by frame
	@$(BIN)/jupyter lab notebooks/explore.ipynb

bench: setup ## every benchmark, peers beside us
	@$(BIN)/msfp bench all

oracle: ## reference trackers, each in an environment of its own, for bench/parity.py
	@sh bench/oracle/setup.sh

clean: ## results and caches; the environment, downloaded data and the figures in the repository stay
	@rm -rf runs build dist docs/_build docs/notebooks .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find figures -type f ! -path 'figures/demo/figure0[1-7].[ps][nv]g' ! -path figures/demo/made.json -delete 2>/dev/null; true
	@find figures -type d -empty -delete 2>/dev/null; true
	@find msfp tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
