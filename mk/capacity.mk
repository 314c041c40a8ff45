# Memory for each thing that a broker holds, and the time of a start. Included by the Makefile.

CAPACITY_BIN := $(BUILD)/tests/capacity/capacity

$(CAPACITY_BIN): $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/capacity/*.c)) $(SUPPORT_OBJ) $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(SUPPORT_OBJ) $(LINK_ARCHIVES) -lcunit $(LIBS)

# What docs/proof.md takes from its output: memory, then of each store the start's time and memory, with and without snapshots.
define CAPACITY_FACTS
s/^  open transaction +([0-9.]+).*/open_transaction_bytes=\1/p
s/^  queued message +([0-9.]+).*/queued_message_bytes=\1/p
s/^  (topic|queue|consumer offset row) +([0-9]+) .*/\1_bytes=\2/;s/^consumer offset row_/offset_row_/;/^(topic|queue|offset_row)_bytes=/p
s/^  the longest slice of a snapshot of them ([0-9.]+) ms/longest_snapshot_slice_ms=\1/p
s/^  empty +([0-9.]+) .*/empty_start_ms=\1/p
/^  [0-9.]+M queued, /h
s/^  ([0-9.]+M) queued, ([0-9.]+M) open +([0-9.]+) +([0-9.]+) +([0-9.]+) +([0-9.]+).*/with_\1_queued_\2_open_start_ms=\3 with_\1_queued_\2_open_peak_mib=\5 with_\1_queued_\2_open_replay_ms=\6/p
/^    a snapshot of that /G
s/^    a snapshot of that .* the longest of [0-9]+ answers meanwhile: ([0-9.]+) ms[^\n]*\n  ([0-9.]+M) queued, ([0-9.]+M) open.*/with_\2_queued_\3_open_longest_answer_beside_its_snapshot_ms=\1/p
endef
export CAPACITY_FACTS

capacity: $(CAPACITY_BIN) $(BUILD)/escrow-broker ## bytes of memory for each thing held, and start-up times; CAPACITY=full
	@tests/support/proof-run capacity "$$CAPACITY_FACTS" tests/capacity/run $(BUILD) $(if $(filter full,$(CAPACITY)),--full)

.PHONY: capacity
