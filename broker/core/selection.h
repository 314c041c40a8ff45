/* Which messages does a pull want? First by the tag's hash, which the queue's entry has; where that cannot tell (SQL92, a
 * message with several tags), by the message's properties.
 *
 * A message with several tags has them in ESCROW_TAGS, `a || b`, beside its TAGS. It fits a subscription that names any of
 * them. Clients compare TAGS with their subscription once more, so such a message is delivered with the tag that fits as its
 * TAGS; texts are compared here, not only hashes, lest a client drops what a collision chose.
 * Threads: pure. */
#ifndef ESCROW_CORE_SELECTION_H
#define ESCROW_CORE_SELECTION_H

#include "broker/core/pull_request.h"
#include "lib/base/bytes.h"

enum fit { FIT_NO, FIT_YES, FIT_LOOK /* At the properties. */ };

enum fit selection_by_hash(const struct pull_request *pull, int32_t tag_hash);
/* *tag_out: deliver it with this tag (borrowed from `properties`); empty: as it is. */
bool selection_by_properties(const struct pull_request *pull, struct span properties, struct span *tag_out);
/* What selection_by_properties costs, in about bytes read. */
size_t selection_cost(const struct pull_request *pull, struct span properties);

/* The tags of a message, one after the other: TAGS, then those of ESCROW_TAGS, MESSAGE_TAGS_MAX of these at most. */
struct message_tags {
	struct span first;
	struct span rest;
	int left;
};
struct message_tags message_tags_of(struct span properties);
/* Never empty. False at the end. */
bool message_tags_next(struct message_tags *tags, struct span *tag_out);

#endif
