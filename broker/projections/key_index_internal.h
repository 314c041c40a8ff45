/* The key index's insides, shared by the files that make it up. Threads: the index's own, but for what is marked shared. */
#ifndef ESCROW_PROJECTIONS_KEY_INDEX_INTERNAL_H
#define ESCROW_PROJECTIONS_KEY_INDEX_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/projections/key_index.h"
#include "lib/index/key_run.h"
#include "lib/log/logreader.h"

struct key_index {
	const struct vfs *vfs;
	char *root;
	char dir[KEY_RUN_PATH_SIZE];
	uint64_t run_entries;

	/* The thread's own. */
	struct logreader *reader;   /* NULL: to be opened at `position`. */
	uint64_t position;
	struct key_run *runs;       /* Ascending, and open. */
	size_t run_count, run_capacity;
	struct key_entry *entries;  /* Behind the last run, as they came. */
	size_t entry_count, entry_capacity;
	struct key_run_head head;   /* Of the run that they will be. */
	int64_t indexed_ms;
	uint64_t complete_to;       /* Everything below was read. */
	bool failing;

	/* Shared. */
	_Atomic uint64_t durable, log_start;
	pthread_mutex_t lock;       /* Guards the next two. */
	pthread_cond_t wake;
	struct key_search *searches;
	bool stopping;
	bool has_thread;
	pthread_t thread;
};

/* One turn of its thread: reads some, lets old runs go, answers who need not wait any more. Returns the pause before the next
 * one, in ms; who asks ends it. */
int64_t key_index_turn(struct key_index *index);
/* Notes a search; under the lock. */
void key_index_queue(struct key_index *index, struct key_search *search);

/* What a MESSAGE and a HALF have in common. */
struct key_body {
	int64_t store_time_ms;
	struct span topic, message;
};
/* False: it is neither, or does not decode; the broker's own replay is the one that judges. */
bool key_body_decode(unsigned kind, struct span payload, struct key_body *out);

#endif
