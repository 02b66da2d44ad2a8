# Two commands do all set-up: `make demo` and `make test`. They need Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

.PHONY: demo test check bench docs format clean

$(VENV)/bin/python:
ifneq ($(UV),)
	@$(UV) venv --quiet --python $(PYTHON) $(VENV)
else
	@$(PYTHON) -m venv $(VENV)
endif

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing blbsim into $(VENV) ..."
ifneq ($(UV),)
	@$(UV) pip install --quiet --python $(BIN)/python -e .
else
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
endif
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	@echo "Installing blbsim and what its tests need into $(VENV) ..."
ifneq ($(UV),)
	@$(UV) pip install --quiet --python $(BIN)/python -e '.[test]'
else
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
endif
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed  ## run the quickstart scenario
	@$(BIN)/blbsim run scenarios/quickstart.yaml

# In the order of their names the files that take long come first, so that no core is idle at the end.
test: $(VENV)/.installed-test  ## run the whole suite
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -q

check: $(VENV)/.installed-test  ## format, lint, layers, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: $(VENV)/.installed-test  ## rewrite the generated parts of the docs
	@$(BIN)/python docs/generate.py

format: $(VENV)/.installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-test  ## measure the proxy beside nginx, and the sinks
	@$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
