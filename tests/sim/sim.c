/* tmp main */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sim/cluster.h"
#include "tests/sim/engine.h"
#include "tests/sim/final.h"
#include "tests/sim/plan.h"
#include "tests/sim/report.h"

int main(int argc, char **argv)
{
	static struct report report;
	static struct settings s;
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1, count = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	for (uint64_t seed = first; seed < first + count; seed++) {
		report_begin(&report, seed, argc > 3);
		settings_draw(seed, &s);
		engine_begin(seed);
		cluster_begin(ITEM_NUMBERS);
		plan_begin(NULL);
		plan_run();
		if (!violated()) cluster_come_to_rest();
		if (!violated()) cluster_read_all();
		if (!violated()) final_check();
		report.virtual_ms = engine_now_ms();
		cluster_end();
		engine_end();
		printf("seed %" PRIu64 " trace %016" PRIx64 " steps %" PRIu64 " virtual %" PRId64 " ms crashes %" PRIu64 " %s %s\n", seed, report.trace, report.step_count, report.virtual_ms, report.crash_count, report.invariant, report.text);
	}
	return 0;
}
