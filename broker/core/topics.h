/* The topics of this broker and their queues.
 *
 * A topic's settings change by TOPIC records only, except system topics, which the broker makes at each start and
 * does not record. Topics are never freed while the process lives: queues are pointed at from holds, delays and the
 * visibility list. Iteration is in the order of creation, which is the same in replay.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_TOPICS_H
#define ESCROW_CORE_TOPICS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/base/table.h"
#include "lib/index/consume_queue.h"

struct hold;
struct pop_wait;
struct names;
struct topic;

/* RocketMQ's TopicConfig. */
struct topic_settings {
	uint32_t read_queue_nums;
	uint32_t write_queue_nums;
	uint32_t perm;
	uint32_t filter_type; /* 0 SINGLE_TAG, 1 MULTI_TAG */
	uint32_t sys_flag;
	bool order;
	struct span attributes; /* JSON object text; in a struct topic: owned by it. */
};

struct queue {
	struct topic *topic;
	uint32_t id;
	struct consume_queue entries;
	uint64_t next_offset;    /* Queue offset of the next entry: appended. */
	uint64_t visible_offset; /* Entries below are committed: what consumers may see. */
	uint64_t trimmed_to;     /* The log's start when entries below it were last trimmed. */
	uint64_t born;           /* Log offset of the deletion that emptied it last; 0: none. Older records gave it nothing. */
	struct hold *holds;      /* Pulls that wait for this queue; see holds.h. */
	struct hold *asked_holds; /* Of those: whose wish no tag tells. */
	uint32_t asked_cost;     /* What an arrival costs because of these. */
	uint64_t woken_offset;   /* While there are any: entries below have been shown to them. */
};

struct topic {
	UT_hash_handle hh;
	uint32_t id; /* In the core's name table. */
	bool system;
	bool deleted;
	uint64_t deleted_at;   /* Log offset of its last deletion; 0: none. What is older belongs to a topic that is gone. */
	struct topic_settings settings;
	int64_t reserve_ms;    /* The attribute reserve.time: older messages are hidden; 0: none. */
	uint32_t queue_count;
	struct queue **queues; /* May hold NULLs: queues are made on first use. */
	struct span name;      /* Owned by the name table. */
	struct pop_wait *pop_waits;      /* POPs that wait for this topic; see pop_waits.h, the next three too. */
	struct topic *pop_of;            /* A retry topic's: the topic that it belongs to, before anybody can wait for it. */
	struct topic *pop_arrived_next;
	bool pop_arrived;
	uint8_t *spare;        /* Room for the attributes of the next topics_put. */
	size_t spare_size;
};

/* How many queues clients may name: the larger of the two numbers, which differ while a topic is shrunk or grown. */
static inline uint32_t topic_queue_nums(const struct topic *topic)
{
	const struct topic_settings *settings = &topic->settings;

	return settings->read_queue_nums > settings->write_queue_nums ? settings->read_queue_nums : settings->write_queue_nums;
}

/* Is what the record at `log_offset` sent to this topic lost with a deletion of it? */
static inline bool topic_outlived(const struct topic *topic, uint64_t log_offset)
{
	return topic->deleted || log_offset < topic->deleted_at;
}

struct topics;

/* `files` holds the consume queues and outlives the table. Without a limit, until it is given one. NULL when out of memory. */
struct topics *topics_create(struct names *names, struct pagefile *files);
void topics_destroy(struct topics *topics);
/* Live ones; binds what is new from now on. */
void topics_set_limit(struct topics *topics, uint32_t topic_max);

/* A live topic, or NULL. */
struct topic *topics_find(const struct topics *topics, struct span name);
/* First of all live topics, and the next; NULL at the end. */
struct topic *topics_first(const struct topics *topics);
struct topic *topics_next(const struct topic *topic);
/* The same with the deleted ones; a topic whose queues are still named by records of the log is found by name. */
struct topic *topics_first_any(const struct topics *topics);
struct topic *topics_next_any(const struct topic *topic);
struct topic *topics_find_any(const struct topics *topics, struct span name);
/* Live ones. */
uint32_t topics_count(const struct topics *topics);
/* Room for one more topic, so that topics_put of a new name within limits is not refused. ST_FULL at the limit. */
enum status topics_check_room(const struct topics *topics, struct errinfo *err) MUST_USE;

/* Does all of topics_put that can fail. A topic that is not there yet stays invisible until it is put. ST_NOMEM, ST_FULL. */
enum status topics_reserve(struct topics *topics, struct span name, size_t attributes_size) MUST_USE;
/* Creates or changes a topic (the effect of a TOPIC record). *topic_out is the topic. ST_NOMEM, ST_FULL. */
enum status topics_put(struct topics *topics, struct span name, const struct topic_settings *settings, bool system,
		       struct topic **topic_out) MUST_USE;
/* Deletes a topic (the effect of a TOPIC record at `log_offset`): every queue is empty afterwards and begins at 0 when the
 * topic is made again. Queues that know of a later deletion already (see replay.h) keep what they have. */
void topics_delete(struct topics *topics, struct topic *topic, uint64_t log_offset);
/* Queue `id`, made now if need be, even beyond the configured number (a setting may have shrunk while messages for
 * the queue were on their way). ST_NOMEM; ST_INVALID beyond TOPIC_QUEUE_MAX. */
enum status topic_queue_make(struct topics *topics, struct topic *topic, uint32_t id, struct queue **queue_out) MUST_USE;
/* Queue `id` if it was made, else NULL: nothing was ever put there. */
struct queue *topic_queue(const struct topic *topic, uint32_t id);

/* Changes with every topics_put and topics_delete of a topic that is registered with name servers; RocketMQ's DataVersion. */
struct topics_version {
	int64_t counter;
	int64_t timestamp_ms;
};
struct topics_version topics_version(const struct topics *topics);
/* The version that a snapshot kept. */
void topics_set_version(struct topics *topics, struct topics_version version);
/* Sets the version's time: called once after recovery and at each change by the core. */
void topics_touch(struct topics *topics, int64_t now_ms);

enum { TOPIC_QUEUE_MAX = 1024 };

#endif
