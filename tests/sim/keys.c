#include "tests/sim/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/wire/headers.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/client_node.h"
#include "tests/sim/drive.h"
#include "tests/sim/engine.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

/* RocketMQ's limits; how long the index may stand still after a failure of its disk. */
enum { FOUND_MAX = 64, UNIQUE_MAX = 32, TIMEOUT_MS = 5000, STANDSTILL_US = 6000000, AT_ONCE = 40 };

enum by { BY_UNIQUE_KEY, BY_WORD, BY_TAG };

struct wanted {
	enum by by;
	int broker, topic;
	uint32_t which;           /* The item, the word, the tag. */
	int64_t begin_ms, end_ms; /* Store times. */
	size_t max;
};

/* What is asked, until the answer is there. */
struct question {
	struct wanted wanted;
	uint64_t *known;          /* Log offsets of what was seen before it was asked, ascending. */
	size_t known_count, known_capacity;
	bool last;                /* All was read: nothing else is there. */
};

static struct client_node node;
static int under_way;
/* At the end: items first, then words and tags of each topic and broker. */
static uint32_t next_item, next_word;

void keys_begin(void)
{
	under_way = 0;
	next_item = next_word = 0;
	client_node_init(&node, "keys");
	client_node_start(&node, NULL);
}

void keys_end(void)
{
	if (node.loop != NULL)
		client_node_die(&node);
}

/* --- what there is ------------------------------------------------------------------------------------------------------ */

static bool fits(const struct wanted *wanted, const struct item *item, int64_t store_ms)
{
	uint32_t value = wanted->by == BY_UNIQUE_KEY ? item->number :
			 wanted->by == BY_WORD ? model_word(item) : (uint32_t)item->tag;

	return item->topic == wanted->topic && value == wanted->which && store_ms >= wanted->begin_ms &&
	       store_ms <= wanted->end_ms;
}

static void note_known(void *context, const struct item *item, uint64_t log_offset, int64_t store_ms)
{
	struct question *question = context;

	if (!fits(&question->wanted, item, store_ms))
		return;
	uint64_t *known = array_with_room(question->known, question->known_count, &question->known_capacity, sizeof(*known));
	if (known == NULL)
		abort();
	size_t at = question->known_count++;
	for (question->known = known; at > 0 && known[at - 1] > log_offset; at--)
		known[at] = known[at - 1];
	known[at] = log_offset;
}

/* Its disk does, and did, what it should: only then the index keeps up. */
static bool is_sound(struct broker_node *broker)
{
	return settings()->sync_flush && !drive_sync_failed(broker_node_drive(broker)) &&
	       engine_now_us() > broker_node_disturbed_until(broker) + STANDSTILL_US;
}

/* --- answers ------------------------------------------------------------------------------------------------------------ */

static const char *text_of(const struct wanted *wanted, char out[64])
{
	if (wanted->by == BY_UNIQUE_KEY)
		snprintf(out, 64, "%s", model_item(wanted->which)->key);
	else if (wanted->by == BY_WORD)
		model_word_text(wanted->which, out);
	else
		snprintf(out, 64, "%s", tag_name((int)wanted->which));
	return out;
}

/* Log offsets of what was found, oldest first. */
static size_t take_messages(const struct question *question, struct span body, uint64_t found[FOUND_MAX])
{
	const struct wanted *wanted = &question->wanted;
	struct message message;
	char text[64];
	size_t count = 0;
	enum status status;

	while ((status = message_next(&body, &message, NULL)) == ST_OK && !violated()) {
		const struct item *item = model_saw(wanted->broker, wanted->topic, message.queue_id, &message);

		if (item != NULL && !fits(wanted, item, message.store_timestamp))
			violation("I3", "asking for %s in %s gives %s", text_of(wanted, text), topic_name(wanted->topic),
				  item->key);
		if (count == wanted->max || (count > 0 && found[count - 1] >= (uint64_t)message.physical_offset)) {
			violation("I7", "asking for %s gives too much, or not in the log's order", text_of(wanted, text));
			return count;
		}
		found[count++] = (uint64_t)message.physical_offset;
	}
	if (status != ST_NOTFOUND && !violated())
		violation("I3", "what asking for %s gives cannot be read", text_of(wanted, text));
	return count;
}

static bool contains(const uint64_t *offsets, size_t count, uint64_t offset)
{
	size_t i = 0;

	while (i < count && offsets[i] != offset)
		i++;
	return i < count;
}

static void check_found(const struct question *question, const uint64_t *found, size_t count)
{
	const struct wanted *wanted = &question->wanted;
	char text[64];
	/* It may have been disturbed since it was asked. */
	bool complete = count < wanted->max && (question->last || is_sound(broker_node(wanted->broker)));

	event_seen(count == 0 ? SEEN_KEY_UNKNOWN : wanted->by == BY_UNIQUE_KEY ? SEEN_UNIQUE_KEY : SEEN_WORD);
	if (count == wanted->max)
		event_seen(SEEN_KEYS_LIMITED);
	for (size_t i = 0; i < question->known_count && complete; i++) {
		bool gone = broker_node_let_go(broker_node(wanted->broker), question->known[i]);

		if (!gone && !contains(found, count, question->known[i]))
			violation("I1", "asking broker %d for %s in %s gives %zu messages, not the one at log offset %" PRIu64
				  " that was seen", wanted->broker, text_of(wanted, text), topic_name(wanted->topic), count,
				  question->known[i]);
	}
	for (size_t i = 0; i < count && question->last; i++) {
		if (!contains(question->known, question->known_count, found[i]))
			violation("I3", "asking broker %d for %s in %s gives one at log offset %" PRIu64 ", which no queue holds",
				  wanted->broker, text_of(wanted, text), topic_name(wanted->topic), found[i]);
	}
}

