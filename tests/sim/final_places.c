#include "tests/sim/final_places.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/record/record_message.h"
#include "lib/record/record_transaction.h"
#include "lib/wire/message.h"
#include "lib/wire/properties.h"
#include "tests/sim/model.h"
#include "tests/sim/report.h"

/* The item whose message a record holds. */
struct body {
	uint64_t offset;
	uint32_t item;
};

static struct {
	struct gone_places *gone; /* By item. */
	struct body *bodies;      /* Of one broker, ascending. */
	size_t body_count, body_capacity;
	int broker;
} places;

void final_places_begin(void)
{
	memset(&places, 0, sizeof(places));
	places.gone = calloc(model_item_end() + 1, sizeof(*places.gone));
	if (places.gone == NULL)
		abort();
}

void final_places_end(void)
{
	free(places.gone);
	free(places.bodies);
	memset(&places, 0, sizeof(places));
}

const struct gone_places *final_places_gone(uint32_t item)
{
	return &places.gone[item];
}

/* --- bodies --------------------------------------------------------------------------------------------------------------- */

static void note_body(uint64_t offset, const struct item *item)
{
	struct body *bodies = array_with_room(places.bodies, places.body_count, &places.body_capacity, sizeof(*bodies));

	if (bodies == NULL)
		abort();
	places.bodies = bodies;
	places.bodies[places.body_count++] = (struct body){ offset, item->number };
}

/* NULL: not one of ours (a fair's). */
static const struct item *item_in_body(uint64_t offset)
{
	size_t low = 0, high = places.body_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (places.bodies[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < places.body_count && places.bodies[low].offset == offset ? model_item(places.bodies[low].item) : NULL;
}

static const struct item *item_of_message(struct span stored)
{
	struct message message;

	return message_decode(stored, &message, NULL) == ST_OK ?
		model_by_key(property_get(message.properties, PROPERTY_UNIQ_KEY)) : NULL;
}

/* --- places --------------------------------------------------------------------------------------------------------------- */

static void count_gone(struct gone_places *gone, int place, bool seen)
{
	bool of_topic = place < TOPICS_MAX, of_group = !of_topic && place < place_pop_retry(0);

	gone->popped |= !of_group;
	if (seen)
		return;
	if (of_topic)
		gone->published++;
	else if (of_group)
		gone->back[place < place_dead(0) ? place - place_retry(0) : place - place_dead(0)]++;
}

/* A message by the record at `log_offset`. */
struct naming {
	uint64_t log_offset, body_offset;
	struct span topic;
	uint32_t queue_id;
	uint64_t queue_offset;
};

static void judge(const struct item *item, uint64_t start, const struct naming *naming)
{
	int place = model_place_of(naming->topic);

	if (item == NULL || place < 0 || naming->queue_id >= QUEUES_MAX)
		return;
	uint32_t seen = model_item_at(places.broker, place, (int)naming->queue_id, naming->queue_offset);
	if (seen != 0 && seen != item->number)
		violation("I1", "the log has %s at offset %" PRIu64 " of queue %u of %.*s, read was item %u", item->key,
			  naming->queue_offset, naming->queue_id, SPAN_ARGS(naming->topic), seen);
	if (naming->log_offset < start || naming->body_offset < start)
		count_gone(&places.gone[item->number], place, seen != 0);
	else if (seen == 0 && !model_was_over(places.broker, naming->log_offset))
		violation("I1", "%s is at offset %" PRIu64 " of queue %u of %.*s, by the record at %" PRIu64
			  " of the log, which begins at %" PRIu64 ": it was not read", item->key, naming->queue_offset,
			  naming->queue_id, SPAN_ARGS(naming->topic), naming->log_offset, start);
}

static void see_message(uint64_t start, const struct log_record *record)
{
	struct record_message message;

	if (record_message_decode(record->payload, &message, NULL) != ST_OK)
		return;
	const struct item *item = item_of_message(message.message);
	if (item == NULL)
		return;
	note_body(record->offset, item);
	if (message.deliver_at_ms == 0)
		judge(item, start, &(struct naming){ record->offset, record->offset, message.topic, message.queue_id,
						     message.queue_offset });
}

static void see_half(const struct log_record *record)
{
	struct record_half half;
	bool good = record_half_decode(record->payload, &half, NULL) == ST_OK;
	const struct item *item = good ? model_by_key(half.unique_key) : NULL;

	if (item != NULL)
		note_body(record->offset, item);
}

static void see_carry(const struct log_record *record)
{
	struct record_carry carry;
	bool good = record_carry_decode(record->payload, &carry, NULL) == ST_OK;
	const struct item *item = good ? item_in_body(carry.original_offset) : NULL;

	if (item != NULL)
		note_body(record->offset, item);
}

static void see_decision(uint64_t start, const struct log_record *record)
{
	struct record_decision decision;

	if (record_decision_decode(record->payload, &decision, NULL) != ST_OK || decision.outcome != OUTCOME_COMMIT ||
	    decision.deliver_at_ms != 0)
		return;
	judge(item_in_body(decision.body_offset), start,
	      &(struct naming){ record->offset, decision.body_offset, decision.topic, decision.queue_id, decision.queue_offset });
	if (decision.body_offset != decision.half_offset)
		event_seen(SEEN_CARRIED_COMMITTED);
}

static void see_delivery(uint64_t start, const struct log_record *record)
{
	struct record_deliver deliver;

	if (record_deliver_decode(record->payload, &deliver, NULL) != ST_OK)
		return;
	judge(item_in_body(deliver.body_offset), start,
	      &(struct naming){ record->offset, deliver.body_offset, deliver.topic, deliver.queue_id, deliver.queue_offset });
	if (!deliver.transactional && deliver.body_offset != deliver.source_offset)
		event_seen(SEEN_CARRIED_DELIVERED);
}

void final_places_see(int broker, uint64_t start, const struct log_record *record)
{
	if (places.broker != broker)
		places.body_count = 0;
	places.broker = broker;
	switch (record->kind) {
	case LOG_MESSAGE: see_message(start, record); break;
	case LOG_HALF: see_half(record); break;
	case LOG_CARRY: see_carry(record); break;
	case LOG_DECISION: see_decision(start, record); break;
	case LOG_DELIVER: see_delivery(start, record); break;
	default: break;
	}
}
