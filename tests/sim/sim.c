/* The simulator: a whole broker (core, log, index, check-back) from a seed, on virtual time and a memory disk that is
 * cut off in mid-write. Each seed: at least OPERATIONS operations and CRASHES crashes; then everything is brought to rest
 * and compared with a model.
 *
 *   I1  an acknowledged half is never forgotten, and a resend of it gets the same offsets
 *   I2  an acknowledged commit is visible exactly once; an acknowledged rollback never
 *   I3  no transaction is visible twice; what is visible was asked to be committed by somebody
 *   I4  what a consumer saw stays at its queue offset under its name
 *   I5  an acknowledged consumer offset is not forgotten
 *   I6  an acknowledged plain message is visible exactly once, a delayed one not before its time
 *   I7  queue offsets are dense, store times never go back along a queue
 *   I8  in the end nothing is open but what is parked
 *
 * Over a whole run every record kind that this version writes and every transition of the table is reached.
 * Usage: sim [--seeds N] [--seed FIRST] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/clients.h"
#include "broker/core/produce.h"
#include "broker/core/progress.h"
#include "broker/core/pull.h"
#include "broker/core/settings.h"
#include "broker/core/state.h"
#include "lib/base/logging.h"
#include "lib/wire/properties.h"
#include "tests/sim/world.h"
#include "tests/support/check.h"

enum { OPERATIONS = 2500, CRASHES = 3, KEYS_MAX = 4000, GROUPS = 3, TOPICS = 3, QUEUES = 4, CONSUMERS = 3 };

enum local { LOCAL_COMMIT, LOCAL_ROLLBACK };

/* A transaction or a plain message. */
struct item {
	char key[40];
	bool transactional;
	int group, topic;
	int64_t delay_ms;
	enum local local;        /* What its service's database says. */
	bool half_acked;
	uint64_t half_queue_offset, half_offset;
	bool commit_asked, rollback_asked;
	enum record_outcome acked; /* 0: no decision was acknowledged. */
	bool sent_acked;         /* Plain. */
	int64_t sent_wall_ms;
	uint32_t seen;           /* In the final scan. */
	bool parked_acked;
};

struct seen {
	bool known;
	uint64_t log_offset;
	char key[40];
};

struct sim {
	struct world *world;
	uint64_t random;
	bool sync_flush;
	struct item items[KEYS_MAX];
	size_t item_count;
	struct seen seen[TOPICS][QUEUES][KEYS_MAX];
	int64_t offsets[CONSUMERS][TOPICS]; /* Acknowledged; -1: none. */
	uint64_t offset_words[CONSUMERS][TOPICS]; /* Updates so far: only the latest one's acknowledgement counts. */
	uint64_t trace;
	uint64_t transitions[8][8];
	uint64_t kinds[LOG_KIND_END];
	struct waiting *waitings;
	uint64_t next_conn;
	uint64_t producers[GROUPS];   /* Connection of a live producer, 0: none. */
};

static uint64_t current_seed;

static void fail(const char *invariant, const struct item *item, const char *what)
{
	fprintf(stderr, "sim: seed %" PRIu64 ": %s violated: %s (key %s)\n", current_seed, invariant, what,
		item == NULL ? "-" : item->key);
	exit(1);
}

static uint64_t chance(struct sim *s, uint64_t n)
{
	return check_random(&s->random) % n;
}

static void trace(struct sim *s, uint64_t value)
{
	s->trace = (s->trace ^ value) * 0x100000001b3ULL;
}

static struct span group_name(int group)
{
	static const char *const names[] = { "group-a", "group-b", "group-c" };

	return span_of(names[group]);
}

static struct span topic_name(int topic)
{
	static const char *const names[] = { "orders", "payments", "parcels" };

	return span_of(names[topic]);
}

/* --- sending ------------------------------------------------------------------------------------------------- */

/* An answer on its way. Those of a broker that died never come: all are freed in the end. */
struct waiting {
	struct waiting *next;
	struct sim *sim;
	struct item *item;
	uint64_t half_queue_offset, half_offset;
	enum record_outcome outcome;
	int consumer, topic;
	int64_t offset;
	uint64_t word;
	int kind;
};
enum { ACK_HALF, ACK_PLAIN, ACK_DECISION, ACK_OFFSET };

