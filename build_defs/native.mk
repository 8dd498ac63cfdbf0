# Compiles the C++ of grappler-go with g++: the plugin, the Python extension and
# the C++ tests. setup.py (pip install) and the Makefile (development) both come
# here. Sources are found by the same globs as Bazel's, so nothing is listed twice:
#
#   cc/<folder>/*.cc             core, policy, plugin -> libgrappler_go.so
#   cc/bindings/*.cc             _core.*.so, linked to libgrappler_go.so
#   cc/<folder>/*_test.cc        one test program a folder
#   cc/<folder>/*_benchmark.cc   one program each, built by `benchmarks`
#   cc/testing/*.cc              helpers of the tests
#
# Usage: make -f build_defs/native.mk [variables] [native | test | benchmarks]
PYTHON ?= python3
# Where the two shared libraries go, and where objects are kept.
OUT ?= grappler_go
BUILD ?= build/native
# Flags that change the objects; a different set belongs in a different BUILD.
OPT ?= -O2 -g1
# The tests are not optimised, which is quick to compile; what they test is compiled
# once, as it is shipped. The sanitizers are left to `make bazel-test`.
TEST_OPT ?= -O0 -g1
# The quickest that there is for reading TensorFlow's symbols.
TEST_LD ?= $(if $(shell command -v ld.gold),-fuse-ld=gold)
COVERAGE ?=
GTEST_FILTER ?= *

# One Python start for everything we ask of it.
facts := $(shell $(PYTHON) build_defs/facts.py)
ifneq ($(.SHELLSTATUS),0)
$(error $(PYTHON) build_defs/facts.py failed; see the message above)
endif
fact = $(patsubst $(1)=%,%,$(filter $(1)=%,$(facts)))
TENSORFLOW := $(call fact,tensorflow)

CXXFLAGS_ALL = -std=c++17 -Wall -Wextra -fPIC -fvisibility=default -pthread \
  -I. -isystem $(TENSORFLOW)/include -isystem $(call fact,nlohmann) $(CXXFLAGS)
BINDING_FLAGS = -isystem $(call fact,python_include) -isystem $(call fact,pybind11)
# By SONAME and without a run path: the process that loads the plugin has
# TensorFlow already, and that one is to be used, whatever was built against.
TF_LIBS = -L$(TENSORFLOW) -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2

