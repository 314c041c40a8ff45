/* What became of a record that the key index names: is there a message of this key that consumers may see?
 *
 * The index names MESSAGE, HALF and CARRY records. A half is a message only once it was committed, a delayed one once it was
 * delivered; both then go by the name of the record that did it.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_KEY_QUERY_H
#define ESCROW_CORE_KEY_QUERY_H

#include "broker/core/stored.h"

enum { KEY_MESSAGES_MAX = 64 }; /* Of an answer: RocketMQ's limit. */

struct key_query {
	struct span topic, key;
	bool tag;                 /* `key` is one. */
	int64_t begin_ms, end_ms; /* Store times, both inclusive. */
};

/* What the index says: records that may hold such messages, the latest first. */
struct key_hits {
	const uint64_t *offsets;
	size_t count;
	uint64_t indexed_to;  /* Records below were looked at. */
	int64_t indexed_ms;   /* Store time of the last one of them. */
	bool more;            /* There may be earlier ones. */
	struct key_found *found;
};

/* How far a query has come; kept from one run of its request to the next. */
struct key_found {
	size_t looked_at;     /* Of the hits. */
	size_t rounds;        /* Of hits before these. */
	size_t count;
	uint64_t names[KEY_MESSAGES_MAX]; /* Of its messages: log offsets, ascending. */
};

/* ST_NOTFOUND: none, or not yet. ST_AGAIN: something must be read first. */
enum status core_key_message(struct core *core, uint64_t record_offset, const struct key_query *query,
			     struct stored_message *out, struct errinfo *err) MUST_USE;

#endif
