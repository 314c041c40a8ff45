#include "tests/capacity/startup.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/capacity/scratch.h"
#include "tests/support/rawclient.h"

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* One start and its end by SIGKILL. */
static double start_once(const char *dir, const char *log_path, struct procmem *memory)
{
	char store[512];
	const char *const argv[] = { "escrow-broker", "-o", store, "-o", "listenPort=0", "-o", "brokerName=capacity", NULL };

	snprintf(store, sizeof(store), "storePathRootDir=%s", dir);
	double begun = now_ms();
	struct program program = program_start(argv, log_path);
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

	result.first_ms = start_once(dir, log_path, &result.first);
	for (int i = 0; i < STARTUP_ROUNDS; i++)
		took[i] = start_once(dir, log_path, &result.memory);
	result.median_ms = median(took);
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
	result.first = result.memory;
	result.first_ms = took[0];
	result.median_ms = median(took);
	return result;
}
