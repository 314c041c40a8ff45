# Tests above the unit level, and the checkers. Included by the Makefile.

INTEGRATION_BINS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/integration/*_test.c))
# The stock broker's suite is about the SDK's manners, not its memory: once is enough.
INTEGRATION_SCRIPTS := $(filter-out $(if $(SANITIZE),%/sdk_stock_test.sh),$(wildcard tests/integration/*_test.sh))
SIM := $(BUILD)/tests/sim/sim
SIM_SRC := $(wildcard tests/sim/*.c)
SIM_SEEDS ?= $(or $(SEEDS),200)
SIM_JOBS ?= 2

# The simulator, and the whole broker over the simulator's loop, network and disk.
BROKER_TEST := $(BUILD)/tests/unit/shell/broker_test
$(SIM): $(SIM_SRC:%.c=$(BUILD)/obj/%.o)
$(BROKER_TEST): $(patsubst %.c,$(BUILD)/obj/%.o,tests/unit/shell/broker_test.c $(filter-out %/sim.c,$(SIM_SRC)))
$(SIM) $(BROKER_TEST): $(SUPPORT_OBJ) $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(SUPPORT_OBJ) $(LINK_ARCHIVES) -lcunit $(LIBS)

sim: $(SIM) ## the simulator: a whole cluster on virtual time; SEEDS=n, SEED=first, SIM_JOBS=processes
	@tests/support/proof-run sim 's/^([0-9]+) passed, ([0-9]+) failed/first=$(if $(SEED),$(SEED),1) seeds=\1 violations=\2/p' \
		$(SIM) --seeds $(SIM_SEEDS) --jobs $(SIM_JOBS) $(if $(SEED),--seed $(SEED))

model: ## the transaction model, exhaustively, and that its sabotages are found (needs spin); MODEL=--full
	@tests/support/proof-run model 's/^([0-9]+) states explored/states=\1/p; s/^([0-9]+) passed, ([0-9]+) failed/properties=\1 errors=\2/p' \
		tests/model/run $(MODEL)

# Disk proofs: one program each over what tests/crash/ and tests/support/ share.
CRASH_PARTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/crash/ledger*.c tests/crash/workload*.c tests/crash/script.c tests/crash/flip_*.c tests/crash/fixed_key.c))
CRASH_BINS := $(patsubst %,$(BUILD)/tests/crash/%,crash flips faults)

$(CRASH_BINS): $(BUILD)/tests/crash/%: $(BUILD)/obj/tests/crash/%.o $(CRASH_PARTS) $(SUPPORT_OBJ) $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(SUPPORT_OBJ) $(LINK_ARCHIVES) -lcunit $(LIBS)

$(CRASH_BINS): LDFLAGS += -Wl,--wrap=hash_key_random
# Every allocation of the program can be made to fail.
$(BUILD)/tests/crash/faults: $(BUILD)/obj/tests/crash/alloc_faults.o
$(BUILD)/tests/crash/faults: LDFLAGS += $(foreach f,malloc calloc realloc free strdup mmap memfd_create,-Wl,--wrap=$(f))

crash: $(BUILD)/tests/crash/crash ## every disk that a power cut may leave goes through recovery; CRASH_STATES=n distinct ones
	@tests/support/proof-run crash 's/^crash: ([0-9]+) traces .*, ([0-9]+) distinct, ([0-9]+) recovered, ([0-9]+) of.*/traces=\1 states=\2 recoveries=\3/p; s/^[0-9]+ passed, ([0-9]+) failed/violations=\1/p' \
		$< $(if $(CRASH_STATES),--states $(CRASH_STATES) --limit 300,--states 25000 --limit 40)

flips: $(BUILD)/tests/crash/flips ## every bit and byte of a log with every record kind; FULL=1 also around every edge
	@tests/support/proof-run flips 's/^flips: ([0-9]+) changes in all.*/flips=\1/p; s/^[0-9]+ passed, ([0-9]+) failed/undetected=\1/p' \
		$< $(if $(FULL),--full)

faults: $(BUILD)/tests/crash/faults ## the k-th write, sync, read, open, allocation fails, for every k
	@tests/support/proof-run faults 's/^faults: ([0-9]+) places in all.*/faults=\1/p; s/^[0-9]+ passed, ([0-9]+) failed/violations=\1/p' $<

# A library of its own, which a test puts in front of a broker's C library. Never sanitized: it has no runtime of its own.
DISKSHIM := $(BUILD)/tests/shim/diskshim.so
$(DISKSHIM): tests/shim/diskshim.c tests/support/diskshim.h
	@mkdir -p $(@D)
	$(call say,link)$(CC) -std=c11 -D_GNU_SOURCE -O2 -g $(WARN) -I. -fPIC -shared -o $@ $<
$(addprefix $(BUILD)/tests/integration/,disk_faults_test broker_mysql_test): $(DISKSHIM)

integration: all $(INTEGRATION_BINS) ## real binaries: kill -9, restart, MySQL away
	@ESCROW_BUILD=$(BUILD) tests/support/run-all $(INTEGRATION_BINS) $(INTEGRATION_SCRIPTS)

# The other target is rocketmq, a stock 5.4.0: are the tests right?
TARGET ?= escrow
interop: all ## unmodified RocketMQ clients and servers (needs java, maven, go, node, python); TARGET=rocketmq asks a stock one
	@tests/interop/run --build $(BUILD) --target $(TARGET)
	@$(if $(filter escrow,$(TARGET)),tests/interop/cross --build $(BUILD),true)

test: all ## every test
	@tests/support/test-all $(BUILD)

# Sanitizer variants: own build directories, the same tests.
asan: ## unit tests, simulator and integration under AddressSanitizer + UBSan
	@$(MAKE) --no-print-directory BUILD=build/asan OPT=-O1 \
		SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" \
		SIM_SEEDS=20 unit sim integration

tsan: ## unit tests, simulator and integration under ThreadSanitizer
	@$(MAKE) --no-print-directory BUILD=build/tsan OPT=-O1 \
		SANITIZE="-fsanitize=thread -fno-omit-frame-pointer" SIM_SEEDS=4 unit sim integration

lint: compile_commands.json ## clang-tidy and clang-format in check mode
	@tests/support/lint

deps: ## installs the Debian packages (sudo if needed)
	sh tools/install-deps all

PREFIX ?= /usr/local
install: all install-sdk ## programs, SDK and sample configuration under PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/escrowmq
	install -m 755 $(PROGRAMS:%=$(BUILD)/%) $(TOOLS:%=$(BUILD)/%) $(DESTDIR)$(PREFIX)/bin
	install -m 644 conf/*.conf $(DESTDIR)$(PREFIX)/share/escrowmq

# The sample files are what the programs print of their own tables.
conf: programs ## regenerates conf/*.conf from the option tables
	$(BUILD)/escrow-broker -p > conf/broker.conf
	$(BUILD)/escrow-namesrv -p > conf/namesrv.conf

.PHONY: crash flips faults sim model integration interop test asan tsan lint deps install conf
