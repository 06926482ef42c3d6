# Each target sets up what it needs. PYTHON picks the interpreter of a new environment, DESK the
# desk of `make demo`.
PYTHON ?= python3
DESK ?= btc_spot
VENV := .venv/bin
export DAGSTER_HOME := $(CURDIR)/.dagster
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: install demo test check ui bench gate-trial
install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(VENV)/pip install --quiet --requirement requirements.lock
	$(VENV)/pip install --quiet --no-deps --editable .
	touch $@

$(DAGSTER_HOME)/dagster.yaml: pipeline/dagster.yaml
	mkdir -p $(DAGSTER_HOME) && cp $< $@

demo: install $(DAGSTER_HOME)/dagster.yaml
	@tollgate settings --desk $(DESK) > /dev/null
	dagster asset materialize -m pipeline.definitions --select 'group:$(DESK)'
	tollgate summary --desk $(DESK)

test: install
	pytest -n 2 --dist loadfile -m "not slow"

check: install
	ruff check . && ruff format --check . && pyright && lint-imports

ui: install $(DAGSTER_HOME)/dagster.yaml
	dagster dev

gate-trial: install
	tollgate gate-trial --markets 200 --series 1000 --output docs/gate-trial.md

bench: install
	$(VENV)/pip install --quiet --requirement benchmarks/requirements.lock
	python -m benchmarks.bars
	python -m benchmarks.backtest
	python -m benchmarks.portfolio
	python -m benchmarks.gate
	python -m benchmarks.training
