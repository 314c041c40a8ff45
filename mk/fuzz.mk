# Fuzzing: libFuzzer with ASan+UBSan, a few seconds each unless FUZZ_SECONDS says more.
FUZZ_SECONDS ?= 10
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))

fuzz: ## every fuzz target for FUZZ_SECONDS (10)
	@$(MAKE) --no-print-directory BUILD=build/fuzz CC=clang OPT=-O1 \
		SANITIZE="-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all" fuzz-run

# Parsers of foreign bytes live in the libraries and in the name server, which keeps what strangers register;
# snapshots are loaded by the broker's core.
FUZZ_ARCHIVES := $(call existing,namesrv broker/core checkback lib/net lib/index lib/log lib/txn lib/record lib/wire lib/base)

$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(SUPPORT_OBJ) $(FUZZ_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,link)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(SUPPORT_OBJ) -Wl,--start-group $(FUZZ_ARCHIVES) -Wl,--end-group -lcunit $(LIBS)

# Loops over every byte of a checksum, or of the tests' disk, tell the fuzzer nothing; to trace them takes a third of the time.
ifneq ($(findstring fuzzer-no-link,$(SANITIZE)),)
$(BUILD)/obj/lib/base/crc32c.o $(BUILD)/obj/tests/support/%.o: CFLAGS += -fno-sanitize=fuzzer-no-link
endif

fuzz-run: $(FUZZERS:%=$(BUILD)/fuzz/%)
	@tests/support/fuzz-all $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZERS)

.PHONY: fuzz fuzz-run
