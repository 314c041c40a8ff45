#include "tests/capacity/footprint.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/txn/pending.h"
#include "lib/txn/resends.h"
#include "tests/capacity/filled.h"
#include "tests/capacity/procmem.h"
#include "tests/capacity/scratch.h"

enum { TOPIC_QUEUES = 8, TOPICS_PER_GROUP = 1000 };

typedef double (*measure)(const char *dir, const struct footprint_sizes *sizes);

static double grown(uint64_t before, uint64_t count)
{
	return ((double)procmem_of(0).anonymous - (double)before) / (double)count;
}

static void must(enum status status, const char *what)
{
	if (status == ST_OK)
		return;
	fprintf(stderr, "capacity: %s: status %d\n", what, (int)status);
	exit(2);
}

static double measure_pending_table(const char *dir, const struct footprint_sizes *sizes)
{
	struct pending_table *table = pending_create(UINT32_MAX);
	uint64_t before = procmem_of(0).anonymous;

	(void)dir;
	for (uint64_t n = 0; n < sizes->pending; n++) {
		must(pending_reserve(table, 0), "pending_reserve");
		(void)pending_insert(table, n, 0);
	}
	double each = grown(before, sizes->pending);
	pending_destroy(table);
	return each;
}

static double measure_resends(const char *dir, const struct footprint_sizes *sizes)
{
	struct pending_table *table = pending_create(UINT32_MAX);
	struct resends *resends = resends_create(400000, table);
	struct hash_key key = hash_key_random();

	(void)dir;
	for (uint64_t n = 0; n < sizes->pending; n++) {
		must(pending_reserve(table, 0), "pending_reserve");
		pending_insert(table, n, 0)->name = hash128_bytes(key, &n, sizeof(n));
	}
	uint64_t before = procmem_of(0).anonymous;
	for (uint64_t n = 0; n < sizes->pending; n++) {
		must(resends_reserve(resends), "resends_reserve");
		resends_open(resends, pending_find(table, n));
	}
	double each = grown(before, sizes->pending);
	resends_destroy(resends);
	pending_destroy(table);
	return each;
}

static double measure_pending(const char *dir, const struct footprint_sizes *sizes)
{
	struct filled *store = filled_open(dir, FILLED_SMALL_CACHE);
	uint64_t before = procmem_of(0).anonymous;

	filled_add_halves(store, sizes->pending);
	double each = grown(before, sizes->pending);
	filled_close(store);
	return each;
}

static double measure_message(const char *dir, const struct footprint_sizes *sizes)
{
	struct filled *store = filled_open(dir, FILLED_SMALL_CACHE);

	filled_add_messages(store, sizes->messages / 100); /* Buffers that are there once. */
	uint64_t before = procmem_of(0).anonymous;
	filled_add_messages(store, sizes->messages);
	double each = grown(before, sizes->messages);
	filled_close(store);
	return each;
}

static double measure_topic(const char *dir, const struct footprint_sizes *sizes)
{
	struct filled *store = filled_open(dir, FILLED_SMALL_CACHE);

	filled_add_topics(store, 0, 10, TOPIC_QUEUES);
	uint64_t before = procmem_of(0).anonymous;
	filled_add_topics(store, 10, sizes->topics, TOPIC_QUEUES);
	double each = grown(before, sizes->topics);
	filled_close(store);
	return each;
}

static double measure_queue(const char *dir, const struct footprint_sizes *sizes)
{
	struct filled *store = filled_open(dir, FILLED_SMALL_CACHE);

	filled_add_messages(store, 10000);
	filled_add_topics(store, 0, sizes->topics, TOPIC_QUEUES);
	uint64_t before = procmem_of(0).anonymous;
	filled_use_queues(store, 0, sizes->topics, TOPIC_QUEUES);
	double each = grown(before, (uint64_t)sizes->topics * TOPIC_QUEUES);
	filled_close(store);
	return each;
}

static double measure_offset_row(const char *dir, const struct footprint_sizes *sizes)
{
	struct filled *store = filled_open(dir, FILLED_SMALL_CACHE);

	filled_add_topics(store, 0, TOPICS_PER_GROUP, TOPIC_QUEUES);
	uint64_t before = procmem_of(0).anonymous;
	filled_add_offsets(store, sizes->offsets / TOPICS_PER_GROUP, 0, TOPICS_PER_GROUP);
	double each = grown(before, sizes->offsets);
	filled_close(store);
	return each;
}

/* In a child: memory that an earlier measurement freed would hide what a later one takes. */
static double in_child(const char *dir, measure measure_one, const struct footprint_sizes *sizes)
{
	double each = 0;
	int fds[2], status;

	if (pipe(fds) != 0) {
		perror("pipe");
		exit(2);
	}
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		each = measure_one(dir, sizes);
		_exit(write(fds[1], &each, sizeof(each)) == sizeof(each) ? 0 : 2);
	}
	close(fds[1]);
	bool got = pid > 0 && read(fds[0], &each, sizeof(each)) == sizeof(each);
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0 || !got) {
		fprintf(stderr, "capacity: a measurement failed\n");
		exit(2);
	}
	scratch_empty(dir);
	return each;
}

struct footprint footprint_measure(const char *dir, const struct footprint_sizes *sizes)
{
	struct footprint result;

	result.pending = in_child(dir, measure_pending, sizes);
	result.pending_table = in_child(dir, measure_pending_table, sizes);
	result.resends = in_child(dir, measure_resends, sizes);
	result.message = in_child(dir, measure_message, sizes);
	result.topic = in_child(dir, measure_topic, sizes);
	result.queue = in_child(dir, measure_queue, sizes);
	result.offset_row = in_child(dir, measure_offset_row, sizes);
	return result;
}
