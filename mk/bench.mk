# The benchmarks. docs/benchmarks.md says what they measure. Included by the Makefile, which has the programs' rule.

BENCH_LIB_OBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard bench/lib/*.c))
BENCH_TESTS   := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/bench/*_test.c))

# The generator and the floor share no code with a broker but lib/base.
$(BENCHES:%=$(BUILD)/%): $(BENCH_LIB_OBJ)
$(BENCHES:%=$(BUILD)/%): LINK_ARCHIVES = $(BENCH_LIB_OBJ) $(call archive,lib/base)
$(BENCHES:%=$(BUILD)/%): LIBS = -lcjson -lm

$(BENCH_TESTS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BENCH_LIB_OBJ) $(BUILD)/obj/tests/support/check.o $(call archive,lib/base)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lcunit -lcjson -lm

BENCH_ROUNDS  ?= 3
BENCH_SECONDS ?= 4

bench: $(BENCHES:%=$(BUILD)/%) $(BUILD)/escrow-broker ## throughput, latency and cost beside the machine's floor (5 minutes)
	@bench/run --build $(BUILD) --rounds $(BENCH_ROUNDS) --seconds $(BENCH_SECONDS)

bench-short: $(BENCHES:%=$(BUILD)/%) $(BUILD)/escrow-broker ## the same as a smoke test (40 seconds)
	@bench/run --build $(BUILD) --rounds 1 --seconds 1 --warmup 0.5

bench-backlog: $(BENCHES:%=$(BUILD)/%) $(BUILD)/escrow-broker ## what 20 million unread messages cost (10 minutes, 30 GB of disk)
	@bench/backlog --build $(BUILD)

.PHONY: bench bench-short bench-backlog