static struct waiting *waiting_new(struct sim *s, struct item *item, int kind)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	if (waiting == NULL)
		abort();
	waiting->sim = s;
	waiting->item = item;
	waiting->kind = kind;
	waiting->next = s->waitings;
	s->waitings = waiting;
	return waiting;
}

static void on_acked(void *context, uint64_t tag)
{
	struct waiting *waiting = context;
	struct item *item = waiting->item;

	trace(waiting->sim, tag);
	switch (waiting->kind) {
	case ACK_HALF:
		if (item->half_acked && (item->half_offset != waiting->half_offset ||
					 item->half_queue_offset != waiting->half_queue_offset))
			fail("I1", item, "a resend got other offsets");
		item->half_acked = true;
		item->half_offset = waiting->half_offset;
		item->half_queue_offset = waiting->half_queue_offset;
		break;
	case ACK_PLAIN:
		item->sent_acked = true;
		break;
	case ACK_DECISION:
		if (item->acked != 0 && item->acked != waiting->outcome)
			fail("I2", item, "two opposite decisions were acknowledged");
		item->acked = waiting->outcome;
		break;
	case ACK_OFFSET:
		if (waiting->word == waiting->sim->offset_words[waiting->consumer][waiting->topic])
			waiting->sim->offsets[waiting->consumer][waiting->topic] = waiting->offset;
		break;
	}
}

static enum status send_item(struct sim *s, struct item *item, struct send_result *result, struct outcome *outcome)
{
	struct buffer properties;
	uint8_t body[2000];
	size_t body_size = 20 + chance(s, sizeof(body) - 20);

	memset(body, (int)('a' + chance(s, 26)), body_size);
	buffer_init(&properties, 4096);
	property_put(&properties, PROPERTY_UNIQ_KEY, span_of(item->key));
	property_put(&properties, PROPERTY_TAGS, SPAN_LITERAL("TagA"));
	if (item->transactional) {
		property_put(&properties, PROPERTY_TRAN_MSG, SPAN_LITERAL("true"));
		property_put(&properties, PROPERTY_PGROUP, group_name(item->group));
	}
	if (item->delay_ms > 0)
		property_put_i64(&properties, PROPERTY_DELAY, item->delay_ms == 1000 ? 1 : 2);
	struct send_request request = {
		.producer_group = group_name(item->group), .topic = topic_name(item->topic),
		.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = QUEUES, .queue_id = (int32_t)chance(s, QUEUES),
		.born_host = host_ipv4(0x7F000001, 4711), .properties = buffer_span(&properties),
		.body = { body, body_size }, .max_reconsume_times = -1, .conn_id = s->producers[item->group],
	};
	enum status status = core_send(world_core(s->world), &request, result, outcome);
	buffer_deinit(&properties);
	return status;
}

static void op_send(struct sim *s, struct item *item)
{
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	enum status status = send_item(s, item, &result, &outcome);

	trace(s, (uint64_t)status);
	if (status != ST_OK) {
		if (status != ST_AGAIN && outcome.code == RESP_MESSAGE_ILLEGAL && item->acked != OUTCOME_ROLLBACK && !item->rollback_asked)
			fail("I1", item, outcome.err.text);
		return;
	}
	struct waiting *waiting = waiting_new(s, item, item->transactional ? ACK_HALF : ACK_PLAIN);
	waiting->half_queue_offset = result.queue_offset;
	waiting->half_offset = result.log_offset;
	world_wait(s->world, outcome.wait_offset, on_acked, waiting, result.log_offset);
}

static void op_new_item(struct sim *s)
{
	if (s->item_count == KEYS_MAX)
		return;
	struct item *item = &s->items[s->item_count++];

	snprintf(item->key, sizeof(item->key), "%016" PRIX64 "%08zX", current_seed, s->item_count);
	item->transactional = chance(s, 4) != 0;
	item->group = (int)chance(s, GROUPS);
	item->topic = (int)chance(s, TOPICS);
	item->delay_ms = chance(s, 8) == 0 ? (chance(s, 2) ? 1000 : 5000) : 0;
	item->local = chance(s, 3) == 0 ? LOCAL_ROLLBACK : LOCAL_COMMIT;
	item->sent_wall_ms = world_core(s->world)->wall_ms;
	op_send(s, item);
}

static struct item *any_item(struct sim *s)
{
	/* Mostly recent ones: resends and ends come soon. */
	size_t back = chance(s, 4) == 0 ? chance(s, s->item_count) : chance(s, s->item_count < 40 ? s->item_count : 40);

