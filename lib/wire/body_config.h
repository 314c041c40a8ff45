/* How are topics and consumer groups configured? TopicConfig, SubscriptionGroupConfig and DataVersion as JSON: bodies
 * of 21, 200, 201, 322, 351, 352 and parts of 103.
 * Threads: a decoded body belongs to one thread. */
#ifndef ESCROW_WIRE_BODY_CONFIG_H
#define ESCROW_WIRE_BODY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/wire/json_body.h"

/* Equal when all three are. */
struct data_version {
	int64_t state_version;
	int64_t timestamp;
	int64_t counter;
};
static inline bool data_version_equal(const struct data_version *a, const struct data_version *b)
{
	return a->state_version == b->state_version && a->timestamp == b->timestamp && a->counter == b->counter;
}
void data_version_encode(struct json_writer *w, const struct data_version *version);
/* From a JSON text, as in the body of 322. */
enum status data_version_decode(struct span body, struct data_version *out, struct errinfo *err) MUST_USE;
/* From a parsed object; absent members are 0. NULL gives zeros. */
struct data_version data_version_of(const struct cJSON *object);

enum { FILTER_SINGLE_TAG = 0, FILTER_MULTI_TAG = 1 };

struct topic_config {
	struct span name;
	int32_t read_queue_nums;  /* Default 16, as in RocketMQ. */
	int32_t write_queue_nums; /* Default 16. */
	int32_t perm;             /* PERM_*; default read and write. */
	int32_t filter_type;      /* FILTER_* */
	int32_t sys_flag;
	bool order;
	struct span attributes;   /* JSON object text; empty means {}. */
};
void topic_config_encode(struct json_writer *w, const struct topic_config *config);
/* What becomes of a topic's attributes (JSON object text, may be empty) when an operator asks for `changes` ("+key=value,-key",
 * or, for `changes_json`, an object with such keys). RocketMQ's rules: known keys and values only, nothing twice, some are
 * fixed once the topic is there, a topic that is being created has none to take away. ST_INVALID with a remark. */
struct attribute_changes {
	struct span current, changes;
	bool changes_json, creating;
};
enum status topic_attributes_change(const struct attribute_changes *wanted, struct buffer *out, struct errinfo *err) MUST_USE;

/* How long RocketMQ 5 keeps a topic's messages, ms. */
#define TOPIC_ATTRIBUTE_RESERVE_TIME "reserve.time"
/* An attribute of that JSON text as a number; 0 when it is absent or none. */
int64_t topic_attribute_number(struct span attributes, const char *key);

/* {"dataVersion":..,"topicConfigTable":{..}} and its like. Arrays live in `doc`. */
struct topic_config_table {
	struct data_version version;
	const struct topic_config *topics;
	size_t topic_count;
	struct json_doc doc;
};
void topic_config_table_encode(struct json_writer *w, const struct data_version *version,
			       const struct topic_config *topics, size_t topic_count);
enum status topic_config_table_decode(struct span body, struct topic_config_table *out, struct errinfo *err) MUST_USE;
void topic_config_table_free(struct topic_config_table *table);
/* {"topicConfigList":[..]} of 18, in `topics`; `attributes` as they came, with their + and -. ST_INVALID: one has no name. */
enum status topic_config_list_decode(struct span body, struct topic_config_table *out, struct errinfo *err) MUST_USE;
/* One TopicConfig (351): table of one. */
enum status topic_config_decode(struct span body, struct topic_config_table *out, struct errinfo *err) MUST_USE;

struct group_config {
	struct span group_name;
	bool consume_enable;
	bool consume_from_min_enable;
	bool consume_broadcast_enable;
	bool consume_message_orderly;
	int32_t retry_queue_nums;
	int32_t retry_max_times;
	int64_t broker_id;
	int64_t which_broker_when_consume_slowly;
	bool notify_consumer_ids_changed_enable;
	int32_t group_sys_flag;
	int32_t consume_timeout_minute;
	/* RocketMQ's GroupRetryPolicy as JSON text, for who asks; empty: the default, 1 s, 5 s, 10 s, 30 s, 1 m, ... */
	struct span retry_policy;
};
/* RocketMQ's defaults, without a name. */
struct group_config group_config_default(void);
void group_config_encode(struct json_writer *w, const struct group_config *config);

/* {"dataVersion":..,"forbiddenTable":{},"subscriptionGroupTable":{..}}, or one group (200, 352). */
struct group_config_table {
	struct data_version version;
	const struct group_config *groups;
	size_t group_count;
	struct json_doc doc;
};
void group_config_table_encode(struct json_writer *w, const struct data_version *version,
			       const struct group_config *groups, size_t group_count);
enum status group_config_table_decode(struct span body, struct group_config_table *out, struct errinfo *err) MUST_USE;
/* {"groupConfigList":[..]} of 225, in `groups`. ST_INVALID: one has no name, or is not as group_config_decode wants it. */
enum status group_config_list_decode(struct span body, struct group_config_table *out, struct errinfo *err) MUST_USE;
/* One SubscriptionGroupConfig. ST_INVALID: no groupName, an attribute (none means anything here), no right retry policy. */
enum status group_config_decode(struct span body, struct group_config_table *out, struct errinfo *err) MUST_USE;
void group_config_table_free(struct group_config_table *table);

#endif