all_cc := $(sort $(wildcard cc/*/*.cc))
tests_cc := $(filter %_test.cc,$(all_cc))
benchmarks_cc := $(filter %_benchmark.cc,$(all_cc))
helpers_cc := $(filter-out $(tests_cc) $(benchmarks_cc),$(filter cc/testing/%,$(all_cc)))
bindings_cc := $(filter-out $(tests_cc) $(benchmarks_cc),$(filter cc/bindings/%,$(all_cc)))
library_cc := $(filter-out $(tests_cc) $(benchmarks_cc) $(helpers_cc) $(bindings_cc),$(all_cc))

LIBRARY := $(OUT)/libgrappler_go.so
EXTENSION := $(OUT)/_core$(call fact,ext_suffix)

.PHONY: native test benchmarks
.SECONDARY:
# With a recipe, or make would say that nothing is to be done.
native: $(LIBRARY) $(if $(bindings_cc),$(EXTENSION))
	@:

# ---- the two products ----
objects = $(patsubst cc/%.cc,$(BUILD)/$(1)/%.o,$(2))

$(LIBRARY): $(call objects,lib,$(library_cc))
	@mkdir -p $(@D)
	$(CXX) -shared -pthread $(COVERAGE) -Wl,-Bsymbolic-functions -Wl,-soname,libgrappler_go.so \
	  -Wl,--no-as-needed -o $@.new $^ $(TF_LIBS) -ldl
	mv $@.new $@

# Objects of the bindings fit one Python only.
bindings_dir := $(BUILD)/lib$(call fact,ext_suffix)
$(EXTENSION): $(patsubst cc/%.cc,$(bindings_dir)/%.o,$(bindings_cc)) $(LIBRARY)
	$(CXX) -shared -pthread $(COVERAGE) -Wl,-rpath,'$$ORIGIN' -o $@.new \
	  $(filter %.o,$^) -L$(OUT) -l:libgrappler_go.so \
	  -Wl,--allow-shlib-undefined
	mv $@.new $@

$(bindings_dir)/%.o: cc/%.cc
	@mkdir -p $(@D)
	$(CXX) $(OPT) $(COVERAGE) $(CXXFLAGS_ALL) $(BINDING_FLAGS) -MMD -MP -c $< -o $@
$(BUILD)/lib/%.o: cc/%.cc
	@mkdir -p $(@D)
	$(CXX) $(OPT) $(COVERAGE) $(CXXFLAGS_ALL) -MMD -MP -c $< -o $@

# ---- tests: one program a folder ----
test_folders := $(sort $(patsubst cc/%/,%,$(dir $(tests_cc))))
test_programs := $(test_folders:%=$(BUILD)/test/%/all_tests)

TEST_CXX = $(CXX) $(TEST_OPT) $(COVERAGE) $(CXXFLAGS_ALL)
$(BUILD)/test/%.o: cc/%.cc
	@mkdir -p $(@D)
	$(TEST_CXX) $(PRECOMPILED) -MMD -MP -c $< -o $@

# GoogleTest's header takes as long to read as an ordinary test behind it.
precompiled := $(BUILD)/test/precompiled.h
$(precompiled).gch:
	@mkdir -p $(@D)
	echo '#include <gtest/gtest.h>' > $(precompiled)
	$(TEST_CXX) -x c++-header $(precompiled) -o $@
$(call objects,test,$(tests_cc)): PRECOMPILED = -include $(precompiled)
$(call objects,test,$(tests_cc)): $(precompiled).gch

$(BUILD)/test/libcore.a: $(call objects,lib,$(library_cc)) $(call objects,test,$(helpers_cc))
	rm -f $@ && $(AR) rcs $@ $^

# The core's archive comes without TensorFlow; only the folders that name its
# headers link it, which keeps the others' tests small and their start quick.
tf_folders := $(sort $(shell grep -lE '^\#include "tensorflow/' cc/*/*.cc cc/*/*.h 2>/dev/null | cut -d/ -f2))
define test_program
$(BUILD)/test/$(1)/all_tests: $(call objects,test,$(filter cc/$(1)/%,$(tests_cc))) $(BUILD)/test/libcore.a
	$$(CXX) $$(TEST_OPT) $$(COVERAGE) $$(TEST_LD) -pthread -o $$@ $$(filter %.o,$$^) $(BUILD)/test/libcore.a \
	  -lgtest -lgtest_main $(if $(filter $(1),$(tf_folders)),-Wl$(comma)--no-as-needed $(TF_LIBS) -Wl$(comma)-rpath$(comma)$(TENSORFLOW)) -ldl
endef
comma := ,
$(foreach folder,$(test_folders),$(eval $(call test_program,$(folder))))

# TensorFlow keeps what it allocates at start-up, so leaks are looked for only
# in programs without it.
test: $(test_programs)
	@for folder in $(test_folders); do \
	  echo "== cc/$$folder"; \
	  case " $(tf_folders) " in *" $$folder "*) leaks=0;; *) leaks=1;; esac; \
	  ASAN_OPTIONS=detect_leaks=$$leaks UBSAN_OPTIONS=print_stacktrace=1 \
	  TF_CPP_MIN_LOG_LEVEL=3 \
	  $(BUILD)/test/$$folder/all_tests --gtest_brief=1 --gtest_filter='$(GTEST_FILTER)' || exit 1; \
	done

# ---- benchmarks: optimised, one program a file ----
benchmark_programs := $(patsubst cc/%.cc,$(BUILD)/lib/%,$(benchmarks_cc))
$(benchmark_programs): $(BUILD)/lib/%: $(BUILD)/lib/%.o $(call objects,lib,$(helpers_cc)) $(LIBRARY)
	$(CXX) -pthread -o $@ $(filter %.o,$^) $(LIBRARY) -Wl,-rpath,$(abspath $(OUT)) \
	  $(TF_LIBS) -Wl,-rpath,$(TENSORFLOW)
benchmarks: $(benchmark_programs)

-include $(wildcard $(BUILD)/*/*/*.d)