static bool ask(struct question question);
static void ask_on(void);

/* False: it was no answer. */
static bool check_answer(const struct question *question, const struct command *answer)
{
	uint64_t found[FOUND_MAX];

	if (answer->code != RESP_SUCCESS && answer->code != RESP_QUERY_NOT_FOUND)
		return false;
	size_t count = answer->code == RESP_SUCCESS ? take_messages(question, answer->body, found) : 0;
	if (!violated())
		check_found(question, found, count);
	return true;
}

static void on_answer(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct question *question = context;

	(void)err;
	under_way--;
	bool stop = node.dying || violated();
	bool heard = !stop && status == ST_OK && check_answer(question, answer);
	if (!stop && question->last && !heard && ask(*question))
		question->known = NULL; /* It is the next one's. */
	else if (!stop && question->last)
		ask_on();
	free(question->known);
	free(question);
}

/* --- questions ---------------------------------------------------------------------------------------------------------- */

/* Takes over what is known. False: not now, and it does not. */
static bool ask(struct question question)
{
	const struct wanted *wanted = &question.wanted;
	char text[64];
	struct errinfo err;
	struct question *copy = malloc(sizeof(*copy));
	struct encoder *encoder = client_begin(node.client, broker_node_address(broker_node(wanted->broker)), REQ_QUERY_MESSAGE,
					       false, &err);

	if (encoder == NULL || copy == NULL) {
		free(copy);
		return false;
	}
	query_message_encode(encoder, &(struct query_message_header){
		.topic = span_of(topic_name(wanted->topic)), .key = span_of(text_of(wanted, text)),
		.max_num = (int32_t)wanted->max, .begin_timestamp = wanted->begin_ms, .end_timestamp = wanted->end_ms,
		.unique_key_query = wanted->by == BY_UNIQUE_KEY,
		.index_type = wanted->by == BY_TAG ? SPAN_LITERAL("T") : SPAN_NONE });
	*copy = question;
	under_way++;
	client_send(node.client, TIMEOUT_MS, on_answer, copy);
	return true;
}

static bool ask_for(struct wanted wanted, bool last)
{
	struct question question = { .wanted = wanted, .last = last };

	if (last || is_sound(broker_node(wanted.broker)))
		model_walk(wanted.broker, wanted.topic, note_known, &question);
	if (ask(question))
		return true;
	free(question.known);
	return false;
}

static struct wanted by_unique_key(const struct item *item)
{
	return (struct wanted){ .by = BY_UNIQUE_KEY, .broker = item->transactional ? item->broker : item->acked_broker,
				.topic = item->topic, .which = item->number, .end_ms = INT64_MAX, .max = UNIQUE_MAX };
}

void keys_look(const struct item *item, struct chance *chance)
{
	struct wanted wanted = by_unique_key(item);

	if (wanted.broker < 0)
		return;
	switch (chance_below(chance, 3)) {
	case 0:
		wanted.by = BY_WORD;
		wanted.which = model_word(item);
		wanted.max = 1 + (size_t)chance_below(chance, FOUND_MAX);
		break;
	case 1:
		wanted.by = BY_TAG;
		wanted.which = (uint32_t)item->tag;
		wanted.max = FOUND_MAX;
		/* The last few seconds, or what is before them. */
		if (chance_one_in(chance, 2))
			wanted.begin_ms = engine_true_wall_ms() - chance_between(chance, 0, 5000);
		else
			wanted.end_ms = engine_true_wall_ms() - chance_between(chance, 0, 5000);
		break;
	default: break;
	}
	(void)ask_for(wanted, false);
	virtual_loop_end_turn(node.loop);
}

/* Whatever became of it. False: not now. */
static bool ask_last_for_item(uint32_t number)
{
	const struct item *item = model_item(number);

	return item == NULL || item->sends == 0 || by_unique_key(item).broker < 0 || ask_for(by_unique_key(item), true);
}

static bool ask_last_for_word(uint32_t number)
{
	uint32_t word = number % (WORDS + TAGS), place = number / (WORDS + TAGS);

	return ask_for((struct wanted){ .by = word < WORDS ? BY_WORD : BY_TAG, .which = word < WORDS ? word : word - WORDS,
					.broker = (int)place % settings()->brokers, .topic = (int)place / settings()->brokers,
					.end_ms = INT64_MAX, .max = FOUND_MAX }, true);
}

static uint32_t words_end(void)
{
	return (uint32_t)((WORDS + TAGS) * settings()->brokers * settings()->topics);
}

static void ask_on(void)
{
	while (under_way < AT_ONCE && next_item < model_item_end() && ask_last_for_item(next_item))
		next_item++;
	while (under_way < AT_ONCE && next_item == model_item_end() && next_word < words_end() && ask_last_for_word(next_word))
		next_word++;
}

bool keys_ask_on(void)
{
	ask_on();
	virtual_loop_end_turn(node.loop);
	return under_way == 0 && next_item == model_item_end() && next_word == words_end();
}
