#include "tests/capacity/startup.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/index/snapshot_file.h"
#include "tests/capacity/scratch.h"
#include "tests/support/rawclient.h"

enum { SNAPSHOT_LIMIT_MS = 120 * 1000, LOOK_EVERY = 100 };

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct program start(const char *dir, const char *log_path, const char *option)
{
	char store[512];
	const char *const argv[] = { "escrow-broker", "-o", store, "-o", "listenPort=0", "-o", "brokerName=capacity",
				     "-o", option, NULL };

	snprintf(store, sizeof(store), "storePathRootDir=%s", dir);
	return program_start(argv, log_path);
}

/* One start and its end by SIGKILL. */
static double start_once(const char *dir, const char *log_path, struct procmem *memory)
{
	double begun = now_ms();
	struct program program = start(dir, log_path, "autoCreateTopicEnable=true");
	double took = now_ms() - begun;

	*memory = procmem_of(program.pid);
	program_stop(&program, SIGKILL, NULL);
	return took;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, STARTUP_ROUNDS, sizeof(values[0]), by_size);
	return values[STARTUP_ROUNDS / 2];
}

struct startup startup_measure(const char *dir, const char *log_path)
{
	struct startup result = { 0 };
	double took[STARTUP_ROUNDS];
	char snapshots[512];

	for (int i = 0; i < STARTUP_ROUNDS; i++)
		took[i] = start_once(dir, log_path, &result.memory);
	result.median_ms = median(took);
	snprintf(snapshots, sizeof(snapshots), "%s/snapshots", dir);
	scratch_empty(snapshots);
	result.replay_ms = start_once(dir, log_path, &result.replay_memory);
	return result;
}

struct startup startup_measure_empty(const char *dir, const char *log_path)
{
	struct startup result = { 0 };
	double took[STARTUP_ROUNDS];

	for (int i = 0; i < STARTUP_ROUNDS; i++) {
		scratch_empty(dir);
		took[i] = start_once(dir, log_path, &result.memory);
	}
	result.median_ms = median(took);
	return result;
}

/* --- a snapshot while it serves ---------------------------------------------------------------------------- */

static uint64_t newest_snapshot(const char *dir)
{
	uint64_t offset = 0;
	size_t count = 0;
	struct errinfo err;

	if (snapshot_list(vfs_posix(), dir, &offset, 1, &count, &err) != ST_OK) {
		fprintf(stderr, "capacity: %s\n", err.text);
		exit(2);
	}
	return count == 0 ? 0 : offset;
}

struct snapshot_pause startup_measure_pause(const char *dir, const char *log_path)
{
	struct snapshot_pause pause = { 0 };
	uint64_t before = newest_snapshot(dir);
	struct program program = start(dir, log_path, "snapshotIntervalBytes=1");
	struct raw *raw = raw_must_connect(program.port);
	double begun = now_ms(), limit = begun + SNAPSHOT_LIMIT_MS;

	while (pause.answers % LOOK_EVERY != 0 || newest_snapshot(dir) == before) {
		double asked = now_ms();
		(void)raw_query_offset(raw, "nobody", "capacity");
		double took = now_ms() - asked;

		if (took > pause.longest_ms)
			pause.longest_ms = took;
		pause.answers++;
		if (asked > limit) {
			fprintf(stderr, "capacity: no snapshot was taken; see %s\n", log_path);
			exit(2);
		}
	}
	pause.took_ms = now_ms() - begun;
	raw_close(raw);
	program_stop(&program, SIGKILL, NULL);
	return pause;
}
