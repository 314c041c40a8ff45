#include "tests/sim/model.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkback/checkback.h"
#include "lib/wire/names.h"
#include "lib/wire/properties.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/engine.h"
#include "tests/sim/report.h"

enum { TICK_US = 15000 }; /* A broker looks at its clocks each 10 ms at least. */

/* What was seen at one place of a queue. */
struct seen {
	bool known;
	uint32_t item;
	uint64_t log_offset;
	int64_t store_ms;
};

struct seen_queue {
	struct seen *seen;
	uint64_t capacity, dense_end;
	uint8_t *consumed[CONSUMER_GROUPS]; /* A byte a message; same capacity. */
	uint8_t *popped;
	int64_t offset_max[CONSUMER_GROUPS]; /* The highest one that the group ever asked to be kept. */
};

static struct {
	struct item *items;
	uint32_t item_end, item_max;
	struct seen_queue queues[BROKERS_MAX][PLACES_MAX][QUEUES_MAX];
	int64_t last_jump_us[BROKERS_MAX], last_start_us[BROKERS_MAX];
	uint64_t log_end[BROKERS_MAX]; /* When the history was over. */
	bool closing;
} model;

static void *must(void *p)
{
	if (p == NULL) {
		fputs("sim: out of memory\n", stderr);
		abort();
	}
	return p;
}

void model_begin(uint32_t item_max)
{
	memset(&model, 0, sizeof(model));
	model.item_max = item_max;
	model.items = must(calloc(item_max, sizeof(*model.items)));
	for (int i = 0; i < BROKERS_MAX; i++)
		model.last_jump_us[i] = model.last_start_us[i] = -1;
}

void model_end(void)
{
	for (int b = 0; b < BROKERS_MAX; b++) {
		for (int p = 0; p < PLACES_MAX; p++) {
			for (int q = 0; q < QUEUES_MAX; q++) {
				free(model.queues[b][p][q].seen);
				free(model.queues[b][p][q].popped);
				for (int g = 0; g < CONSUMER_GROUPS; g++)
					free(model.queues[b][p][q].consumed[g]);
			}
		}
	}
	free(model.items);
	memset(&model, 0, sizeof(model));
}

/* --- items ------------------------------------------------------------------------------------------------------------ */

struct item *model_add(uint32_t number)
{
	assert(number < model.item_max && !model.items[number].used);
	struct item *item = &model.items[number];
	*item = (struct item){ .used = true, .number = number, .broker = -1 };
	snprintf(item->key, sizeof(item->key), "%012" PRIX64 "-%08X", engine_seed() & 0xffffffffffff, number);
	if (number >= model.item_end)
		model.item_end = number + 1;
	return item;
}

struct item *model_item(uint32_t number)
{
	return number < model.item_end && model.items[number].used ? &model.items[number] : NULL;
}

struct item *model_by_key(struct span key)
{
	char text[KEY_SIZE];
	unsigned number;

	if (span_to_cstr(key, text, sizeof(text)) != ST_OK || sscanf(text, "%*12[0-9A-F]-%8X", &number) != 1)
		return NULL;
	struct item *item = model_item(number);
	return item != NULL && strcmp(item->key, text) == 0 ? item : NULL;
}

uint32_t model_item_end(void)
{
	return model.item_end;
}

void model_body(const struct item *item, struct buffer *out)
{
	uint8_t *at = buffer_reserve(out, item->body_size);
	uint64_t state = item->number;

	if (at == NULL)
		return;
	for (uint32_t i = 0; i < item->body_size; i++) {
		if (i % 8 == 0)
			state = chance_mix(state + i + 1);
		at[i] = (uint8_t)(state >> (i % 8 * 8));
	}
	buffer_commit(out, item->body_size);
}

uint32_t model_word(const struct item *item)
{
	return (uint32_t)(chance_mix(item->number) % WORDS);
}

void model_word_text(uint32_t word, char out[KEY_SIZE])
{
	snprintf(out, KEY_SIZE, "customer-%u", word);
}

void model_keys(const struct item *item, char out[KEY_SIZE])
{
	char word[KEY_SIZE];

	model_word_text(model_word(item), word);
	snprintf(out, KEY_SIZE, "%.16s order-%u", word, item->number);
}

static bool body_is(const struct item *item, struct span body)
{
	struct buffer wanted;

	buffer_init(&wanted, 0);
	model_body(item, &wanted);
	bool same = span_equal(buffer_span(&wanted), body);
	buffer_deinit(&wanted);
	return same;
}

