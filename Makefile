# Everything a user or a contributor types. Each target does its own set-up in
# .venv and build/; a second call is quick. `make help` lists them.
SHELL := /bin/bash
TENSORFLOW ?= 2.21.0
OLDEST_TENSORFLOW := 2.16.2
JOBS ?= $(shell nproc)
VENV ?= .venv
PY := $(VENV)/bin/python
# What has been done to the environment is noted in it.
STAMPS := $(VENV)/stamps
NATIVE = $(MAKE) --no-print-directory -f build_defs/native.mk -j$(JOBS) PYTHON=$(PY)
PYTEST_ARGS ?=
# A worker runs whole files, so that what a module's fixture made is made once.
# PYTEST_ARGS comes last: with -n0 everything runs in one process, as --pdb wants it.
PYTEST = $(PY) -m pytest -n $(JOBS) --dist loadfile
# TensorFlow's start-up chatter would bury what the tests say.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help demo build test test-cc test-py test-quick test-compat coverage lint format \
  bench-cc bazel-deps bazel-build bazel-test wheel clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: $(STAMPS)/installed build  ## set up, then run three real models four ways (on 2 cores 5 to 8 minutes from nothing, much of it set-up)
	@echo "demo: three models four ways, a few minutes"
	@$(VENV)/bin/grappler-go demo

# ---- set-up ----
# A Python that TensorFlow has wheels for, with headers and venv.
$(STAMPS)/venv:
	@python=$$(bash build_defs/find_python.sh) || exit 1; \
	echo "set-up: $(VENV) with $$python and tensorflow $(TENSORFLOW)"; \
	$$python -m venv $(VENV) && mkdir -p $(@D)
	@$(PY) -m pip install --quiet --upgrade 'pip>=24'
	@echo "set-up: installing TensorFlow, a download of about 600 MB"
	@$(PY) -m pip install --quiet 'tensorflow==$(TENSORFLOW)' \
	  $$(grep -E '^(setuptools|wheel|pybind11|nlohmann-json)==' requirements-dev.txt)
	@touch $@

# Editable: the Python files are used where they are, `make build` renews the libraries.
$(STAMPS)/installed: $(STAMPS)/venv pyproject.toml setup.py
	@echo "set-up: compiling the core with $(JOBS) jobs, about 3 minutes on 2 cores"
	@GRAPPLER_GO_JOBS=$(JOBS) $(PY) -m pip install --quiet --no-build-isolation -e .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/installed requirements-dev.txt
	@echo "set-up: installing what the tests need"
	@$(PY) -m pip install --quiet -r requirements-dev.txt
	@bash build_defs/need_package.sh /usr/include/gtest/gtest.h libgtest-dev
	@touch $@

build: $(STAMPS)/installed  ## compile the plugin and the extension in place
	@$(NATIVE) native

# ---- tests ----
test: test-cc test-py  ## set up, then every test

# Objects of the library are those of `build`, which two must not compile at once.
test-cc: $(STAMPS)/dev build  ## the C++ tests
	$(NATIVE) test

test-py: $(STAMPS)/dev build  ## the Python tests
	$(PYTEST) $(PYTEST_ARGS)
	$(PYTEST) tests/go $(PYTEST_ARGS)

test-quick: $(STAMPS)/dev build  ## the Python tests that take seconds
	$(PYTEST) -m 'not slow' -x -q $(PYTEST_ARGS)
	$(PYTEST) -m 'not slow' -x -q tests/go $(PYTEST_ARGS)

# Counters take time, so they are not in `test`: objects of their own, and the
# Python tests once more.
coverage: $(STAMPS)/dev build  ## every test, and what the tests cover of C++ and Python
	find build/coverage -name '*.gcda' -delete 2>/dev/null || true
	$(NATIVE) BUILD=build/coverage COVERAGE=--coverage OPT='-O0 -g1' test
	rm -f .coverage .coverage.*
	$(PYTEST) --cov --cov-report= $(PYTEST_ARGS)
	$(PYTEST) --cov --cov-append --cov-report= tests/go $(PYTEST_ARGS)
	@echo "== coverage of C++ by the C++ tests (the bindings are tested from Python)"
	@$(VENV)/bin/gcovr --root . --filter cc/ --exclude '.*_(test|benchmark)\.cc' \
	  --exclude cc/testing/ --exclude-throw-branches --gcov-ignore-parse-errors=all \
	  --sort uncovered-percent --txt-summary --txt build/coverage-cc.txt build/coverage
	@echo "   by file: build/coverage-cc.txt"
	@echo "== coverage of Python"
	@$(VENV)/bin/coverage report --data-file .coverage | tee build/coverage-py.txt | tail -n 3
	@echo "   by file: build/coverage-py.txt"

# The library built above, loaded by the oldest TensorFlow we support.
COMPAT := .venv-$(OLDEST_TENSORFLOW)
$(COMPAT)/stamp: $(STAMPS)/venv
	bash build_defs/compat_venv.sh $(COMPAT) $(PY) $(OLDEST_TENSORFLOW)
	touch $@
test-compat: $(STAMPS)/dev build $(COMPAT)/stamp  ## one built library under the oldest and the newest TensorFlow
	GRAPPLER_GO_OTHER_PYTHON=$(CURDIR)/$(COMPAT)/bin/python \
	  $(PY) -m pytest -q tests/test_load_compat.py $(PYTEST_ARGS)

bench-cc: $(STAMPS)/installed  ## the C++ benchmarks
	$(NATIVE) native benchmarks
	@for b in $$(find build/native -name '*_benchmark'); do echo "== $$b"; $$b || exit 1; done

# ---- style ----
CC_FILES := $(shell find cc tests -name '*.cc' -o -name '*.h')
PY_FILES := grappler_go python tests build_defs setup.py
lint: $(STAMPS)/dev  ## ruff, clang-format and mypy
	$(VENV)/bin/ruff check $(PY_FILES)
	$(VENV)/bin/ruff format --check $(PY_FILES)
	@$(VENV)/bin/clang-format --dry-run -Werror $(CC_FILES)
	$(VENV)/bin/mypy

format: $(STAMPS)/dev  ## write what lint wants to see
	$(VENV)/bin/ruff check --fix-only $(PY_FILES)
	$(VENV)/bin/ruff format $(PY_FILES)
	$(VENV)/bin/clang-format -i $(CC_FILES)

# ---- Bazel, without the internet ----
BAZEL = bazel --output_user_root=$(CURDIR)/build/bazel
bazel-deps: $(STAMPS)/venv
	bash build_defs/need_package.sh /usr/bin/bazel bazel-bootstrap bazel-rules-java bazel-rules-proto bazel-platforms
	bash build_defs/need_package.sh /usr/src/googletest/CMakeLists.txt googletest
	bash build_defs/link_third_party.sh $(PY)
bazel-build: bazel-deps  ## the core and the plugin, with Bazel
	$(BAZEL) build //...
bazel-test: bazel-deps  ## the C++ tests with Bazel; the core's under sanitizers
	$(BAZEL) test --config=asan //...

# ---- packages ----
wheel: $(STAMPS)/venv  ## a wheel in dist/
	$(PY) -m pip wheel --no-deps --no-build-isolation -w dist .

clean:  ## remove what was built; .venv stays
	-$(BAZEL) shutdown 2>/dev/null
	chmod -R u+w build 2>/dev/null || true
	rm -rf build dist third_party *.egg-info grappler_go/*.so .coverage .coverage.*
	rm -f $(STAMPS)/installed $(STAMPS)/dev
