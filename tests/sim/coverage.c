#include "tests/sim/coverage.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/txn/txn_state.h"

/* The steps that lib/txn's table lets a decision take. */
static bool is_transition(unsigned from, unsigned to)
{
	for (unsigned event = TXN_COMMIT; event <= TXN_RESUME; event++) {
		enum txn_state next;

		if (txn_decide((enum txn_state)from, (enum txn_event)event, TXN_OPERATOR, &next) == TXN_APPLY && next == to)
			return true;
	}
	return false;
}

void coverage_add(struct report *total, const struct report *one)
{
	for (int i = 0; i < SIM_FAULT_COUNT; i++)
		total->fault_count[i] += one->fault_count[i];
	for (int i = 0; i < SIM_EVENT_COUNT; i++)
		total->event_count[i] += one->event_count[i];
	for (int i = 0; i < LOG_KIND_END; i++)
		total->kind_count[i] += one->kind_count[i];
	for (int i = 0; i < REPORT_STATES; i++) {
		for (int j = 0; j < REPORT_STATES; j++)
			total->transition_count[i][j] += one->transition_count[i][j];
	}
	total->step_count += one->step_count;
	total->operation_count += one->operation_count;
	total->crash_count += one->crash_count;
	total->virtual_ms += one->virtual_ms;
}

int coverage_missing(const struct report *total)
{
	int missing = 0;

	for (int i = 0; i < SIM_FAULT_COUNT; i++) {
		if (total->fault_count[i] == 0)
			missing += printf("sim: never happened: %s\n", sim_fault_text((enum sim_fault)i)) > 0;
	}
	for (int i = 0; i < SIM_EVENT_COUNT; i++) {
		if (total->event_count[i] == 0)
			missing += printf("sim: never seen: %s\n", sim_event_text((enum sim_event)i)) > 0;
	}
	for (unsigned i = LOG_PAD; i < LOG_KIND_END; i++) {
		if (total->kind_count[i] == 0)
			missing += printf("sim: no %s record in the whole run\n", log_kind_text(i)) > 0;
	}
	for (unsigned i = TXN_PREPARED; i < REPORT_STATES; i++) {
		for (unsigned j = TXN_PREPARED; j < REPORT_STATES; j++) {
			if (is_transition(i, j) && total->transition_count[i][j] == 0)
				missing += printf("sim: never went from %s to %s\n", txn_state_text((enum txn_state)i),
						  txn_state_text((enum txn_state)j)) > 0;
		}
	}
	return missing;
}

void coverage_print(const struct report *total)
{
	printf("steps %" PRIu64 ", operations %" PRIu64 ", crashes %" PRIu64 ", virtual time %" PRId64 " s\n", total->step_count,
	       total->operation_count, total->crash_count, total->virtual_ms / 1000);
	for (int i = 0; i < SIM_FAULT_COUNT; i++)
		printf("%12" PRIu64 "  %s\n", total->fault_count[i], sim_fault_text((enum sim_fault)i));
	for (int i = 0; i < SIM_EVENT_COUNT; i++)
		printf("%12" PRIu64 "  %s\n", total->event_count[i], sim_event_text((enum sim_event)i));
	for (unsigned i = LOG_PAD; i < LOG_KIND_END; i++)
		printf("%12" PRIu64 "  %s records\n", total->kind_count[i], log_kind_text(i));
	for (unsigned i = TXN_PREPARED; i < REPORT_STATES; i++) {
		for (unsigned j = TXN_PREPARED; j < REPORT_STATES; j++) {
			if (total->transition_count[i][j] > 0)
				printf("%12" PRIu64 "  from %s to %s\n", total->transition_count[i][j],
				       txn_state_text((enum txn_state)i), txn_state_text((enum txn_state)j));
		}
	}
}