/* --- sending ---------------------------------------------------------------------------------------------------------- */

void model_sent(struct item *item, int broker)
{
	if (item->sends++ == 0)
		item->first_sent_us = engine_now_us();
	if (item->transactional && item->broker != broker) {
		item->broker = broker;
		item->life_at_first = broker_node_life(broker_node(broker));
	}
}

/* What is acknowledged is at least as safe as the broker promises, as long as it is the same broker. */
static void check_committed(const struct item *item, int broker, uint64_t log_offset, const char *what)
{
	struct broker_node *node = broker_node(broker);

	if (broker_node_core(node) != NULL && log_offset >= broker_node_committed(node))
		violation("I1", "%s of %s is acknowledged at log offset %" PRIu64 ", but only what is below %" PRIu64 " is committed",
			  what, item->key, log_offset, broker_node_committed(node));
}

void model_send_acked(struct item *item, int broker, uint64_t log_offset)
{
	item->acks++;
	item->acked_broker = broker;
	item->acked_offset = log_offset;
	check_committed(item, broker, log_offset, "a send");
}

/* A copy that was taken back is there. A clock that was set since may have made it due before it was asked for. */
static void check_recalled(const struct item *item)
{
	if (item->recall_acked && item->published >= item->sends &&
	    model.last_jump_us[item->acked_broker] + TICK_US < item->first_sent_us)
		violation("I3", "%s was recalled, and is there %u times", item->key, item->published);
}

void model_recalled(struct item *item)
{
	item->recall_acked = true;
	event_seen(SEEN_RECALL);
	check_recalled(item);
}

/* Is it another half than the one that was acknowledged, or asked about? */
static bool is_another_half(const struct item *item, uint64_t half_offset, uint64_t half_queue_offset)
{
	return item->half_offset != 0 && (item->half_offset != half_offset || item->half_queue_offset != half_queue_offset);
}

/* Under its key another half may stand only when the log need not know the first any more: then all begins anew. */
static void check_half_place(struct item *item, int broker, const char *how, uint64_t half_offset, uint64_t half_queue_offset)
{
	if (!is_another_half(item, half_offset, half_queue_offset))
		return;
	if (!broker_node_let_go(broker_node(broker), item->half_offset)) {
		violation("I1", "half %s was acknowledged at %" PRIu64 "/%" PRIu64 ", %s it is at %" PRIu64 "/%" PRIu64, item->key,
			  item->half_offset, item->half_queue_offset, how, half_offset, half_queue_offset);
		return;
	}
	item->again = true;
	item->acked = 0;
}

void model_half_acked(struct item *item, int broker, uint64_t half_offset, uint64_t half_queue_offset)
{
	check_committed(item, broker, half_offset, "a half");
	check_half_place(item, broker, "sent again", half_offset, half_queue_offset);
	if (item->half_acked)
		event_seen(SEEN_RESEND);
	item->half_acked = true;
	item->broker = broker;
	item->half_offset = half_offset;
	item->half_queue_offset = half_queue_offset;
}

/* Could it have been decided so? By whoever asked for it, or by the policy. */
static bool may_be(const struct item *item, enum record_outcome outcome)
{
	bool asked = outcome == OUTCOME_COMMIT ? item->commit_asked : item->rollback_asked;
	int policy = outcome == OUTCOME_COMMIT ? POLICY_COMMIT : POLICY_ROLLBACK;
	bool by_policy = settings()->undecided_policy == policy && item->unknown_answers >= (uint32_t)settings()->check_max;

	return asked || by_policy;
}

void model_half_refused(struct item *item, const char *remark)
{
	item->half_refused = true;
	event_seen(SEEN_RESEND_REFUSED);
	if (!may_be(item, OUTCOME_ROLLBACK))
		violation("I4", "half %s, sent again, is refused (%s), but nobody asked to roll it back", item->key, remark);
}

/* --- transactions ------------------------------------------------------------------------------------------------------- */

static enum record_outcome opposite(enum record_outcome outcome)
{
	return outcome == OUTCOME_COMMIT ? OUTCOME_ROLLBACK : OUTCOME_COMMIT;
}

void model_decision_asked(struct item *item, enum record_outcome outcome, bool from_check)
{
	item->commit_asked |= outcome == OUTCOME_COMMIT;
	item->rollback_asked |= outcome == OUTCOME_ROLLBACK;
	item->unknown_answers += outcome == 0 && from_check;
}

