# EscrowMQ. `make help` lists the targets. One Makefile; variants (asan, tsan) differ only by directory and flags.
#
# Sources are found by folder: lib/<mod>/*.c, namesrv/*.c, broker/{core,handlers,projections,shell}/*.c, checkback/*.c,
# client-sdk/src/*.c, tools/*.c (one program each), bench/*.c (one program each). A file named main.c is a program's
# entry and stays out of the archives. tests/unit/<mod>/<name>_test.c is one CUnit binary each.

BUILD   ?= build
# V=1 shows the commands.
V       ?=
say      = $(if $(V),,@echo "  $(1) $@";)
ifeq ($(origin CC),default)
CC      := gcc
endif
OPT     ?= -O2
SANITIZE ?=

WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef \
           -Wformat=2 -Wwrite-strings -Wvla
# uthash's macros fall through; gcc sees that in their comments, clang does not.
WARN    += $(if $(findstring clang,$(CC)),,-Wimplicit-fallthrough)
# Instrumented code hides from gcc what bounds a printed number; clang 14 does not know the warning.
WARN    += $(if $(findstring clang,$(CC)),,$(if $(SANITIZE),-Wno-format-truncation))
HARDEN  := -fstack-protector-strong -fPIC $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
MYSQL_CFLAGS := $(shell pkg-config --cflags libmariadb 2>/dev/null)
CFLAGS  += -std=c11 -D_GNU_SOURCE $(OPT) -g $(WARN) $(HARDEN) $(SANITIZE) -I. -Iclient-sdk/include $(MYSQL_CFLAGS) -pthread
LDFLAGS += -pthread -Wl,-z,relro,-z,now $(SANITIZE)
LIBS    := -levent_extra -levent_core -levent_pthreads -lmariadb -lcjson -ldeflate -lz -llz4 -lzstd -lm

# Archives in link order: those on the left use those on their right.
LIB_DIRS := broker/shell broker/handlers broker/projections broker/core checkback namesrv client-sdk/src \
            lib/audit lib/net lib/mysql lib/index lib/log lib/txn lib/record lib/filter lib/wire lib/base
