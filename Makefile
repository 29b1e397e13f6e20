# grpo: build, test, check. `make help` lists the targets.
#
# Objects live in build/<config>/, so configurations never mix. Every .c under src/ is compiled; a file
# whose name ends in an instruction set (…_avx2.c) gets that set's flags and nothing else does, so the
# binary starts on any x86-64 and chooses at run time.

CONFIG ?= release
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD := build/$(CONFIG)

PACKAGES := jansson yaml-0.1 libpcre2-8 libutf8proc libcrypto
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)

WARNINGS := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
            -Wconversion -Wno-sign-conversion
CFLAGS_COMMON := -std=c17 -D_GNU_SOURCE -Isrc -ffp-contract=off -fno-math-errno -fopenmp \
                 -fno-strict-aliasing -g $(WARNINGS) $(PKG_CFLAGS)
LDLIBS := $(PKG_LIBS) -lm

CFLAGS_release := -O3
CFLAGS_debug := -O0
CFLAGS_asan := -O1 -fsanitize=address -fno-omit-frame-pointer
CFLAGS_ubsan := -O1 -fsanitize=undefined -fno-sanitize-recover=undefined
CFLAGS_tsan := -O1 -fsanitize=thread
CFLAGS_hostile := -O1 -DGRPO_HOSTILE -fsanitize=address,undefined -fno-omit-frame-pointer
ifeq ($(filter $(CONFIG),release debug asan ubsan tsan hostile),)
$(error CONFIG=$(CONFIG) is not one of release debug asan ubsan tsan hostile)
endif
CFLAGS_CONFIG := $(CFLAGS_$(CONFIG))
ifdef WERROR
CFLAGS_CONFIG += -Werror
endif
ALL_CFLAGS = $(CFLAGS_COMMON) $(CFLAGS_CONFIG) $(CFLAGS)

ISA_avx2 := -mavx2 -mfma -mf16c
ISA_avx512 := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c
ISA_avx512bf16 := $(ISA_avx512) -mavx512bf16
ISA_amx := $(ISA_avx512bf16) -mamx-tile -mamx-bf16
isa_flags = $(foreach isa,avx2 avx512 avx512bf16 amx,$(if $(filter %_$(isa).c,$(1)),$(ISA_$(isa))))

SOURCES := $(sort $(shell find src -name '*.c'))
LIB_SOURCES := $(filter-out src/cli/main.c,$(SOURCES))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
LIB := $(BUILD)/libgrpo.a
BIN := $(BUILD)/grpo

TEST_SOURCES := $(sort $(shell find tests -name 'test_*.c' 2>/dev/null))
TEST_BINS := $(TEST_SOURCES:%.c=$(BUILD)/%)
TEST_SUPPORT := $(sort $(wildcard tests/support/*.c))
TEST_SUPPORT_OBJECTS := $(TEST_SUPPORT:%.c=$(BUILD)/%.o)

.PHONY: all lib test test-bins demo lint format fuzz bench install clean help
all: $(BIN)
lib: $(LIB)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(call isa_flags,$<) -MMD -MP -c -o $@ $<

$(LIB): $(LIB_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$(BIN): $(BUILD)/src/cli/main.o $(LIB)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LDLIBS)

# Tests: one program a file, over cmocka; tests/run adds up their counts.
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(TEST_SUPPORT_OBJECTS) $(LIB)
	$(CC) $(ALL_CFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LDLIBS) -lcmocka
$(BUILD)/tests/cli/test_cli: | $(BIN) # it runs the program
test-bins: $(TEST_BINS)

# The checks of the matrix kernels serve two test programs; the second runs the kernels of every
# instruction set, compiled once more over emulated intrinsics. (Optimised always: -O0 takes minutes.)
EMULATED := $(foreach isa,avx2 avx512 avx512bf16 amx,$(BUILD)/emulated/gemm_$(isa).o)
$(BUILD)/emulated/%.o: src/backend/cpu/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -O2 -Wno-psabi -DGRPO_EMULATE_ISA -Itests/backend -MMD -MP -c -o $@ $<
$(BUILD)/tests/backend/test_gemm: $(BUILD)/tests/backend/gemm_checks.o
$(BUILD)/tests/backend/test_gemm_emulated: $(BUILD)/tests/backend/gemm_checks.o $(EMULATED)
-include $(EMULATED:.o=.d)

# Measurements: one program a file.
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(LIB)
	$(CC) $(ALL_CFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LDLIBS)

-include $(LIB_OBJECTS:.o=.d) $(TEST_SUPPORT_OBJECTS:.o=.d) $(TEST_BINS:%=%.d) \
         $(BUILD)/src/cli/main.d
.SECONDARY:

clean:
	rm -rf build