/* Who was paused finds many questions about one transaction and answers them all at once: for a broker that is one answer, as
 * no two are counted within one check interval. */
static void note_unknown_acked(struct item *item)
{
	if (item->unknown_acked > 0 && engine_now_us() - item->unknown_acked_us < settings()->check_interval_ms * 1000)
		return;
	item->unknown_acked++;
	item->unknown_acked_us = engine_now_us();
}

void model_decision_acked(struct item *item, enum record_outcome outcome, bool from_check)
{
	if (outcome == 0) {
		if (from_check)
			note_unknown_acked(item);
		return;
	}
	if (item->acked == opposite(outcome))
		violation("I2", "%s of %s is acknowledged, and before that its opposite was", record_outcome_text(outcome), item->key);
	if (item->acked == outcome)
		event_seen(outcome == OUTCOME_COMMIT ? SEEN_COMMIT_AGAIN : SEEN_ROLLBACK_AGAIN);
	item->acked = outcome;
}

void model_decision_refused(struct item *item, enum record_outcome outcome, int code, const char *remark)
{
	if (code == RESP_SYSTEM_ERROR && broker_node_let_go(broker_node(item->broker), item->half_offset)) {
		item->past_asked = true;
		item->past_start = broker_node_log_start_max(broker_node(item->broker));
		event_seen(SEEN_PAST_END);
		return;
	}
	if (code != RESP_ILLEGAL_OPERATION) {
		violation("I1", "END of the acknowledged half %s is answered with %d: %s", item->key, code, remark);
		return;
	}
	event_seen(SEEN_REFUSAL);
	if (outcome == 0 || !may_be(item, opposite(outcome)))
		violation("I4", "END of %s is refused (%s), but nobody asked for the opposite", item->key, remark);
	if (item->acked == outcome)
		violation("I4", "END of %s is refused (%s), but the same was acknowledged before", item->key, remark);
}

void model_operator_asked(struct item *item, enum record_outcome outcome)
{
	item->operator_asked = true;
	item->commit_asked |= outcome == OUTCOME_COMMIT;
	item->rollback_asked |= outcome == OUTCOME_ROLLBACK;
	item->park_asked |= outcome == OUTCOME_PARK;
}

/* While a broker runs its monotonic clock decides, so no clock that jumps makes a check come early. After a start the wall
 * clock has its say, within limits; who resumes a parked transaction has it asked about at once. */
static bool is_early(const struct item *item, int broker)
{
	int64_t age_us = engine_now_us() - item->first_sent_us;

	return !item->operator_asked && model.last_start_us[broker] < item->first_sent_us &&
	       age_us < item->immunity_ms * 1000 - TICK_US;
}

/* After so many answers the policy decides. A start may forget what was counted last, and questions may be under way. */
static bool is_asked_for_ever(const struct item *item, int broker)
{
	uint32_t starts = broker_node_life(broker_node(broker)) - item->life_at_first;

	return !item->operator_asked && item->unknown_acked > (uint32_t)settings()->check_max + 3 + 2 * starts;
}

struct item *model_checked(struct span key, int broker, uint64_t half_offset, uint64_t half_queue_offset)
{
	struct item *item = model_by_key(key);

	if (item == NULL || !item->transactional || item->sends == 0) {
		violation("I3", "a check-back for %.*s, which nobody sent", SPAN_ARGS(key));
		return NULL;
	}
	check_half_place(item, broker, "asked about", half_offset, half_queue_offset);
	if (is_early(item, broker))
		violation("I5", "a check-back for %s after %" PRId64 " us, it was not to come before %" PRId64 " ms", item->key,
			  engine_now_us() - item->first_sent_us, item->immunity_ms);
	if (is_asked_for_ever(item, broker))
		violation("I5", "%s is asked about after %u acknowledged UNKNOWNs, transactionCheckMax is %d", item->key,
			  item->unknown_acked, settings()->check_max);
	event_seen(SEEN_CHECK);
	if (half_offset < broker_node_log_start(broker_node(broker)))
		event_seen(SEEN_CARRIED_CHECK);
	return item;
}

void model_clock_jumped(int broker)
{
	model.last_jump_us[broker] = engine_now_us();
}

void model_broker_started(int broker)
{
	model.last_start_us[broker] = engine_now_us();
}

/* --- places ------------------------------------------------------------------------------------------------------------- */

