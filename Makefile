# make train      train on names and print new ones (makes .venv and installs the package first)
# make test       run the tests; a part of them: make test ARGS="-k adam"
# make test-all   run the slow ones, too, as CI does
# make fuzz       search for new examples that fail, for so long: make fuzz MINUTES=10
# make bench      time everything against the interpreted script, print the ratios
# make bench-compare   hold them against a saved run: BASE=bench/results/NAME.json THRESHOLD=1.25 (see bench/README.md)
# make lint       style, types and spelling
# make annotate   show which lines of the Cython sources call into Python: build/annotate/html/index.html
# make docs       build the course and check its links: build/site/index.html
# make clean      remove all that was made here
#
# Another interpreter: make PYTHON=python3.12 (after make clean).

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check
SOURCES := $(shell find src bench/ports -type f -not -name "*.pyc" -not -name "*.so")

PARALLEL := --numprocesses=auto --maxprocesses=8 --dist=worksteal --benchmark-disable
BENCH_TABLES := --benchmark-group-by=group --benchmark-sort=name --benchmark-columns=median,iqr,rounds
THRESHOLD ?= 1.25
MINUTES ?= 10

.DELETE_ON_ERROR:
.PHONY: train test test-all fuzz bench bench-compare lint annotate docs clean

train: $(VENV)/installed
	@$(RUN) tools/first_run.py

test: $(VENV)/installed $(VENV)/group-test
	$(RUN) -m pytest $(PARALLEL) -m "not slow" $(ARGS)

test-all: $(VENV)/installed $(VENV)/group-test
	$(RUN) -m pytest $(PARALLEL) $(ARGS)

# Round after round of random examples, in which those that failed before come first.
fuzz: $(VENV)/installed $(VENV)/group-test
	@end=$$(($$(date +%s) + 60 * $(MINUTES))); while [ $$(date +%s) -lt $$end ]; do \
		HYPOTHESIS_PROFILE=fuzz $(RUN) -m pytest -q -m hypothesis $(PARALLEL) $(ARGS) || exit 1; \
	done

bench: $(VENV)/installed $(VENV)/group-test
	mkdir -p bench/results
	$(RUN) -m pytest bench --benchmark-json=bench/results/latest.json $(BENCH_TABLES) $(ARGS)
	$(RUN) bench/report.py bench/results/latest.json

bench-compare: $(VENV)/made
	@test -e bench/results/latest.json || { echo "bench-compare: nothing was measured yet: make bench" >&2; exit 2; }
	$(RUN) bench/compare.py bench/results/latest.json $(BASE) --threshold $(THRESHOLD)

lint: $(VENV)/installed $(VENV)/group-lint
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m mypy.stubtest --allowlist tools/stubtest-allowlist.txt --ignore-unused-allowlist \
		microgpt._engine microgpt._adam microgpt._functional microgpt._fused microgpt._recorded microgpt_engine
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cython-lint src/microgpt
	$(RUN) -m codespell_lib

annotate: $(VENV)/made
	. $(VENV)/build-env && MICROGPT_ANNOTATE=1 $(PIP) wheel --quiet --no-deps --wheel-dir build/annotate .
	rm -f build/annotate/*.whl
	$(RUN) tools/annotate_pages.py build/annotate build/annotate/html

docs: $(VENV)/installed $(VENV)/group-docs annotate
	rm -rf build/site
	$(RUN) -m sphinx -q -n -W --keep-going -E -d build/doctrees docs build/site
	cp -r build/annotate/html build/site/annotate
	$(RUN) tools/check_site.py build/site

clean:
	rm -rf $(VENV) build dist src/*.egg-info .*_cache .hypothesis .benchmarks
	find . -name __pycache__ -prune -exec rm -rf {} +

# The environment is made once; the package goes into it again whenever one of its files has changed.
$(VENV)/made: tools/make-venv
	@echo "making the virtual environment $(VENV)" >&2
	@tools/make-venv $(PYTHON) $(VENV) >&2
	@touch $@

$(VENV)/installed: $(VENV)/made pyproject.toml setup.py README.md $(SOURCES)
	@echo "compiling six modules, about a minute, and installing them into $(VENV)" >&2
	@. $(VENV)/build-env && $(PIP) install --quiet .
	@touch $@

$(VENV)/group-%: $(VENV)/made pyproject.toml
	@echo "installing the tools of the group $*" >&2
	@$(PIP) install --quiet --group $*
	@touch $@
