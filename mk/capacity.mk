# Memory for each thing that a broker holds, and the time of a start. Included by the Makefile.

CAPACITY_BIN := $(BUILD)/tests/capacity/capacity

$(CAPACITY_BIN): $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/capacity/*.c)) $(SUPPORT_OBJ) $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(SUPPORT_OBJ) $(LINK_ARCHIVES) -lcunit $(LIBS)

capacity: $(CAPACITY_BIN) $(BUILD)/escrow-broker ## bytes of memory for each thing held, and start-up times; CAPACITY=full
	@tests/capacity/run $(BUILD) $(if $(filter full,$(CAPACITY)),--full)

.PHONY: capacity
