/* Bytes of memory for each thing that a broker holds, and the time of a start: `make capacity`.
 *
 *     capacity DIR          the short size: seconds
 *     capacity --full DIR   1M and 10M open transactions, 10M and (if the disk has room) 100M queued messages
 *     capacity --fill DIR MESSAGES HALVES   leaves a store with so many in DIR, to be looked at with other tools
 *
 * DIR is an empty directory on the disk to be measured; it is empty again at the end. Goals are judged at the full size,
 * those of memory at both: bytes for one do not depend on how many there are. The last line is "N passed, N failed". */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/capacity/filled.h"
#include "tests/capacity/footprint.h"
#include "tests/capacity/scratch.h"
#include "tests/capacity/startup.h"

#define MIB ((double)(1 << 20))
#define PENDING_GOAL (1280 * MIB)        /* 10M open transactions, the whole process. */
enum { MESSAGE_DISK_BYTES = 440, HALF_DISK_BYTES = 950 }; /* Record, index and snapshots, and what is
								    * prepared ahead. */

static unsigned passed, failed;

static void judge(bool good, const char *what)
{
	passed += good;
	failed += !good;
	printf("%s %s\n", good ? "ok  " : "FAIL", what);
}

/* --- memory for each --------------------------------------------------------------------------------------- */

static void report_footprint(const char *dir, bool full)
{
	struct footprint_sizes sizes = {
		.pending = full ? 10000000 : 200000, .messages = full ? 10000000 : 1000000,
		.topics = full ? 50000 : 5000, .offsets = full ? 200000 : 20000,
	};
	struct footprint each = footprint_measure(dir, &sizes);

	printf("bytes of memory for each\n");
	printf("  open transaction    %8.1f   (%llu of them: table %.1f, resends %.1f, check-back and index %.1f)\n", each.pending,
	       (unsigned long long)sizes.pending, each.pending_table, each.resends,
	       each.pending - each.pending_table - each.resends);
	printf("  queued message      %8.2f   (%llu of them, %d-byte bodies, %d queues)\n", each.message,
	       (unsigned long long)sizes.messages, FILLED_BODY_BYTES, FILLED_QUEUES);
	printf("  topic               %8.0f   (%u of them, no queue used)\n", each.topic, sizes.topics);
	printf("  queue               %8.0f   (%u of them, one message each)\n", each.queue, sizes.topics * 8);
	printf("  consumer offset row %8.0f   (%u of them, one queue each)\n", each.offset_row, sizes.offsets);
	printf("processor time in the tables of open transactions, with that many\n");
	printf("  a transaction that comes and goes %.0f ns; the longest addition while they fill %.2f ms;\n"
	       "  the longest slice of a snapshot of them %.2f ms\n", each.young_ns, each.longest_ms, each.slice_ms);
	judge(each.pending < 125, "an open transaction takes less than 125 bytes");
	judge(each.longest_ms < 5, "no addition stops the loop for 5 ms");
	judge(each.slice_ms < 5, "no slice of a snapshot stops the loop for 5 ms");
	judge(each.message < 1, "a queued message takes less than a byte");
}

/* --- starts ------------------------------------------------------------------------------------------------ */

static void report_start(const char *name, const struct startup *start)
{
	printf("  %-28s %9.1f %9.1f %9.1f %9.1f %9.1f\n", name, start->median_ms, (double)start->memory.resident / MIB,
	       (double)start->memory.peak / MIB, start->replay_ms, (double)start->replay_memory.peak / MIB);
	fflush(stdout);
}

static void report_pause(const struct snapshot_pause *pause)
{
	printf("  %-28s taken in %.1f ms; the longest of %llu answers meanwhile: %.1f ms\n", "  a snapshot of that",
	       pause->took_ms, (unsigned long long)pause->answers, pause->longest_ms);
	fflush(stdout);
}

static void name_count(char *out, size_t size, uint64_t messages, uint64_t halves)
{
	snprintf(out, size, "%.4gM queued, %.4gM open", (double)messages / 1e6, (double)halves / 1e6);
}

/* False: not enough room on the disk; a third of what is free is left to others. */
static bool measure_store(const char *dir, const char *log_path, uint64_t messages, uint64_t halves, struct startup *out)
{
	uint64_t needed = messages * MESSAGE_DISK_BYTES + halves * HALF_DISK_BYTES, there = scratch_free(dir);
	char name[64];

	name_count(name, sizeof(name), messages, halves);
	if (there / 3 * 2 < needed) {
		printf("  %-28s not run: needs %.0f GiB of disk, there are %.0f\n", name, (double)needed / MIB / 1024,
		       (double)there / MIB / 1024);
		return false;
	}
	struct filled *store = filled_open(dir, filled_as_broker());
	filled_add_messages(store, messages);
	filled_add_halves(store, halves);
	filled_close(store);
	struct snapshot_pause pause = startup_measure_pause(dir, log_path);
	*out = startup_measure(dir, log_path);
	report_start(name, out);
	report_pause(&pause);
	scratch_empty(dir);
	return true;
}

static void report_starts(const char *dir, const char *log_path, bool full)
{
	struct startup start = startup_measure_empty(dir, log_path), empty = start;

	scratch_empty(dir);
	printf("starts: median of %d after kill -9 in ms; MiB resident at ready, at most before; without snapshots: ms, MiB at most\n",
	       STARTUP_ROUNDS);
	report_start("empty", &start);
	if (!full) {
		if (measure_store(dir, log_path, 1000000, 200000, &start))
			(void)measure_store(dir, log_path, 0, 200000, &start);
		return;
	}
	judge(empty.median_ms < 50, "an empty broker is ready within 50 ms");
	if (measure_store(dir, log_path, 10000000, 1000000, &start))
		judge(start.median_ms < 3000, "with 10M queued and 1M open it is ready within 3 s");
	if (measure_store(dir, log_path, 0, 10000000, &start)) {
		judge(start.median_ms < 10000, "with 10M open it is ready within 10 s");
		judge((double)start.memory.peak <= PENDING_GOAL, "10M open fit in 1.25 GiB");
	}
	if (measure_store(dir, log_path, 100000000, 0, &start))
		judge((double)start.memory.resident - (double)empty.memory.resident < 100 * MIB,
		      "100M queued messages take less than 100 MiB more than none");
}

static void fill(const char *dir, uint64_t messages, uint64_t halves)
{
	struct filled *store = filled_open(dir, filled_as_broker());

	filled_add_messages(store, messages);
	filled_add_halves(store, halves);
	printf("%.1f MiB of log, %.1f behind the last snapshot\n", (double)filled_log_bytes(store) / MIB,
	       (double)filled_tail_bytes(store) / MIB);
	filled_close(store);
}

int main(int argc, char **argv)
{
	bool full = argc == 3 && strcmp(argv[1], "--full") == 0;
	char log_path[512];

	if (argc == 5 && strcmp(argv[1], "--fill") == 0) {
		fill(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
		return 0;
	}
	if (argc != 2 + full) {
		fprintf(stderr, "usage: capacity [--full] EMPTY_DIRECTORY\n");
		return 2;
	}
	snprintf(log_path, sizeof(log_path), "%.500s.log", argv[argc - 1]);
	report_footprint(argv[argc - 1], full);
	report_starts(argv[argc - 1], log_path, full);
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
