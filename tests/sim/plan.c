#include "tests/sim/plan.h"

#include <stddef.h>

#include "tests/sim/engine.h"
#include "tests/sim/operations.h"
#include "tests/sim/report.h"
#include "tests/sim/settings.h"

/* How often which, in 10,000. */
static const struct {
	operation_run run;
	uint32_t weight;
} kinds[] = {
	{ operation_transaction, 3600 }, { operation_message, 1300 }, { operation_batch, 150 }, { operation_send_again, 500 },
	{ operation_end_again, 700 }, { operation_decide, 180 }, { operation_resume, 120 }, { operation_recall, 150 }, { operation_look, 450 },
	{ operation_ledger, 1000 }, { operation_fairs, 900 }, { operation_settings, 80 },
	{ operation_power_cut, 15 }, { operation_kill, 15 }, { operation_stop, 15 }, { operation_cut_in_start, 10 },
	{ operation_pause, 100 }, { operation_clock, 80 }, { operation_disk, 130 }, { operation_sync_fails, 8 },
	{ operation_cache, 150 }, { operation_cut, 200 }, { operation_partition, 120 }, { operation_slow, 130 },
	{ operation_namesrv, 40 }, { operation_client_dies, 150 }, { operation_client_leaves, 150 }, { operation_mysql, 350 },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static const uint8_t *out;

void plan_begin(const uint8_t *left_out)
{
	out = left_out;
}

static uint32_t weight_sum(void)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < KINDS; i++)
		sum += kinds[i].weight;
	return sum;
}

/* A third and two thirds of the way there is a crash in any case. */
static operation_run kind_of(uint32_t number, struct chance *chance)
{
	if (number == OPERATIONS / 3 || number == 2 * OPERATIONS / 3)
		return chance_percent(chance, 70) ? operation_power_cut : operation_kill;
	uint32_t dice = (uint32_t)chance_below(chance, weight_sum());
	size_t i = 0;
	while (dice >= kinds[i].weight)
		dice -= kinds[i++].weight;
	return kinds[i].run;
}

void plan_run(void)
{
	int64_t at_us = engine_now_us() + 1500000; /* Brokers register, clients find them. */

	for (uint32_t number = 0; number < OPERATIONS && !violated(); number++) {
		struct chance chance = chance_of(settings()->seed, CHANCE_PLAN, number, 0);
		struct chance own = chance_of(settings()->seed, CHANCE_OPERATION, number, 0);
		operation_run run = kind_of(number, &chance);

		at_us += chance_skewed(&chance, 0, 6 * settings()->gap_mean_us);
		if (out != NULL && out[number] != 0)
			continue;
		while (engine_step(at_us))
			;
		if (violated())
			return;
		report_current()->operation_count++;
		report_current()->last_operation = number;
		trace_add(number);
		run(number, &own);
	}
}
