# grpo: build, test, check. `make help` lists the targets.
#
# Objects live in build/<config>/, so configurations never mix. Every .c under src/ is compiled; a file
# whose name ends in an instruction set (…_avx2.c) gets that set's flags and nothing else does, so the
# binary starts on any x86-64 and chooses at run time.

# (clang's objects in build/<config>-clang/, those for another machine in build/<config>-<machine>/.)
#
# Variables, all optional:
#   CONFIG=release   or debug, asan, ubsan, tsan, hostile (guard bytes, both sanitizers)
#   CC=clang         the other compiler (sh tools/deps.sh --dev)
#   CROSS=aarch64    for that machine, tests under qemu-user (first: sh tools/deps.sh --cross)
#   -j1              one job at a time (default: as many as there are cores)
#   V=1              print whole command lines
#   WERROR=1         warnings are errors (CI)
#   STRICT=1         test: a skip that tests/expected_skips.txt does not expect is a failure (CI)
#   TESTS=train      test: only tests/train/…; several, and names of programs, are fine
#   WITHOUT=backend  test: all but these
#   JOBS=2           test: programs at a time
#   SWEEP=7          test: loops over every number of rows or place of a cut take every 7th (default 1)
#   FUZZ_SECONDS=60  fuzz: time for each target;  FUZZ=yaml: only tests/fuzz/fuzz_yaml.c
#   BENCH_SHAPES=builtin  bench: the shape of `grpo bench` (default: all, some 20 minutes)
#   PREFIX, DESTDIR  install

# All cores, unless make was told a number of jobs itself.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

CONFIG ?= release
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD := build/$(CONFIG)$(if $(filter-out fuzz,$(CONFIG)),$(if $(findstring clang,$(CC)),-clang))

# Another 64-bit machine, from Debian's packages for it: plain C kernels, tests run by qemu-user.
PKG_CONFIG := pkg-config
ifdef CROSS
CC := $(CROSS)-linux-gnu-gcc
BUILD := $(BUILD)-$(CROSS)
PKG_CONFIG := PKG_CONFIG_LIBDIR=/usr/lib/$(CROSS)-linux-gnu/pkgconfig:/usr/share/pkgconfig pkg-config
EMULATOR := qemu-$(CROSS)
endif

PACKAGES := jansson yaml-0.1 libpcre2-8 libutf8proc libcrypto sqlite3
# Goals that compile nothing do without the packages; for the others, say at once what is missing.
ifneq ($(filter-out help clean format lint-layers lint-format,$(or $(MAKECMDGOALS),all)),)
ifneq ($(shell $(PKG_CONFIG) --exists $(PACKAGES) 2>/dev/null && echo yes),yes)
$(error the libraries grpo is built with are not all here ($(PACKAGES)): run `sh tools/deps.sh`)
endif
endif
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null)

WARNINGS := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
            -Wconversion -Wno-sign-conversion
CFLAGS_COMMON := -std=c17 -D_GNU_SOURCE -Isrc -Iinclude -ffp-contract=off -fno-math-errno -pthread \
                 -fno-strict-aliasing -g $(WARNINGS) $(PKG_CFLAGS)
LDLIBS := $(PKG_LIBS) -lm -ldl

CFLAGS_release := -O3
CFLAGS_debug := -O0
CFLAGS_asan := -O1 -fsanitize=address -fno-omit-frame-pointer
CFLAGS_ubsan := -O1 -fsanitize=undefined -fno-sanitize-recover=undefined
CFLAGS_tsan := -O1 -fsanitize=thread
CFLAGS_hostile := -O1 -DGRPO_HOSTILE -fsanitize=address,undefined -fno-omit-frame-pointer \
                  -fno-sanitize-recover=undefined
# The fuzz targets' own (make fuzz): clang alone has the fuzzer.
CFLAGS_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer \
               -fno-sanitize-recover=undefined
ifeq ($(filter $(CONFIG),release debug asan ubsan tsan hostile fuzz),)
$(error CONFIG=$(CONFIG) is not one of release debug asan ubsan tsan hostile)
endif
CFLAGS_CONFIG := $(CFLAGS_$(CONFIG))
ifdef WERROR
CFLAGS_CONFIG += -Werror
endif
ALL_CFLAGS = $(CFLAGS_COMMON) $(CFLAGS_CONFIG) $(CFLAGS)

comma := ,

# One short line for each file made, unless V=1.
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@ &&)

ISA_avx2 := -mavx2 -mfma -mf16c
ISA_avx512 := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c
ISA_avx512bf16 := $(ISA_avx512) -mavx512bf16
ISA_amx := $(ISA_avx512bf16) -mamx-tile -mamx-bf16
isa_flags = $(foreach isa,avx2 avx512 avx512bf16 amx,$(if $(filter %_$(isa).c,$(1)),$(ISA_$(isa))))