struct span model_place_name(int place, uint8_t out[256])
{
	if (place < TOPICS_MAX)
		return span_of(topic_name(place));
	if (place < place_dead(0))
		return retry_topic_name(span_of(consumer_group_name(place - TOPICS_MAX)), out);
	if (place < place_pop_retry(0))
		return dlq_topic_name(span_of(consumer_group_name(place - place_dead(0))), out);
	if (place == place_pop_dead())
		return dlq_topic_name(span_of(pop_group_name()), out);
	snprintf((char *)out, 256, "%%RETRY%%%s_%s", pop_group_name(), topic_name(place - place_pop_retry(0)));
	return span_of((const char *)out);
}

int model_place_of(struct span topic)
{
	uint8_t text[256];

	for (int place = 0; place < PLACES_MAX; place++) {
		if (span_equal(model_place_name(place, text), topic))
			return place;
	}
	return -1;
}

/* --- seeing ------------------------------------------------------------------------------------------------------------- */

static struct seen_queue *queue_at(int broker, int place, int queue)
{
	return &model.queues[broker][place][queue];
}

static uint8_t *grown(uint8_t *bytes, uint64_t old, uint64_t capacity)
{
	bytes = must(realloc(bytes, capacity));
	memset(bytes + old, 0, capacity - old);
	return bytes;
}

static struct seen *seen_at(struct seen_queue *queue, uint64_t offset)
{
	if (offset >= queue->capacity) {
		uint64_t capacity = queue->capacity == 0 ? 64 : queue->capacity;

		while (capacity <= offset)
			capacity *= 2;
		queue->seen = must(realloc(queue->seen, capacity * sizeof(*queue->seen)));
		memset(queue->seen + queue->capacity, 0, (capacity - queue->capacity) * sizeof(*queue->seen));
		for (int g = 0; g < CONSUMER_GROUPS; g++)
			queue->consumed[g] = grown(queue->consumed[g], queue->capacity, capacity);
		queue->popped = grown(queue->popped, queue->capacity, capacity);
		queue->capacity = capacity;
	}
	return &queue->seen[offset];
}

static void check_content(const struct item *item, int place, const struct message *message)
{
	struct known_properties known;
	char keys[KEY_SIZE];

	properties_scan(message->properties, &known);
	model_keys(item, keys);
	if (!body_is(item, message->body) || !message_crc_matches(message))
		violation("I3", "the body of %s is not what was sent", item->key);
	if (!span_is(known.tags, tag_name(item->tag)))
		violation("I3", "the tag of %s is %.*s", item->key, SPAN_ARGS(known.tags));
	if (!span_is(known.keys, keys))
		violation("I3", "the KEYS of %s are %.*s", item->key, SPAN_ARGS(known.keys));
	if (place < TOPICS_MAX && place != item->topic)
		violation("I3", "%s is in topic %s", item->key, topic_name(place));
	if (place >= TOPICS_MAX && place < place_pop_retry(0) && !span_is(known.retry_topic, topic_name(item->topic)))
		violation("I3", "%s came back with RETRY_TOPIC %.*s", item->key, SPAN_ARGS(known.retry_topic));
}

/* Is it too early to see it? Only judged while the broker's clock ran as ours does: what it took in before it looked at a
 * clock that had just been set is stamped with the time before. */
static void check_due(const struct item *item, int broker)
{
	if (item->delay_level == 0)
		return;
	int64_t delay_us = (settings()->delay_level_ms[item->delay_level - 1] + 999) / 1000 * 1000000;
	if (model.last_jump_us[broker] + TICK_US < item->first_sent_us && engine_now_us() - item->first_sent_us < delay_us - TICK_US)
		violation("I3", "%s is delivered after %" PRId64 " us, its delay is %" PRId64 " us", item->key,
			  engine_now_us() - item->first_sent_us, delay_us);
	event_seen(item->transactional ? SEEN_DELAYED_TXN : SEEN_DELAYED);
}

