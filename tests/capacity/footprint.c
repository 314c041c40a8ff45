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

enum { TOPIC_QUEUES = 8, TOPICS_PER_GROUP = 1000, YOUNG_COUNT = 1000000 };

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

struct tables {
	struct pending_table *pending;
	struct resends *resends;
	struct hash_key key;
};

static void make_tables(struct tables *tables, uint64_t pending)
{
	tables->pending = pending_create(UINT32_MAX);
	tables->resends = resends_create(400000, tables->pending);
	tables->key = hash_key_random();
	for (uint64_t n = 0; n < pending; n++) {
		must(pending_reserve(tables->pending, 0), "pending_reserve");
		pending_insert(tables->pending, n, 0)->name = hash128_bytes(tables->key, &n, sizeof(n));
	}
}

static void open_all(struct tables *tables, uint64_t pending)
{
	for (uint64_t n = 0; n < pending; n++) {
		must(resends_reserve(tables->resends), "resends_reserve");
		resends_open(tables->resends, pending_find(tables->pending, n));
	}
}

static void free_tables(struct tables *tables)
{
	resends_destroy(tables->resends);
	pending_destroy(tables->pending);
}

static double measure_resends(const char *dir, const struct footprint_sizes *sizes)
{
	struct tables tables;

	(void)dir;
	make_tables(&tables, sizes->pending);
	uint64_t before = procmem_of(0).anonymous;
	open_all(&tables, sizes->pending);
	double each = grown(before, sizes->pending);
	free_tables(&tables);
	return each;
}

/* As the core does for a half message. */
static void open_one(struct tables *tables, uint64_t n)
{
	struct hash128 name = hash128_bytes(tables->key, &n, sizeof(n));
	uint64_t known;

	if (resends_find(tables->resends, name, &known))
		must(ST_EXISTS, "a name that is new");
	must(pending_reserve(tables->pending, 0), "pending_reserve");
	must(resends_reserve(tables->resends), "resends_reserve");
	struct pending *entry = pending_insert(tables->pending, n, 0);
	entry->name = name;
	resends_open(tables->resends, entry);
}

/* And for its END. */
static void come_and_go(struct tables *tables, uint64_t n)
{
	open_one(tables, n);
	struct pending *entry = pending_find(tables->pending, n);
	resends_close(tables->resends, entry);
	pending_remove(tables->pending, entry);
}

static double measure_young(const char *dir, const struct footprint_sizes *sizes)
{
	struct tables tables;

	(void)dir;
	make_tables(&tables, sizes->pending);
	open_all(&tables, sizes->pending);
	double begun = filled_cpu_ns();
	for (uint64_t n = 0; n < YOUNG_COUNT; n++)
		come_and_go(&tables, sizes->pending + n);
	double each = (filled_cpu_ns() - begun) / YOUNG_COUNT;
	free_tables(&tables);
	return each;
}

static double measure_longest(const char *dir, const struct footprint_sizes *sizes)
{
	struct tables tables;
	double longest = 0, begun = filled_cpu_ns();

	(void)dir;
	make_tables(&tables, 0);
	for (uint64_t n = 0; n < sizes->pending; n++) {
		double before = begun;

		open_one(&tables, n);
		begun = filled_cpu_ns();
		if (n > 0 && begun - before > longest)
			longest = begun - before;
	}
	free_tables(&tables);
	return longest / 1e6;
}

static double measure_pending(const char *dir, const struct footprint_sizes *sizes)
{
	struct filled *store = filled_open(dir, filled_alone());
	uint64_t before = procmem_of(0).anonymous;

	filled_add_halves(store, sizes->pending);
	double each = grown(before, sizes->pending);
	filled_close(store);
	return each;
}

static double measure_slice(const char *dir, const struct footprint_sizes *sizes)
{
	struct filled *store = filled_open(dir, filled_alone());

	filled_add_halves(store, sizes->pending);
	filled_add_messages(store, sizes->messages);
	double longest = filled_longest_slice_ns(store) / 1e6;
	filled_close(store);
	return longest;
}

static double measure_message(const char *dir, const struct footprint_sizes *sizes)
{
	struct filled *store = filled_open(dir, filled_alone());

	filled_add_messages(store, sizes->messages / 100); /* Buffers that are there once. */
	uint64_t before = procmem_of(0).anonymous;
	filled_add_messages(store, sizes->messages);
	double each = grown(before, sizes->messages);
	filled_close(store);
	return each;
}

static double measure_topic(const char *dir, const struct footprint_sizes *sizes)
{
	struct filled *store = filled_open(dir, filled_alone());

	filled_add_topics(store, 0, 10, TOPIC_QUEUES);
	uint64_t before = procmem_of(0).anonymous;
	filled_add_topics(store, 10, sizes->topics, TOPIC_QUEUES);
	double each = grown(before, sizes->topics);
	filled_close(store);
	return each;
}

static double measure_queue(const char *dir, const struct footprint_sizes *sizes)
{
	struct filled *store = filled_open(dir, filled_alone());

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
	struct filled *store = filled_open(dir, filled_alone());

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
	result.young_ns = in_child(dir, measure_young, sizes);
	result.longest_ms = in_child(dir, measure_longest, sizes);
	result.slice_ms = in_child(dir, measure_slice, sizes);
	return result;
}