	return &s->items[s->item_count - 1 - back];
}

/* --- ends ---------------------------------------------------------------------------------------------------------- */

static void note_asked(struct item *item, enum record_outcome outcome)
{
	if (outcome == OUTCOME_COMMIT)
		item->commit_asked = true;
	if (outcome == OUTCOME_ROLLBACK)
		item->rollback_asked = true;
}

static enum txn_state state_of(struct sim *s, const struct item *item)
{
	struct half_entry half;

	if (half_index_get(&world_core(s->world)->halves, item->half_queue_offset, &half, NULL) != ST_OK)
		fail("I1", item, "an acknowledged half is not in the half index");
	return (enum txn_state)half.state;
}

static void end_item(struct sim *s, struct item *item, enum record_outcome outcome, bool from_check, uint64_t conn_id)
{
	struct end_request request = {
		.group = group_name(item->group), .half_queue_offset = item->half_queue_offset, .half_offset = item->half_offset,
		.outcome = outcome, .from_check = from_check, .transaction_id = span_of(item->key), .conn_id = conn_id,
	};
	struct outcome result = { 0 };
	enum txn_state before = state_of(s, item);
	enum status status = core_end_transaction(world_core(s->world), &request, &result);

	trace(s, (uint64_t)status << 8 | (uint64_t)outcome);
	if (status == ST_AGAIN)
		return;
	s->transitions[before][state_of(s, item)]++;
	if (status == ST_OK && outcome != 0) {
		note_asked(item, outcome);
		struct waiting *waiting = waiting_new(s, item, ACK_DECISION);
		waiting->outcome = outcome;
		world_wait(s->world, result.wait_offset, on_acked, waiting, item->half_offset);
	} else if (status != ST_OK && result.code != RESP_ILLEGAL_OPERATION) {
		fail("I1", item, result.err.text);
	}
}

static enum record_outcome truth(const struct item *item)
{
	return item->local == LOCAL_COMMIT ? OUTCOME_COMMIT : OUTCOME_ROLLBACK;
}

static void op_end(struct sim *s, struct item *item)
{
	if (!item->transactional || !item->half_acked)
		return;
	enum record_outcome outcome = truth(item);
	if (chance(s, 20) == 0)
		outcome = outcome == OUTCOME_COMMIT ? OUTCOME_ROLLBACK : OUTCOME_COMMIT; /* A service that contradicts itself. */
	if (chance(s, 10) == 0)
		outcome = 0;
	end_item(s, item, outcome, false, 0);
}

static struct item *item_by_half(struct sim *s, const struct world_ask *ask)
{
	for (size_t i = 0; i < s->item_count; i++) {
		if (s->items[i].half_acked && s->items[i].half_offset == ask->half_offset)
			return &s->items[i];
	}
	return NULL;
}

/* Producers answer what they were asked: the truth, unknown, or not at all. */
static void answer_asks(struct sim *s, bool always)
{
	struct world_ask ask;

	while (world_take_ask(s->world, &ask)) {
		struct item *item = item_by_half(s, &ask);

		if (item == NULL || (!always && chance(s, 4) == 0))
			continue; /* The send's answer was lost with a crash: the service never heard of it. Or no answer. */
		end_item(s, item, !always && chance(s, 2) == 0 ? 0 : truth(item), true, ask.conn_id);
	}
}

static void op_operator(struct sim *s, struct item *item)
{
	static const enum record_outcome words[] = { OUTCOME_PARK, OUTCOME_RESUME, OUTCOME_COMMIT, OUTCOME_ROLLBACK };
	enum record_outcome word = words[chance(s, 4)];
	struct outcome outcome = { 0 };

	if (!item->transactional || !item->half_acked)
		return;
	if (word == OUTCOME_COMMIT || word == OUTCOME_ROLLBACK)
		word = truth(item);
	enum txn_state before = state_of(s, item);
	if (core_operator_decide(world_core(s->world), item->half_offset, word, SPAN_LITERAL("sim"), &outcome) != ST_OK)
		return;
	note_asked(item, word);
	s->transitions[before][state_of(s, item)]++;
}

/* --- consumers ---------------------------------------------------------------------------------------------------------- */