/* The first time that it is seen there. */
static void check_new(struct item *item, int broker, int place, const struct message *message)
{
	if (place >= place_pop_retry(0)) {
		item->pop_dead |= place == place_pop_dead();
		event_seen(place == place_pop_dead() ? SEEN_POP_DEAD : SEEN_POP_AGAIN);
		return;
	}
	if (place >= TOPICS_MAX) {
		int group = place < place_dead(0) ? place - TOPICS_MAX : place - place_dead(0);

		event_seen(place < place_dead(0) ? SEEN_RETRY : SEEN_DEAD_LETTER);
		if (++item->came_back[group] > item->back_asked[group])
			violation("I2", "%s came back more often than it was sent back", item->key);
		return;
	}
	item->published++;
	check_due(item, broker);
	if (!item->transactional) {
		if (item->published > item->sends)
			violation("I2", "%s was sent %u times and is there %u times", item->key, item->sends, item->published);
		check_recalled(item);
		return;
	}
	if (item->published > 1 && !item->again)
		violation("I2", "transaction %s is published twice", item->key);
	if (!may_be(item, OUTCOME_COMMIT))
		violation("I3", "transaction %s is visible, and nobody asked to commit it", item->key);
	if (item->acked == OUTCOME_ROLLBACK)
		violation("I3", "transaction %s is visible, its rollback was acknowledged", item->key);
	if (item->half_acked && (uint64_t)message->prepared_transaction_offset != item->half_offset)
		violation("I1", "transaction %s names a half at %" PRId64 ", acknowledged was %" PRIu64, item->key,
			  message->prepared_transaction_offset, item->half_offset);
}

static void check_order(const struct seen_queue *queue, uint64_t offset, const struct message *message, const char *key)
{
	const struct seen *before = offset > 0 ? &queue->seen[offset - 1] : NULL;

	if (before == NULL || !before->known)
		return;
	if (before->store_ms > message->store_timestamp)
		violation("I7", "store times go back along a queue, at %s", key);
	if (before->log_offset >= (uint64_t)message->physical_offset)
		violation("I7", "log offsets do not ascend along a queue, at %s", key);
}

struct item *model_saw(int broker, int place, int queue_id, const struct message *message)
{
	struct seen_queue *queue = queue_at(broker, place, queue_id);
	struct span key = property_get(message->properties, PROPERTY_UNIQ_KEY);
	struct item *item = model_by_key(key);
	uint64_t offset = (uint64_t)message->queue_offset, log_offset = (uint64_t)message->physical_offset;

	if (item == NULL || item->sends == 0) {
		violation("I3", "a message that nobody sent: %.*s", SPAN_ARGS(key));
		return NULL;
	}
	struct seen *seen = seen_at(queue, offset);
	if (seen->known) {
		if (seen->item != item->number || seen->log_offset != log_offset || seen->store_ms != message->store_timestamp)
			violation("I1", "at offset %" PRIu64 " of queue %d there was item %u at log offset %" PRIu64 ", now there is %s at %" PRIu64,
				  offset, queue_id, seen->item, seen->log_offset, item->key, log_offset);
		return item;
	}
	*seen = (struct seen){ true, item->number, log_offset, message->store_timestamp };
	check_content(item, place, message);
	check_order(queue, offset, message, item->key);
	check_new(item, broker, place, message);
	if (broker_node_core(broker_node(broker)) != NULL && log_offset >= broker_node_committed(broker_node(broker)))
		violation("I1", "%s is seen at log offset %" PRIu64 ", but only what is below %" PRIu64 " is committed", item->key,
			  log_offset, broker_node_committed(broker_node(broker)));
	while (queue->dense_end < queue->capacity && queue->seen[queue->dense_end].known)
		queue->dense_end++;
	return item;
}

void model_walk(int broker, int place, model_visit visit, void *context)
{
	for (int q = 0; q < QUEUES_MAX; q++) {
		const struct seen_queue *queue = queue_at(broker, place, q);

		for (uint64_t offset = 0; offset < queue->capacity; offset++) {
			const struct seen *seen = &queue->seen[offset];

			if (seen->known)
				visit(context, model_item(seen->item), seen->log_offset, seen->store_ms);
		}
	}
}

uint64_t model_dense_end(int broker, int place, int queue)
{
	return queue_at(broker, place, queue)->dense_end;
}

uint32_t model_item_at(int broker, int place, int queue_id, uint64_t offset)
{
	const struct seen_queue *queue = queue_at(broker, place, queue_id);

	return offset < queue->capacity && queue->seen[offset].known ? queue->seen[offset].item : 0;
}

bool model_seen_time(int broker, int place, int queue_id, uint64_t offset, int64_t *store_ms_out)
{
	const struct seen_queue *queue = queue_at(broker, place, queue_id);

	if (offset >= queue->capacity || !queue->seen[offset].known)
		return false;
	*store_ms_out = queue->seen[offset].store_ms;
	return true;
}

uint64_t model_seen_log_offset(int broker, int place, int queue_id, uint64_t offset)
{
	return queue_at(broker, place, queue_id)->seen[offset].log_offset;
}

