/* Records of settings and of consumers' progress: TOPIC, GROUP, OFFSETS, POP, SNAPSHOT_MARK.
 * encode() writes exactly size() bytes. Decoded spans borrow from the payload. Threads: pure. */
#ifndef ESCROW_RECORD_SETTINGS_H
#define ESCROW_RECORD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

/* RocketMQ's TopicConfig. */
struct record_topic {
	bool deleted;
	bool order;
	uint32_t read_queue_nums;
	uint32_t write_queue_nums;
	uint32_t perm;
	uint32_t filter_type;
	uint32_t sys_flag;
	int64_t when_ms;
	struct span name;
	struct span attributes; /* JSON object text; may be empty. */
};
size_t record_topic_size(const struct record_topic *r);
void record_topic_encode(const struct record_topic *r, uint8_t *at);
enum status record_topic_decode(struct span payload, struct record_topic *out, struct errinfo *err) MUST_USE;

/* What to do when a group's producers keep answering UNKNOWN. */
enum { GROUP_POLICY_DEFAULT = 0, GROUP_POLICY_PARK = 1, GROUP_POLICY_ROLLBACK = 2, GROUP_POLICY_COMMIT = 3 };

/* RocketMQ's SubscriptionGroupConfig, and the group's own rules for transactions (0 = the broker's default). */
struct record_group {
	bool deleted;
	bool consume_enable;
	bool consume_from_min_enable;
	bool consume_broadcast_enable;
	bool consume_message_orderly;
	bool notify_consumer_ids_changed_enable;
	uint32_t retry_queue_nums;
	uint32_t retry_max_times;
	int64_t broker_id;
	int64_t which_broker_when_consume_slowly;
	uint32_t group_sys_flag;
	uint32_t consume_timeout_minute;
	uint32_t check_interval_ms;
	uint32_t check_max;
	uint8_t undecided_policy; /* GROUP_POLICY_... */
	int64_t when_ms;
	struct span name;
	/* Version 2, written only when one of them says something. */
	bool clean_offsets;       /* Deleted together with what it had read. */
	struct span forbidden;    /* Topics that it may not read, each followed by a newline. */
	/* Version 3, written only when it is not empty. */
	struct span retry_policy; /* RocketMQ's GroupRetryPolicy as JSON text. */
};
size_t record_group_size(const struct record_group *r);
void record_group_encode(const struct record_group *r, uint8_t *at);
enum status record_group_decode(struct span payload, struct record_group *out, struct errinfo *err) MUST_USE;

/* Consumer offsets, batched; absolute values. */
struct record_offset {
	struct span group;
	struct span topic;
	uint32_t queue_id;
	int64_t offset;
};
enum { RECORD_OFFSETS_MAX = 1024 };
size_t record_offsets_size(const struct record_offset *offsets, size_t count);
void record_offsets_encode(const struct record_offset *offsets, size_t count, uint8_t *at);
typedef enum status (*record_offset_visit)(void *context, const struct record_offset *offset, struct errinfo *err);
enum status record_offsets_decode(struct span payload, record_offset_visit visit, void *context,
				  struct errinfo *err) MUST_USE;

/* POP check-outs and acknowledgements, batched. */
enum pop_event {
	POP_CHECK_OUT = 1,
	POP_ACK = 2,
	POP_CHANGE_INVISIBLE = 3,
	POP_RESET = 4,          /* The group goes on at queue_offset; nothing is checked out. */
	POP_ORDERLY = 5,        /* A check-out that keeps the order: what lapses comes again at its place. */
	POP_ORDERLY_AGAIN = 6,  /* The same by a client that repeats its request: not counted as a delivery. */
	POP_REQUEST_MODE = 7,   /* How the group's clients are to fetch the topic: count = 1 + mode, queue_offset = shared queues. */
};
struct record_pop {
	enum pop_event event;
	struct span group;
	struct span topic;
	uint32_t queue_id;
	uint64_t queue_offset;
	uint32_t count;
	int64_t pop_time_ms;
	int64_t invisible_ms;
};
enum { RECORD_POPS_MAX = 1024 };
size_t record_pops_size(const struct record_pop *pops, size_t count);
void record_pops_encode(const struct record_pop *pops, size_t count, uint8_t *at);
typedef enum status (*record_pop_visit)(void *context, const struct record_pop *pop, struct errinfo *err);
enum status record_pops_decode(struct span payload, record_pop_visit visit, void *context, struct errinfo *err) MUST_USE;

/* A snapshot file is safe: recovery may start from it. */
struct record_snapshot_mark {
	uint64_t snapshot_offset; /* The log position that the snapshot stands for. */
	uint64_t generation;
	uint64_t file_size;
	uint32_t file_crc;
	int64_t when_ms;
};
size_t record_snapshot_mark_size(const struct record_snapshot_mark *r);
void record_snapshot_mark_encode(const struct record_snapshot_mark *r, uint8_t *at);
enum status record_snapshot_mark_decode(struct span payload, struct record_snapshot_mark *out,
					struct errinfo *err) MUST_USE;

#endif
