/* What operators look at: how far queues and their readers are, who reads what. Nothing here changes anything.
 *
 * ST_AGAIN, here as elsewhere: an index page must be read first, then the request is run again.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_INSPECT_H
#define ESCROW_CORE_INSPECT_H

#include "broker/core/core.h"
#include "broker/core/groups.h"
#include "broker/core/members.h"
#include "broker/core/offsets.h"
#include "broker/core/statistics.h"
#include "broker/core/topics.h"
#include "lib/index/consume_queue.h"

/* One queue, as its readers may see it; of the half topic, which halves there are. */
struct inspected_queue {
	uint64_t min_offset, max_offset;
	int64_t newest_ms; /* Store time of the last message; 0: none. */
};
enum status inspect_queue(struct core *core, const struct topic *topic, uint32_t queue_id, struct inspected_queue *out,
			  struct errinfo *err) MUST_USE;

/* How far a group is in a queue. */
struct inspected_reader {
	uint64_t broker_offset;   /* One past the last message. */
	uint64_t consumer_offset; /* 0 when nothing is known. */
	uint64_t pull_offset;     /* What lies between the two is with its consumers. */
	int64_t last_ms;          /* Store time of the last message that it has read; 0: not known. */
};
/* A group that is NULL has read nothing. */
enum status inspect_reader(struct core *core, const struct topic *topic, uint32_t queue_id, const struct consumer_group *group,
			   struct inspected_reader *out, struct errinfo *err) MUST_USE;

/* Visits each topic that the group has an offset of, once. */
typedef void (*inspect_topic)(void *context, const struct topic *topic);
void inspect_topics_of(const struct core *core, const struct consumer_group *group, inspect_topic visit, void *context);
/* Visits each group that has an offset of the topic or is subscribed to it now, once. */
typedef void (*inspect_group)(void *context, const struct consumer_group *group);
void inspect_groups_of(const struct core *core, const struct topic *topic, inspect_group visit, void *context);

/* The entry at a visible queue offset. ST_NOTFOUND: no such message. */
enum status inspect_entry(struct core *core, const struct topic *topic, uint32_t queue_id, uint64_t offset,
			  struct cq_entry *out, struct errinfo *err) MUST_USE;
/* Who is connected and which groups are. */
const struct members *core_members(const struct core *core);
/* The id of a name that was ever met; 0: none. And back. */
uint32_t core_name_id(const struct core *core, struct span name);
struct span core_name(const struct core *core, uint32_t id);
const struct statistics *core_statistics(const struct core *core);

/* One group's place in one topic, over all its queues. */
struct inspected_reading {
	const struct topic *topic;
	const struct consumer_group *group;
	uint64_t behind;    /* Messages that it has not confirmed; */
	uint64_t inflight;  /* those of them that are with its consumers. */
};
/* The next one of those that a value is known of; *cursor is { 0 } at first and may be kept for later. False at the end. */
bool inspect_next_reading(const struct core *core, struct offsets_cursor *cursor, struct inspected_reading *out);

/* Of the log and what waits, for the runtime information. */
struct inspected_store {
	uint64_t log_start, log_end, log_durable;
	int64_t earliest_ms;      /* About when the oldest record was stored; -1: nothing is. */
	uint64_t delayed_count;
	int64_t oldest_open_ms;   /* Store time of the oldest undecided half message, as of inspect_tick's last round; 0: none. */
};
struct inspected_store inspect_store(const struct core *core);
/* Each tick. Looks at some of the undecided half messages: a round over 10 million takes some minutes, over a few hundred none. */
void inspect_tick(struct core *core);

#endif
