/* What does this seed's cluster look like? Sizes and times, drawn once from the seed.
 *
 * Sizes are small, so that segments end, rings wrap, caches miss and limits bind within a few thousand messages.
 * Threads: values, constant after settings_draw. */
#ifndef ESCROW_SIM_SETTINGS_H
#define ESCROW_SIM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BROKERS_MAX = 2,
	TOPICS_MAX = 6,
	QUEUES_MAX = 8,
	PRODUCER_GROUPS = 3,
	PRODUCERS_MAX = 4,
	CONSUMER_GROUPS = 2,
	CONSUMERS_MAX = 4,
	POPPERS_MAX = 2,
	DELAY_LEVELS = 6,
};

struct settings {
	uint64_t seed;
	int brokers;
	int topics;
	int queues;               /* Of each topic and broker. */
	bool sync_flush;          /* Otherwise answers leave once written, and no power is cut. */
	int64_t segment_size, snapshot_bytes, ring_size, index_cache_size, output_bytes_max;
	int64_t retention_bytes;  /* Of the log; 0: all is kept. */
	int64_t transaction_timeout_ms, check_interval_ms, answer_timeout_ms;
	int check_max;
	int undecided_policy;     /* enum checkback_policy */
	int64_t offset_flush_ms;
	int64_t prepared_after_ms;
	int64_t oplog_batch_max;
	int64_t delay_level_ms[DELAY_LEVELS]; /* [0] is level 1. */
	int retry_max_times;      /* Of consumer groups; then a message is a dead letter. */
	uint32_t body_max;
	int64_t gap_mean_us;      /* Between operations. */
};

void settings_draw(uint64_t seed, struct settings *out);
/* The one that was drawn last. */
const struct settings *settings(void);

/* "orders", ... */
const char *topic_name(int topic);
/* Groups of producers; the last one's services contradict themselves. */
const char *producer_group_name(int group);
static inline bool producer_group_is_honest(int group)
{
	return group != PRODUCER_GROUPS - 1;
}
const char *consumer_group_name(int group);
/* The tag expression that the group subscribes to. */
const char *consumer_group_expression(int group);
bool consumer_group_wants(int group, int tag);
/* The group that consumes by POP, everything. */
const char *pop_group_name(void);
enum { TAGS = 3 };
const char *tag_name(int tag);

#endif