static void heartbeat(struct sim *s, int group, uint64_t conn_id)
{
	struct span groups[] = { group_name(group) };
	struct heartbeat beat = { .client_id = SPAN_LITERAL("sim@1"), .producer_groups = groups, .producer_count = 1 };
	struct outcome outcome = { 0 };

	if (core_heartbeat(world_core(s->world), conn_id, LANGUAGE_CPP, VERSION_OURS, &beat, &outcome) == ST_OK)
		s->producers[group] = conn_id;
}

static void op_producer(struct sim *s)
{
	int group = (int)chance(s, GROUPS);

	if (s->producers[group] != 0 && chance(s, 2) == 0) {
		core_connection_gone(world_core(s->world), s->producers[group]);
		s->producers[group] = 0;
	} else {
		heartbeat(s, group, ++s->next_conn);
	}
}

static void check_seen(struct sim *s, int topic, uint32_t queue_id, const struct message *message)
{
	struct seen *seen = &s->seen[topic][queue_id][message->queue_offset];
	struct span key = property_get(message->properties, PROPERTY_UNIQ_KEY);

	if (seen->known && (seen->log_offset != (uint64_t)message->physical_offset || !span_is(key, seen->key)))
		fail("I4", NULL, "another message stands where one was seen");
	seen->known = true;
	seen->log_offset = (uint64_t)message->physical_offset;
	snprintf(seen->key, sizeof(seen->key), "%.*s", SPAN_ARGS(key));
}

/* Pulls from `offset`; returns the next one. Calls `visit` (may be NULL) with each message. */
static uint64_t pull(struct sim *s, int topic, uint32_t queue_id, uint64_t offset,
		     void (*visit)(struct sim *, const struct message *))
{
	struct core *core = world_core(s->world);
	const struct topic *known = topics_find(core->topics, topic_name(topic));
	struct pull_result result;
	struct outcome outcome;
	struct buffer out;
	struct message message;
	struct errinfo err;

	if (known == NULL)
		return offset;
	struct pull_request request = { .topic_id = known->id, .queue_id = queue_id, .offset = offset, .message_max = 32,
					.bytes_max = PULL_BYTES_MAX };
	if (core_pull(core, &request, &result, &outcome) != ST_OK)
		fail("I4", NULL, outcome.err.text);
	if (result.code != RESP_SUCCESS)
		return offset;
	buffer_init(&out, 0);
	core_pull_copy(core, &result, &out);
	struct span rest = buffer_span(&out);
	for (uint64_t expected = offset; message_next(&rest, &message, &err) == ST_OK; expected++) {
		if ((uint64_t)message.queue_offset != expected)
			fail("I7", NULL, "queue offsets are not dense");
		check_seen(s, topic, queue_id, &message);
		if (visit != NULL)
			visit(s, &message);
	}
	buffer_deinit(&out);
	return result.next_offset;
}

static void op_pull(struct sim *s)
{
	int topic = (int)chance(s, TOPICS);

	pull(s, topic, (uint32_t)chance(s, QUEUES), chance(s, 4) == 0 ? 0 : chance(s, 40), NULL);
}

static void op_offset(struct sim *s)
{
	static const char *const groups[] = { "readers-a", "readers-b", "readers-c" };
	int consumer = (int)chance(s, CONSUMERS), topic = (int)chance(s, TOPICS);
	struct consumer_group *group;
	struct outcome outcome = { 0 };
	struct core *core = world_core(s->world);
	int64_t offset = (int64_t)chance(s, 1000);

	if (settings_group_for_consumer(core, span_of(groups[consumer]), &group, &outcome) != ST_OK ||
	    topics_find(core->topics, topic_name(topic)) == NULL)
		return;
	bool lasting = chance(s, 2) == 0;
	if (core_update_offset(core, group->name, topic_name(topic), 0, offset, lasting, &outcome) != ST_OK)
		return;
	s->offsets[consumer][topic] = -1; /* What was acknowledged before may be overtaken. */
	uint64_t word = ++s->offset_words[consumer][topic];
	if (!lasting)
		return;
	struct waiting *waiting = waiting_new(s, NULL, ACK_OFFSET);
	waiting->consumer = consumer;
	waiting->topic = topic;
	waiting->offset = offset;
	waiting->word = word;
	world_wait(s->world, outcome.wait_offset, on_acked, waiting, (uint64_t)offset);
}