SOURCES := $(sort $(shell find src -name '*.c'))
X86_64 := $(findstring x86_64,$(shell $(CC) -dumpmachine))
ifeq ($(X86_64),)
SOURCES := $(filter-out %_avx2.c %_avx512.c %_avx512bf16.c %_amx.c,$(SOURCES))
endif
LIB_SOURCES := $(filter-out src/cli/main.c,$(SOURCES))
# The fuzz targets' library is the rooms with parsers, and what those need (a link that fails says so):
# clang's sanitizers take a minute for each file of kernels.
FUZZ_ROOMS := base data episode eval formats recipe reward tokenizer
ifeq ($(CONFIG),fuzz)
LIB_SOURCES := $(filter $(FUZZ_ROOMS:%=src/%/%),$(LIB_SOURCES))
endif
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/generated/reward_fixtures.o
LIB := $(BUILD)/libgrpo.a
BIN := $(BUILD)/grpo

TESTS ?=
WITHOUT ?=
SWEEP ?= 1
TEST_SOURCES := $(sort $(shell find tests -name 'test_*.c' 2>/dev/null))
TEST_SOURCES := $(if $(TESTS),$(filter $(TESTS:%=tests/%%),$(TEST_SOURCES)),$(TEST_SOURCES))
TEST_SOURCES := $(filter-out $(WITHOUT:%=tests/%%),$(TEST_SOURCES))
TEST_BINS := $(TEST_SOURCES:%.c=$(BUILD)/%)
TEST_SUPPORT := $(sort $(wildcard tests/support/*.c))
TEST_SUPPORT_OBJECTS := $(TEST_SUPPORT:%.c=$(BUILD)/%.o)

.PHONY: all lib test test-bins demo lint lint-layers lint-format lint-tidy lint-cppcheck format fuzz \
        fuzz-bins bench bench-bins install clean help
all: $(BIN)            ## the program, build/<config>/grpo (default)
lib: $(LIB)            ## only the library that program and tests are linked from

# Tests check results, they need not be fast: half the time of building them is the optimizer's.
$(BUILD)/tests/%.o: private CFLAGS_CONFIG := $(patsubst -O3,-O1,$(CFLAGS_CONFIG))
$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(ALL_CFLAGS) $(call isa_flags,$<) -MMD -MP -c -o $@ $<

# The fixtures of the rewards, in the program. The folder itself changes when a file comes or goes.
FIXTURES := tests/reward/fixtures
$(BUILD)/generated/reward_fixtures.c: tools/embed_fixtures.sh $(FIXTURES) $(wildcard $(FIXTURES)/*.jsonl)
	@mkdir -p $(@D)
	$(call say,EMBED) sh tools/embed_fixtures.sh $(FIXTURES) >$@.new && mv $@.new $@
$(BUILD)/generated/%.o: $(BUILD)/generated/%.c Makefile
	$(call say,CC) $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(LIB_OBJECTS)
	@rm -f $@
	$(call say,AR) ar rcs $@ $^

$(BIN): $(BUILD)/src/cli/main.o $(LIB)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) -o $@ $^ $(LDLIBS)

# Tests: one program a file, over cmocka; tests/run adds up their counts. Some drive the program.
JOBS ?= $(shell nproc)
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(TEST_SUPPORT_OBJECTS) $(LIB)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(LINK_FLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LDLIBS) -lcmocka
$(filter $(BUILD)/tests/cli/%,$(TEST_BINS)): | $(BIN) # they run the program
test-bins: $(TEST_BINS)
test: $(BIN) test-bins ## build and run all tests; ends with "N passed, N failed, N skipped"
	@GRPO_BIN=$(BIN) GRPO_EMULATOR=$(EMULATOR) GRPO_SWEEP=$(SWEEP) tests/run -j $(JOBS) $(if $(STRICT),-s) $(TEST_BINS)

# The checks of the matrix kernels, and those of attention, which works on them, serve several test
# programs; test_…_emulated run the kernels of every instruction set, compiled once more over emulated
# intrinsics. (Optimised always: -O0 takes minutes.)
EMULATED := $(foreach isa,avx2 avx512 avx512bf16 amx,$(BUILD)/emulated/gemm_$(isa).o)
$(BUILD)/emulated/%.o: src/backend/cpu/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(ALL_CFLAGS) -O2 -Wno-psabi -DGRPO_EMULATE_ISA -Itests/backend -MMD -MP -c -o $@ $<
$(BUILD)/emulated/%.o: src/bench/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(ALL_CFLAGS) -O2 -Wno-psabi -DGRPO_EMULATE_ISA -Itests/backend -MMD -MP -c -o $@ $<
$(BUILD)/tests/bench/test_probe: $(BUILD)/emulated/probe_amx.o
$(BUILD)/tests/backend/test_gemm: $(BUILD)/tests/backend/gemm_checks.o
$(BUILD)/tests/backend/test_gemm_emulated: $(BUILD)/tests/backend/gemm_checks.o $(EMULATED)
$(addprefix $(BUILD)/tests/backend/,test_ops test_ops_backward test_row_rule_attention \
    test_attention_emulated): $(BUILD)/tests/backend/attention_checks.o
$(BUILD)/tests/backend/test_attention_emulated: $(EMULATED)
-include $(EMULATED:.o=.d) $(BUILD)/emulated/probe_amx.d $(BUILD)/tests/backend/attention_checks.d

# Planted faults: programs in which the functions of tests/faults/wrapped are those of faults.c. Test
# programs that must turn red are linked a second time with them.
FAULT_WRAPS := $(patsubst %,-Wl$(comma)--wrap=%,$(shell cat tests/faults/wrapped))
FAULTED := $(addprefix $(BUILD)/faulted/tests/,model/test_gradient train/test_bad_input \
             train/test_external train/test_learning train/test_resume train/test_trl_replay)
FAULT_OBJECT := $(BUILD)/tests/faults/faults.o
$(BUILD)/tests/faults/% $(BUILD)/faulted/tests/%: private LINK_FLAGS = $(FAULT_WRAPS)
$(filter $(BUILD)/tests/faults/%,$(TEST_BINS)): $(FAULT_OBJECT) | $(BIN)
$(BUILD)/tests/faults/test_suite: | $(FAULTED)
$(FAULTED): $(BUILD)/faulted/%: $(BUILD)/%.o $(FAULT_OBJECT) $(TEST_SUPPORT_OBJECTS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(LINK_FLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LDLIBS) -lcmocka
-include $(FAULT_OBJECT:.o=.d)

# test_allocations stands at the doors between the rooms, to know whose an allocation is.
ALLOCATION_DOORS := episode_encode episode_run gradient_compute grpo_step optimizer_step \
                    pretrain_eval_loss pretrain_step rollout_run rollout_score selfcheck_gradient \
                    selfcheck_sampler selfcheck_update
$(BUILD)/tests/train/test_allocations: private LINK_FLAGS = \
    $(ALLOCATION_DOORS:%=-Wl$(comma)--wrap=%)

# Shared objects for the tests of the reward `library`: the example, and odd ones from one source.
# Without the sanitizers of CONFIG: they are a user's.
LIBRARIES := $(BUILD)/tests/reward/libraries
ODD_LIBRARIES := plain row no_symbol null abi flags no_evaluate no_components many no_name twice \
                 weight create_fails
SO_FLAGS := -std=c17 -O2 -shared -fPIC -Iinclude $(WARNINGS)
$(LIBRARIES)/example.so: examples/rewards/c/reward.c include/grpo_reward.h
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(SO_FLAGS) -o $@ $<
$(LIBRARIES)/random.so: examples/rewards/c/random.c include/grpo_reward.h
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(SO_FLAGS) -o $@ $<
$(LIBRARIES)/%.so: tests/reward/libraries/odd.c include/grpo_reward.h
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(SO_FLAGS) -DCASE_$(shell echo $* | tr a-z A-Z) -o $@ $<
$(BUILD)/tests/reward/test_library: | $(LIBRARIES)/example.so $(LIBRARIES)/random.so \
                                    $(ODD_LIBRARIES:%=$(LIBRARIES)/%.so)

# Fuzzing: one target a file, tests/fuzz/fuzz_NAME.c, its seeds in tests/fuzz/seeds/NAME/.
FUZZ_SECONDS ?= 60
FUZZ ?=
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BINS := $(FUZZ_SOURCES:%.c=build/fuzz/%)
fuzz:                  ## fuzz every parser for FUZZ_SECONDS each (FUZZ=name: only that one)
	@$(call need,clang)
	@$(MAKE) --no-print-directory CC=clang CONFIG=fuzz fuzz-bins
	@tests/fuzz/run $(FUZZ_SECONDS) $(if $(FUZZ),build/fuzz/tests/fuzz/fuzz_$(FUZZ),$(FUZZ_BINS))
ifeq ($(CONFIG),fuzz)
fuzz-bins: $(if $(FUZZ),build/fuzz/tests/fuzz/fuzz_$(FUZZ),$(FUZZ_BINS))
$(FUZZ_BINS): %: %.o $(LIB)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(LIB) $(LDLIBS)
-include $(FUZZ_BINS:%=%.d)
endif

# Measurements: one program a file. bench/limits/ asks what the machine can do, bench/ what single parts
# reach, `grpo bench` everything a step consists of. oneDNN is a yardstick, built where it is installed.
HAS_DNNL := $(shell echo '\#include <dnnl.h>' | $(CC) -E -x c - >/dev/null 2>&1 && echo yes)
LIMIT_SOURCES := $(sort $(wildcard bench/limits/*.c))
LIMIT_SOURCES := $(if $(HAS_DNNL),$(LIMIT_SOURCES),$(filter-out %/onednn_rate.c,$(LIMIT_SOURCES)))
BENCH_SOURCES := $(LIMIT_SOURCES) $(sort $(wildcard bench/bench_*.c))
BENCH_BINS := $(BENCH_SOURCES:%.c=$(BUILD)/%)
BENCH_SHAPES := all
$(BUILD)/bench/limits/onednn_rate: private LDLIBS += -ldnnl -lgomp
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(LIB)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LDLIBS)
bench-bins: $(BENCH_BINS)
bench: $(BENCH_BINS) $(BIN) ## measure this machine: its limits, single parts, and every part of a step
	@for program in $(BENCH_BINS); do echo "== $$program"; $$program || exit 1; done
	@$(if $(HAS_DNNL),,echo "== oneDNN's rate: left out, dnnl.h is not here (sh tools/deps.sh --bench)")
	@echo "== $(BIN) bench"; $(BIN) bench --shape $(BENCH_SHAPES)

# The study of docs/STUDY.md: its counting, and the reward that knows nothing.
STUDY_BINS := $(BUILD)/bench/study $(LIBRARIES)/random.so
study: $(BIN) $(STUDY_BINS) ## A/A, random reward and power on the built-in model (hours; docs/STUDY.md)
	@GRPO_BIN=$(BIN) sh tools/study.sh

demo: $(BIN)           ## the whole protocol on the built-in model: three seeds, audit, report
	@sh tools/demo.sh $(BIN)

-include $(LIB_OBJECTS:.o=.d) $(TEST_SUPPORT_OBJECTS:.o=.d) $(TEST_BINS:%=%.d) $(BENCH_BINS:%=%.d) \
         $(BUILD)/bench/study.d $(BUILD)/src/cli/main.d
.SECONDARY:

# What the text of the sources alone can say. Each check is quiet when it has nothing to say; a tool
# that is not here is an error, not a pass.
need = command -v $(1) >/dev/null || { echo "$(1) is not here: run \`sh tools/deps.sh --dev\`" >&2; exit 1; }
TIDY_SOURCES := $(SOURCES) $(BENCH_SOURCES) bench/study.c $(FUZZ_SOURCES)
TIDY_STAMPS := $(TIDY_SOURCES:%.c=build/lint/%.tidy)
FORMATTED := $(sort $(shell find src tests bench include examples -name '*.[ch]'))
lint: lint-layers lint-format lint-cppcheck lint-tidy ## rooms and sizes, clang-format, cppcheck, clang-tidy
	@echo "lint: nothing to say"
lint-layers:
	@tools/check_layers
lint-format:
	@$(call need,clang-format)
	@clang-format --dry-run -Werror $(FORMATTED) || { echo "run \`make format\` (clang-format 14" \
		"decides; here: $$(clang-format --version))" >&2; exit 1; }
lint-cppcheck:
	@$(call need,cppcheck)
	@mkdir -p build/lint
	@cppcheck --quiet --std=c11 --enable=warning,portability --error-exitcode=1 --inline-suppr \
		--suppressions-list=tools/cppcheck.txt --cppcheck-build-dir=build/lint -j 2 -Isrc src bench
lint-tidy: $(TIDY_STAMPS)
build/lint/%.tidy: %.c .clang-tidy src/backend/.clang-tidy tools/lint.h $(sort $(shell find src -name '*.h'))
	@$(call need,clang-tidy)
	@mkdir -p $(@D)
	@clang-tidy --quiet --warnings-as-errors='*' $< -- $(if $(filter src/base/err.c,$<),,-include tools/lint.h) $(CFLAGS_COMMON) \
		$(call isa_flags,$<) 2>$@.log || { grep -v 'warnings\? generated' $@.log >&2; exit 1; }
	@touch $@
format:                ## let clang-format rewrite the sources
	@$(call need,clang-format)
	clang-format -i $(FORMATTED)

PREFIX ?= /usr/local
install: $(BIN)        ## copy the program, and the header for rewards, to $(DESTDIR)$(PREFIX)
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/grpo
	install -D -m 644 include/grpo_reward.h $(DESTDIR)$(PREFIX)/include/grpo_reward.h
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/grpo/LICENSE

clean:                 ## remove build/
	rm -rf build

help:                  ## this list
	@awk -F ' *## ' '/^[a-z-]+:.*## / { sub(/:.*/, "", $$1); printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@awk '/^# Variables/ { on = 1; print ""; print "Variables, all optional:"; next } \
	      on && !/^#  / { exit } on { sub(/^# /, ""); print }' Makefile
