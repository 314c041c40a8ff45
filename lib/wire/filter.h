/* Does a message's tag fit a subscription? Tag expressions: `*`, or `a || b`.
 *
 * Matching is by Java's hash of the tag, as queues store it; clients compare the text again, so that a collision costs
 * a message on the wire and nothing else. An untagged message (hash 0) fits only `*`.
 * Threads: a value. */
#ifndef ESCROW_WIRE_FILTER_H
#define ESCROW_WIRE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

enum { TAG_FILTER_TAGS_MAX = 64 };

/* A plain value: copy it freely. All zero matches everything. */
struct tag_filter {
	uint32_t count; /* 0: everything. */
	int32_t hashes[TAG_FILTER_TAGS_MAX]; /* Ascending, distinct. */
};

/* Empty and "*" are everything. ST_INVALID for an expression without a tag ("||"), ST_TOOBIG over 64 tags; the text is
 * a remark for the client. */
enum status tag_filter_parse(struct span expression, struct tag_filter *out, struct errinfo *err) MUST_USE;
/* A message with several tags (PROPERTY_ESCROW_TAGS) has this hash in its queue: its properties must be looked at. So must
 * those of a message whose one tag happens to have it. */
#define TAG_HASH_MANY INT32_MIN
/* Of several tags so many count. */
enum { MESSAGE_TAGS_MAX = 64 };

/* The next tag of `a || b`, trimmed, possibly empty; moves *rest on. Call while rest->size > 0. */
struct span tag_expression_next(struct span *rest);
bool tag_filter_equal(const struct tag_filter *a, const struct tag_filter *b);
/* The hash of a message's tag as queues store it; 0 without a tag. */
int32_t tag_hash(struct span tag);

static inline bool tag_filter_match(const struct tag_filter *filter, int32_t hash)
{
	uint32_t low = 0, high = filter->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (filter->hashes[middle] == hash)
			return true;
		if (filter->hashes[middle] < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return filter->count == 0;
}

#endif
