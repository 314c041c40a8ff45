/* Who is this client, what does it produce and consume? The body of HEART_BEAT (34), and the small body about
 * clients: GET_CONSUMER_LIST_BY_GROUP's answer (38).
 *
 * Decoding tolerates what clients send: enums as ordinals, numbers as texts, absent sets (C++).
 * Threads: a decoded body belongs to one thread. */
#ifndef ESCROW_WIRE_BODY_HEARTBEAT_H
#define ESCROW_WIRE_BODY_HEARTBEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/wire/json_body.h"

enum { CONSUME_ACTIVELY = 0, CONSUME_PASSIVELY = 1, CONSUME_POP = 2 };
enum { MODEL_BROADCASTING = 0, MODEL_CLUSTERING = 1 };
enum {
	CONSUME_FROM_LAST_OFFSET = 0,
	CONSUME_FROM_FIRST_OFFSET = 4,
	CONSUME_FROM_TIMESTAMP = 5,
};

/* What RocketMQ calls these numbers; empty out of range. */
struct span consume_type_name(int32_t consume_type);
struct span consume_from_where_name(int32_t consume_from_where);

struct subscription_data {
	struct span topic;
	struct span sub_string;      /* The expression; empty means "*". */
	struct span expression_type; /* Empty means TAG. */
	int64_t sub_version;
	bool class_filter_mode;
};

struct consumer_data {
	struct span group_name;
	int32_t consume_type;       /* CONSUME_*; default passively. */
	int32_t message_model;      /* MODEL_*; default clustering. */
	int32_t consume_from_where; /* RocketMQ's ordinal 0..5; default 0. */
	bool unit_mode;
	const struct subscription_data *subscriptions;
	size_t subscription_count;
};

struct heartbeat {
	struct span client_id;
	const struct span *producer_groups;
	size_t producer_count;
	const struct consumer_data *consumers;
	size_t consumer_count;
	int32_t fingerprint; /* 0: version 1 of the heartbeat. */
	bool without_sub;    /* A short beat of version 2: the empty sets do not mean "unsubscribed". */
	struct json_doc doc; /* Owns everything that the spans and arrays point at. */
};

/* ST_INVALID (no clientID, not JSON, ...), ST_TOOBIG, ST_NOMEM. After ST_OK: heartbeat_free. Entries without a name are
 * left out. */
enum status heartbeat_decode(struct span body, struct heartbeat *out, struct errinfo *err) MUST_USE;
void heartbeat_free(struct heartbeat *heartbeat);
/* Writes the body; keys in RocketMQ's order, tagsSet and codeSet derived from the expression. */
void heartbeat_encode(struct buffer *out, const struct heartbeat *heartbeat);

/* CHECK_CLIENT_CONFIG's body. Without a subscription (topic empty) there is nothing to check. Errors as heartbeat_decode; after
 * ST_OK: json_doc_free. */
enum status check_client_decode(struct span body, struct subscription_data *out, struct json_doc *doc,
				struct errinfo *err) MUST_USE;

/* {"consumerIdList":["a","b"]}: begin, then each id, then end. */
void consumer_list_begin(struct json_writer *w, struct buffer *out);
void consumer_list_add(struct json_writer *w, struct span client_id);
void consumer_list_end(struct json_writer *w);

/* A list of names: the consumer list's or TopicList's array. */
struct name_list {
	const struct span *names;
	size_t count;
	struct json_doc doc;
};
enum status consumer_list_decode(struct span body, struct name_list *out, struct errinfo *err) MUST_USE;
void name_list_free(struct name_list *list);

#endif
