/* What are a message's properties? The string `name 0x01 value 0x02 name 0x01 value 0x02 ...`.
 *
 * Readers skip entries without a name or a value and do not mind whether the last 0x02 is there; of entries with the
 * same name the last one counts, as in RocketMQ's map. A second 0x01 belongs to the value. Writers end each entry
 * with 0x02. Threads: pure. */
#ifndef ESCROW_WIRE_PROPERTIES_H
#define ESCROW_WIRE_PROPERTIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

#define PROPERTY_KEYS "KEYS"
#define PROPERTY_TAGS "TAGS"
/* Ours: several tags, `a || b`. */
#define PROPERTY_ESCROW_TAGS "ESCROW_TAGS"
#define PROPERTY_WAIT "WAIT"
#define PROPERTY_DELAY "DELAY"
#define PROPERTY_RETRY_TOPIC "RETRY_TOPIC"
#define PROPERTY_REAL_TOPIC "REAL_TOPIC"
#define PROPERTY_REAL_QID "REAL_QID"
#define PROPERTY_TRAN_MSG "TRAN_MSG"
#define PROPERTY_PGROUP "PGROUP"
#define PROPERTY_MIN_OFFSET "MIN_OFFSET"
#define PROPERTY_MAX_OFFSET "MAX_OFFSET"
#define PROPERTY_ORIGIN_MESSAGE_ID "ORIGIN_MESSAGE_ID"
#define PROPERTY_RECONSUME_TIME "RECONSUME_TIME"
#define PROPERTY_MAX_RECONSUME_TIMES "MAX_RECONSUME_TIMES"
#define PROPERTY_MSG_REGION "MSG_REGION"
#define PROPERTY_TRACE_ON "TRACE_ON"
#define PROPERTY_UNIQ_KEY "UNIQ_KEY"
#define PROPERTY_CHECK_IMMUNITY "CHECK_IMMUNITY_TIME_IN_SECONDS"
#define PROPERTY_TRAN_PREPARED_QUEUE_OFFSET "TRAN_PREPARED_QUEUE_OFFSET"
#define PROPERTY_TRANSACTION_ID "__transactionId__"
#define PROPERTY_TRANSACTION_CHECK_TIMES "TRANSACTION_CHECK_TIMES"
#define PROPERTY_CLUSTER "CLUSTER"
#define PROPERTY_POP_CK "POP_CK"
#define PROPERTY_FIRST_POP_TIME "1ST_POP_TIME"
#define PROPERTY_SHARDING_KEY "__SHARDINGKEY"
#define PROPERTY_INSTANCE_ID "INSTANCE_ID"
#define PROPERTY_TIMER_DELAY_SEC "TIMER_DELAY_SEC"
#define PROPERTY_TIMER_DELAY_MS "TIMER_DELAY_MS"
#define PROPERTY_TIMER_DELIVER_MS "TIMER_DELIVER_MS"
#define PROPERTY_TIMER_OUT_MS "TIMER_OUT_MS"
#define PROPERTY_TIMER_ENQUEUE_MS "TIMER_ENQUEUE_MS"
#define PROPERTY_TIMER_DEL_UNIQKEY "TIMER_DEL_UNIQKEY"
#define PROPERTY_CORRELATION_ID "CORRELATION_ID"
#define PROPERTY_REPLY_TO_CLIENT "REPLY_TO_CLIENT"
#define PROPERTY_PUSH_REPLY_TIME "PUSH_REPLY_TIME"
#define PROPERTY_DLQ_ORIGIN_TOPIC "DLQ_ORIGIN_TOPIC"
#define PROPERTY_DLQ_ORIGIN_MESSAGE_ID "DLQ_ORIGIN_MESSAGE_ID"

enum { PROPERTY_NAME_END = 1, PROPERTY_VALUE_END = 2, PROPERTIES_SIZE_MAX = 32767 };

struct property {
	struct span name;
	struct span value;
};

/* The next entry that has a name and a value; moves *rest on. False at the end. */
bool property_next(struct span *rest, struct property *out);
/* The value of `name`, {NULL, 0} if absent. */
struct span property_get(struct span properties, const char *name);
/* Whether the value reads "true" (any case), as Java's Boolean.parseBoolean. */
bool property_value_is_true(struct span value);
bool property_is_true(struct span properties, const char *name);
/* A decimal value within i64; `def` when absent or not a number. */
int64_t property_get_i64(struct span properties, const char *name, int64_t def);

/* The properties that a broker acts on, found in one pass; {NULL, 0} where absent. */
struct known_properties {
	struct span keys, tags, escrow_tags, wait, delay, retry_topic, real_topic, real_qid, tran_msg, pgroup, uniq_key,
		origin_message_id, check_immunity, transaction_id, check_times, timer_delay_sec, timer_delay_ms,
		timer_deliver_ms, timer_out_ms, timer_del_uniqkey, pop_ck, max_reconsume_times, cluster, msg_region, trace_on;
};
void properties_scan(struct span properties, struct known_properties *out);

/* The next word of KEYS, which holds several with blanks between; moves *rest on. False at the end. */
bool word_next(struct span *rest, struct span *word_out);

/* Appends one entry. `name` and `value` must not hold 0x01 or 0x02; ST_INVALID names the culprit (foreign input). */
enum status property_append(struct buffer *out, struct span name, struct span value, struct errinfo *err) MUST_USE;
/* The same for a name that is ours and any value: an empty value writes nothing, 0x01 and 0x02 in it become '?'. */
void property_put(struct buffer *out, const char *name, struct span value);
void property_put_i64(struct buffer *out, const char *name, int64_t value);
/* Appends every entry of `properties` whose name is not in `without` (NULL-terminated, may be NULL), each ended by
 * 0x02: strip, then put, is how a property is set. */
void properties_copy(struct buffer *out, struct span properties, const char *const *without);

/* Java's String.hashCode() of UTF-8 text: over UTF-16 code units, wrapping. Tag hashes are this. Malformed UTF-8
 * counts as U+FFFD per byte. */
int32_t java_string_hash(struct span text);

#endif