sources   = $(filter-out %/main.c,$(wildcard $(1)/*.c))
archive   = $(BUILD)/lib/lib$(subst /,-,$(1)).a
ARCHIVES := $(foreach d,$(LIB_DIRS),$(if $(call sources,$(d)),$(call archive,$(d))))
# The archives form cycles only by mistake; a group keeps the link line independent of order inside broker/.
LINK_ARCHIVES = -Wl,--start-group $(ARCHIVES) -Wl,--end-group
# The daemons and tools do not see the SDK.
SERVER_ARCHIVES := $(filter-out %/libclient-sdk-src.a,$(ARCHIVES))
LINK_SERVER = -Wl,--start-group $(SERVER_ARCHIVES) -Wl,--end-group

# The parts of a tool that has several; tools/escrow-NAME.c is its entry.
TOOL_DIRS     := tools/log
TOOL_ARCHIVES := $(foreach d,$(TOOL_DIRS),$(call archive,$(d)))

# What tests share, as an archive, so that a unit test links only what it uses.
SUPPORT_SRC := $(wildcard tests/support/*.c)
SUPPORT_OBJ := $(BUILD)/lib/libsupport.a

PROGRAMS := $(if $(wildcard namesrv/main.c),escrow-namesrv) $(if $(wildcard broker/shell/main.c),escrow-broker)
TOOLS    := $(patsubst tools/%.c,%,$(wildcard tools/escrow-*.c))
BENCHES  := $(patsubst bench/%.c,%,$(wildcard bench/*.c))
EXAMPLES := $(patsubst client-sdk/examples/%.c,%,$(wildcard client-sdk/examples/*.c))

UNIT_MODS := $(notdir $(patsubst %/,%,$(dir $(wildcard tests/unit/*/*_test.c))))
UNIT_MODS := $(sort $(UNIT_MODS))
unit_bins  = $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/$(1)/*_test.c))
UNIT_BINS := $(foreach m,$(UNIT_MODS),$(call unit_bins,$(m)))

all: programs sdk $(EXAMPLES:%=$(BUILD)/examples/%) $(BENCHES:%=$(BUILD)/%) ## build everything
programs: $(PROGRAMS:%=$(BUILD)/%) $(TOOLS:%=$(BUILD)/%) ## name server, broker, tools

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,cc  )$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

define archive_rule
$(call archive,$(1)): $(patsubst %.c,$(BUILD)/obj/%.o,$(call sources,$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,ar  )$(AR) rcs $$@ $$^
endef
$(foreach d,$(LIB_DIRS) $(TOOL_DIRS),$(if $(call sources,$(d)),$(eval $(call archive_rule,$(d)))))

$(SUPPORT_OBJ): $(SUPPORT_SRC:%.c=$(BUILD)/obj/%.o)
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,ar  )$(AR) rcs $@ $^

$(BUILD)/escrow-namesrv: $(BUILD)/obj/namesrv/main.o $(SERVER_ARCHIVES)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $< $(LINK_SERVER) $(LIBS)
$(BUILD)/escrow-broker: $(BUILD)/obj/broker/shell/main.o $(SERVER_ARCHIVES)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $< $(LINK_SERVER) $(LIBS)
$(TOOLS:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/obj/tools/%.o $(TOOL_ARCHIVES) $(SERVER_ARCHIVES)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $< $(TOOL_ARCHIVES) $(LINK_SERVER) $(LIBS)
$(BENCHES:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/obj/bench/%.o $(ARCHIVES)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $< $(LINK_ARCHIVES) $(LIBS)

-include mk/sdk.mk

# --- tests --------------------------------------------------------------------------------------------------------
$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(SUPPORT_OBJ) $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $< $(SUPPORT_OBJ) $(LINK_ARCHIVES) -lcunit $(LIBS)

# A unit test links only the archives of its own module and what lies below it.
deps_base     := lib/base
deps_wire     := lib/wire lib/base
deps_filter   := lib/filter lib/wire lib/base
deps_record   := lib/record lib/base
deps_log      := lib/log lib/base
deps_index    := lib/index lib/log lib/base
deps_txn      := lib/txn lib/base
deps_audit    := lib/audit lib/txn lib/record lib/base
deps_net      := lib/net lib/wire lib/base
deps_mysql    := lib/mysql lib/base
deps_checkback := checkback lib/txn lib/base
deps_namesrv  := namesrv lib/net lib/wire lib/base
deps_core     := broker/core checkback lib/index lib/log lib/txn lib/record lib/filter lib/wire lib/base
deps_sdk      := client-sdk/src lib/net lib/mysql lib/wire lib/base
# What a start does is the core's: the tool is held against it.
deps_logtool  := tools/log broker/core checkback lib/audit lib/index lib/log lib/txn lib/record lib/filter lib/wire lib/base
deps_projections := broker/projections lib/mysql lib/index lib/record lib/wire lib/log lib/base
existing       = $(foreach d,$(1),$(if $(call sources,$(d)),$(call archive,$(d))))

define unit_rule
$(BUILD)/tests/unit/$(1)/%: $(BUILD)/obj/tests/unit/$(1)/%.o $(SUPPORT_OBJ) $(call existing,$(if $(deps_$(1)),$(deps_$(1)),$(LIB_DIRS)))
	@mkdir -p $$(@D)
	$$(call say,link)$(CC) $(LDFLAGS) -o $$@ $$< $(SUPPORT_OBJ) -Wl,--start-group $(call existing,$(if $(deps_$(1)),$(deps_$(1)),$(LIB_DIRS))) -Wl,--end-group -lcunit $(LIBS)
unit-$(1): $(call unit_bins,$(1))
	@set -e; for t in $$^; do echo "== $$$$t"; $$$$t; done
endef
$(foreach m,$(UNIT_MODS),$(eval $(call unit_rule,$(m))))

-include mk/oplog.mk
-include mk/bench.mk
-include mk/tests.mk
-include mk/capacity.mk
-include mk/fuzz.mk
-include mk/proof.mk

unit: $(UNIT_BINS) ## unit tests (CUnit)
	@tests/support/run-all $(UNIT_BINS)

compile_commands.json: ## for editors and clang-tidy
	@tests/support/compile-commands "$(CFLAGS)" $(wildcard $(addsuffix /*.c,$(LIB_DIRS) $(TOOL_DIRS) tools bench client-sdk/examples namesrv broker/shell)) > $@

help: ## this list
	@grep -hE '^[a-z_-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

clean: ## remove build/
	rm -rf build

.PHONY: all programs sdk unit help clean $(UNIT_MODS:%=unit-%)
.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
