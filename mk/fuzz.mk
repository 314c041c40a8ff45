# Fuzzing: libFuzzer with ASan and UBSan over every parser of foreign bytes. Included by the Makefile.
#
# Which target covers which parser is in docs/testing.md. A new target is a file in tests/fuzz/; kept inputs, a dictionary and
# libFuzzer's options are in tests/data/fuzz/<target>/, <target>.dict, <target>.flags.

FUZZ_SECONDS ?= 10
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
# Those that open a store, or serve whole conversations, at each execution.
FUZZ_STATEFUL := $(filter log_recovery snapshot_load broker_requests net_namesrv,$(FUZZERS))
FUZZ_STATELESS_RUNS ?= 100000000
FUZZ_STATEFUL_RUNS ?= 5000000
# How long one target may take of one `make fuzz-long`.
FUZZ_LONG_SECONDS ?= 3600

FUZZ_SANITIZE = -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
FUZZ_MAKE = $(MAKE) --no-print-directory BUILD=build/fuzz CC=clang OPT=-O2 SANITIZE="$(FUZZ_SANITIZE)"
# The long run does not look into each comparison: that halves its rate, and helps while there are new places to find, which
# is what the short run, whose inputs it begins with, is for.
FUZZ_LONG_MAKE = $(MAKE) --no-print-directory BUILD=build/fuzz-long CC=clang OPT=-O2 \
	SANITIZE="$(FUZZ_SANITIZE) -fno-sanitize-coverage=trace-cmp" FUZZ_FOUND=build/fuzz/fuzz/corpus

fuzz: ## every fuzz target for FUZZ_SECONDS (10), two at a time; FUZZERS="..." chooses
	+@$(FUZZ_MAKE) fuzz-run

fuzz-long: ## fuzzing until 100M executions (5M of stores) in all; stop it and go on whenever you like
	+@$(FUZZ_LONG_MAKE) fuzz-run-long

fuzz-minimise: ## the kept inputs anew from what was found so far: the fewest that reach the same
	+@$(FUZZ_MAKE) fuzz-run-minimise

$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(SUPPORT_OBJ) $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,link)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(SUPPORT_OBJ) $(LINK_ARCHIVES) -lcunit $(LIBS)

# Loops over every byte of a checksum, or of the tests' disk, tell the fuzzer nothing; to trace them takes a third of the time.
ifneq ($(findstring fuzzer-no-link,$(SANITIZE)),)
$(BUILD)/obj/lib/base/crc32c.o $(BUILD)/obj/tests/support/%.o: CFLAGS += -fno-sanitize=fuzzer-no-link
endif

fuzz-run: $(FUZZERS:%=$(BUILD)/fuzz/%)
	@tests/support/fuzz-all $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZERS)

fuzz-run-long: $(FUZZERS:%=$(BUILD)/fuzz/%)
	@FUZZ_FOUND=$(FUZZ_FOUND) tests/support/fuzz-all --until $(BUILD)/fuzz $(FUZZ_LONG_SECONDS) \
		$(foreach t,$(FUZZERS),$(t):$(if $(filter $(t),$(FUZZ_STATEFUL)),$(FUZZ_STATEFUL_RUNS),$(FUZZ_STATELESS_RUNS)))

fuzz-run-minimise: $(FUZZERS:%=$(BUILD)/fuzz/%)
	@tests/support/fuzz-minimise $(BUILD)/fuzz $(FUZZERS)

.PHONY: fuzz fuzz-long fuzz-minimise fuzz-run fuzz-run-long fuzz-run-minimise
