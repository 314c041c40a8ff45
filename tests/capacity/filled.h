/* A broker's store filled from inside, faster than any client could: the broker's core over real files, without sockets
 * or threads, with a sync only where the log's ring demands one. Snapshots are taken meanwhile by the broker's rule. What
 * it leaves on the disk is what a broker with the same options would have left, killed after the last sync.
 *
 * Everything here aborts the program with a message when something fails. */
#ifndef ESCROW_TESTS_FILLED_H
#define ESCROW_TESTS_FILLED_H

#include <stdint.h>

#define FILLED_CLUSTER "DefaultCluster"

enum {
	FILLED_QUEUES = 16, /* Of the topic that messages and halves go to. */
	FILLED_BODY_BYTES = 100,
};

struct filled_options {
	uint64_t index_cache_bytes;
	uint64_t snapshot_bytes; /* See core_config. */
};
/* As a broker has them by default. */
struct filled_options filled_as_broker(void);
/* With as little else in memory as can be: for measurements of memory. */
struct filled_options filled_alone(void);

struct filled;

/* Opens or creates the store in `dir`, which exists. */
struct filled *filled_open(const char *dir, struct filled_options options);
/* Syncs what is not, and stops as a killed process stops: without the mark of a clean end. */
void filled_close(struct filled *filled);

/* `count` more of each. Bodies have FILLED_BODY_BYTES, unique keys 32 characters, and no two are the same. */
void filled_add_messages(struct filled *filled, uint64_t count);
void filled_add_halves(struct filled *filled, uint64_t count);
/* Topics number `first` to first + count - 1, with `queues` queues each, none of them used. */
void filled_add_topics(struct filled *filled, uint32_t first, uint32_t count, uint32_t queues);
/* One message for each queue of those topics. */
void filled_use_queues(struct filled *filled, uint32_t first, uint32_t count, uint32_t queues);
/* One consumer offset for each pair of a group (of `groups`) and a topic, queue 0. */
void filled_add_offsets(struct filled *filled, uint32_t groups, uint32_t first_topic, uint32_t topics);

/* Bytes of the commit log up to its end; of those that a start must replay: behind the last snapshot. */
uint64_t filled_log_bytes(const struct filled *filled);
uint64_t filled_tail_bytes(const struct filled *filled);
/* Processor time of the longest slice of a snapshot of all that, in ns: so long the loop serves nobody. */
double filled_longest_slice_ns(const struct filled *filled);
/* Processor time of this thread, ns. */
double filled_cpu_ns(void);

#endif