static void check_offsets(struct sim *s)
{
	static const char *const groups[] = { "readers-a", "readers-b", "readers-c" };

	for (int consumer = 0; consumer < CONSUMERS; consumer++) {
		for (int topic = 0; topic < TOPICS; topic++) {
			struct outcome outcome = { 0 };
			int64_t offset = -1;

			if (s->offsets[consumer][topic] < 0)
				continue;
			if (core_query_offset(world_core(s->world), span_of(groups[consumer]), topic_name(topic), 0, false,
					      &offset, &outcome) != ST_OK || offset != s->offsets[consumer][topic])
				fail("I5", NULL, "an acknowledged consumer offset is forgotten");
		}
	}
}

/* --- crashes and the end ------------------------------------------------------------------------------------------------- */

static void crash(struct sim *s)
{
	/* Without sync, what is acknowledged outlives the process, not a power cut. */
	world_crash(s->world, !s->sync_flush || chance(s, 3) == 0);
	memset(s->producers, 0, sizeof(s->producers));
	check_offsets(s);
}

static void visit_final(struct sim *s, const struct message *message)
{
	struct span key = property_get(message->properties, PROPERTY_UNIQ_KEY);

	for (size_t i = 0; i < s->item_count; i++) {
		struct item *item = &s->items[i];

		if (!span_is(key, item->key))
			continue;
		if (++item->seen > 1)
			fail(item->transactional ? "I3" : "I6", item, "visible twice");
		if (item->delay_ms > 0 && !item->transactional && message->store_timestamp < item->sent_wall_ms + item->delay_ms)
			fail("I6", item, "delivered before its time");
		return;
	}
	fail("I3", NULL, "a message that nobody sent");
}

static void scan_all(struct sim *s)
{
	for (int topic = 0; topic < TOPICS; topic++) {
		for (uint32_t queue = 0; queue < QUEUES; queue++) {
			for (uint64_t offset = 0, next; (next = pull(s, topic, queue, offset, visit_final)) != offset; offset = next)
				;
		}
	}
}

static void check_item(struct sim *s, const struct item *item)
{
	if (!item->transactional) {
		if (item->sent_acked && item->seen != 1)
			fail("I6", item, "acknowledged, but not visible");
		return;
	}
	if (item->seen > 0 && !item->commit_asked)
		fail("I3", item, "visible, but nobody asked to commit it");
	if (!item->half_acked)
		return;
	enum txn_state state = state_of(s, item);
	if (item->acked == OUTCOME_COMMIT && item->seen != 1)
		fail("I2", item, "commit acknowledged, but not visible");
	if (item->acked == OUTCOME_ROLLBACK && item->seen != 0)
		fail("I2", item, "rollback acknowledged, but visible");
	if ((state == TXN_COMMITTED) != (item->seen == 1))
		fail("I3", item, "its state and what consumers see differ");
	if (state == TXN_PREPARED)
		fail("I8", item, "still open");
}

/* Everybody comes back, answers the truth, and time passes until nothing is open. */
static void come_to_rest(struct sim *s)
{
	for (int group = 0; group < GROUPS; group++)
		heartbeat(s, group, ++s->next_conn);
	for (int i = 0; i < 400; i++) {
		for (int group = 0; group < GROUPS; group++)
			heartbeat(s, group, s->producers[group]);
		world_advance(s->world, 1000);
		answer_asks(s, true);
	}
	world_settle(s->world);
}

/* Halves whose answer was lost are asked about too, but their service never got an id: it answers by their key. */
static void adopt_lost_halves(struct sim *s)
{
	for (size_t i = 0; i < s->item_count; i++) {
		if (s->items[i].transactional && !s->items[i].half_acked)
			op_send(s, &s->items[i]); /* The client's retry. */
	}
	world_settle(s->world);
}

/* A client's retry. Only halves are idempotent: a plain message sent twice is two messages, as everywhere. */
static void op_resend(struct sim *s, struct item *item)
{
	if (item->transactional)
		op_send(s, item);
}

static void run_operation(struct sim *s)
{
	uint64_t dice = chance(s, 100);

	if (dice < 30 || s->item_count == 0)
		op_new_item(s);
	else if (dice < 36)
		op_resend(s, any_item(s));
	else if (dice < 64)
		op_end(s, any_item(s));
	else if (dice < 69)
		op_operator(s, any_item(s));
	else if (dice < 73)
		op_producer(s);
	else if (dice < 80)
		op_pull(s);
	else if (dice < 85)
		op_offset(s);
	else
		world_advance(s->world, dice < 98 ? 10 : 2000);
	if (chance(s, 4) == 0)
		answer_asks(s, false);
}