void model_passed_over(int broker, int place, int queue_id, int64_t from, int64_t to)
{
	const struct seen_queue *queue = queue_at(broker, place, queue_id);

	for (uint64_t at = (uint64_t)from; at < (uint64_t)to && at < queue->capacity; at++) {
		if (queue->seen[at].known && !broker_node_let_go(broker_node(broker), queue->seen[at].log_offset))
			violation("I1", "offset %" PRIu64 " of queue %d of place %d lies at %" PRIu64
				  " of the log, it is passed over up to %" PRId64, at, queue_id, place, queue->seen[at].log_offset, to);
	}
}

void model_min_told(int broker, int place, int queue_id, int64_t min_offset, uint64_t start)
{
	const struct seen_queue *queue = queue_at(broker, place, queue_id);
	uint64_t min = (uint64_t)min_offset;

	if (min > 0 && min <= queue->capacity && queue->seen[min - 1].known &&
	    !broker_node_let_go(broker_node(broker), queue->seen[min - 1].log_offset))
		violation("I1", "queue %d of place %d is to begin at %" PRIu64 ", but what is before it lies at %" PRIu64
			  " of the log", queue_id, place, min, queue->seen[min - 1].log_offset);
	if (min < queue->capacity && queue->seen[min].known && queue->seen[min].log_offset < start)
		violation("I7", "queue %d of place %d is to begin at %" PRIu64 ", which lay at %" PRIu64
			  " of the log, before its start", queue_id, place, min, queue->seen[min].log_offset);
}

struct item *model_popped(int broker, int place, const struct message *message)
{
	struct seen_queue *queue = queue_at(broker, place, message->queue_id);
	struct item *item = model_saw(broker, place, message->queue_id, message);

	if (item == NULL)
		return NULL;
	uint8_t *popped = &queue->popped[message->queue_offset];
	if (*popped != 0)
		violation("I2", "POP gives %s out again, at offset %" PRId64 " of queue %d of place %d", item->key, message->queue_offset,
			  message->queue_id, place);
	*popped = 1;
	return item;
}

void model_pop_done(struct item *item)
{
	item->pop_done = true;
}

/* Each copy that comes again is of one that was not settled, but for a crash between the copy and its settlement. */
void model_pop_acked(struct item *item, int broker, int64_t asked_us, int64_t invisible_ms)
{
	uint32_t copies = item->transactional ? 1 : item->sends;

	if (model.last_jump_us[broker] >= asked_us || engine_now_us() >= asked_us + invisible_ms * 1000 - TICK_US)
		return;
	if (++item->pop_settled > copies + broker_node_life(broker_node(broker)))
		violation("I2", "POP settled %s %u times, it was stored %u times at most", item->key, item->pop_settled, copies);
}

void model_back_asked(struct item *item, int group)
{
	item->back_asked[group]++;
}

void model_back_acked(struct item *item, int group)
{
	if (!model.closing)
		item->back_acked[group]++;
}

void model_closing(int broker, uint64_t log_end)
{
	model.closing = true;
	model.log_end[broker] = log_end;
}

bool model_was_over(int broker, uint64_t log_offset)
{
	return model.closing && log_offset >= model.log_end[broker];
}

/* --- progress --------------------------------------------------------------------------------------------------------- */

void model_consumed(int group, int broker, int place, int queue_id, uint64_t offset)
{
	struct seen_queue *queue = queue_at(broker, place, queue_id);

	(void)seen_at(queue, offset);
	queue->consumed[group][offset] = 1;
}

bool model_was_consumed(int group, int broker, int place, int queue_id, uint64_t offset)
{
	const struct seen_queue *queue = queue_at(broker, place, queue_id);

	return offset < queue->capacity && queue->consumed[group][offset] != 0;
}

void model_offset_asked(int group, int broker, int place, int queue_id, int64_t offset)
{
	struct seen_queue *queue = queue_at(broker, place, queue_id);

	if (offset > queue->offset_max[group])
		queue->offset_max[group] = offset;
}

void model_offset_told(int group, int broker, int place, int queue_id, int64_t offset)
{
	const struct seen_queue *queue = queue_at(broker, place, queue_id);

	if (offset > queue->offset_max[group])
		violation("I1", "group %s is told offset %" PRId64 ", but never asked for more than %" PRId64 " to be kept",
			  consumer_group_name(group), offset, queue->offset_max[group]);
}