static uint64_t run_seed(uint64_t seed, uint64_t transitions[8][8], uint64_t kinds[LOG_KIND_END])
{
	struct sim *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	current_seed = seed;
	s->random = seed;
	s->trace = 0xcbf29ce484222325ULL;
	for (int i = 0; i < CONSUMERS; i++) {
		for (int j = 0; j < TOPICS; j++)
			s->offsets[i][j] = -1;
	}
	s->sync_flush = chance(s, 4) != 0;
	s->world = world_create(&s->random, s->sync_flush);
	for (int i = 0; i < OPERATIONS; i++) {
		run_operation(s);
		if (i % (OPERATIONS / CRASHES) == OPERATIONS / CRASHES - 1)
			crash(s);
	}
	adopt_lost_halves(s);
	come_to_rest(s);
	crash(s); /* The rest must survive too. */
	scan_all(s);
	for (size_t i = 0; i < s->item_count; i++)
		check_item(s, &s->items[i]);
	world_count_kinds(s->world, kinds);
	for (int i = 0; i < 8; i++) {
		for (int j = 0; j < 8; j++)
			transitions[i][j] += s->transitions[i][j];
	}
	uint64_t result = s->trace;
	world_destroy(s->world);
	while (s->waitings != NULL) {
		struct waiting *waiting = s->waitings;

		s->waitings = waiting->next;
		free(waiting);
	}
	free(s);
	return result;
}

/* --- coverage ------------------------------------------------------------------------------------------------------------- */

static int check_coverage(uint64_t transitions[8][8], const uint64_t kinds[LOG_KIND_END])
{
	static const unsigned wanted_kinds[] = { LOG_PAD, LOG_BATCH, LOG_EPOCH, LOG_MESSAGE, LOG_HALF, LOG_DECISION,
						 LOG_CONFLICT, LOG_DELIVER, LOG_CHECK, LOG_OFFSETS, LOG_TOPIC, LOG_GROUP };
	static const enum txn_state wanted[][2] = {
		{ TXN_PREPARED, TXN_COMMITTED }, { TXN_PREPARED, TXN_ROLLED_BACK }, { TXN_PREPARED, TXN_PARKED },
		{ TXN_PARKED, TXN_COMMITTED }, { TXN_PARKED, TXN_ROLLED_BACK }, { TXN_PARKED, TXN_PREPARED },
		{ TXN_COMMITTED, TXN_COMMITTED }, { TXN_ROLLED_BACK, TXN_ROLLED_BACK },
	};
	int missing = 0;

	for (size_t i = 0; i < sizeof(wanted_kinds) / sizeof(wanted_kinds[0]); i++) {
		if (kinds[wanted_kinds[i]] == 0) {
			fprintf(stderr, "sim: no %s record in the whole run\n", log_kind_text(wanted_kinds[i]));
			missing++;
		}
	}
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (transitions[wanted[i][0]][wanted[i][1]] == 0) {
			fprintf(stderr, "sim: never went from %s to %s\n", txn_state_text(wanted[i][0]), txn_state_text(wanted[i][1]));
			missing++;
		}
	}
	return missing;
}

int main(int argc, char **argv)
{
	static uint64_t transitions[8][8], kinds[LOG_KIND_END];
	uint64_t seeds = 20, first = 1;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seeds") == 0)
			seeds = strtoull(argv[i + 1], NULL, 0);
		if (strcmp(argv[i], "--seed") == 0)
			first = strtoull(argv[i + 1], NULL, 0);
	}
	log_set_level(LOGLEVEL_ERROR);
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		uint64_t hash = run_seed(seed, transitions, kinds);

		printf("seed %" PRIu64 " trace %016" PRIx64 "\n", seed, hash);
		if (seed == first && run_seed(seed, transitions, kinds) != hash) {
			fprintf(stderr, "sim: seed %" PRIu64 " gave two different traces\n", seed);
			return 1;
		}
	}
	int missing = seeds >= 20 ? check_coverage(transitions, kinds) : 0;
	printf("%" PRIu64 " passed, %d failed\n", seeds, missing);
	return missing == 0 ? 0 : 1;
}
