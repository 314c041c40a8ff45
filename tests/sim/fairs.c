#include "tests/sim/fairs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/headers.h"
#include "lib/wire/message.h"
#include "lib/wire/msgid.h"
#include "lib/wire/names.h"
#include "lib/wire/properties.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/client_node.h"
#include "tests/sim/engine.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

enum { FAIRS = 2, POSTS_MAX = 1000, TIMEOUT_MS = 3000, BATCH_MAX_MESSAGES = 8, NAME_SIZE = 32, TEXT_SIZE = 48 };

/* A message; its body names the fair, the turn and its number. */
struct post {
	uint32_t opening;        /* It was sent into the topic as made the n-th time. */
	uint32_t seen_in;        /* The last round of reading in which it was seen. */
	bool acked, delayed;
	uint64_t log_offset;     /* As acknowledged. */
};

enum word { WORD_NONE, WORD_KEPT, WORD_UNSURE };

struct fair {
	int broker;
	unsigned turn;           /* Part of its name. */
	bool open;               /* The topic is there. Otherwise there may be one that came late. */
	uint32_t opening;
	struct post posts[POSTS_MAX];
	uint32_t post_count;
	int64_t next;            /* Where it reads. */
	uint32_t round;          /* Reading from 0 to the end is one. */
	enum word word;          /* The offset that a group has in it. */
	int64_t offset;
	int64_t asked;           /* Under way: the number of the post, or the offset. */
	bool asking;
	bool last_round, read_all;
};

static struct client_node node;
static struct fair fairs[FAIRS];

void fairs_begin(void)
{
	memset(fairs, 0, sizeof(fairs));
	for (int i = 0; i < FAIRS; i++)
		fairs[i].broker = i % settings()->brokers;
	client_node_init(&node, "fairs");
	client_node_start(&node, NULL);
}

void fairs_end(void)
{
	if (node.loop != NULL)
		client_node_die(&node);
}

static struct span name_of(const struct fair *fair)
{
	static char text[NAME_SIZE];

	snprintf(text, sizeof(text), "fair-%d-%u", (int)(fair - fairs), fair->turn);
	return span_of(text);
}

static void read_from_start(struct fair *fair)
{
	fair->next = 0;
	fair->round++;
}

static void begin_anew(struct fair *fair)
{
	fair->turn++;
	fair->open = false;
	fair->opening = 0;
	fair->post_count = 0;
	memset(fair->posts, 0, sizeof(fair->posts));
	fair->word = WORD_NONE;
	read_from_start(fair);
}

/* --- answers ------------------------------------------------------------------------------------------------------------ */

/* False: the client is being ended. */
static bool answered(struct fair *fair)
{
	fair->asking = false;
	return !node.dying;
}

static void on_made(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct fair *fair = context;

	(void)err;
	if (!answered(fair) || status != ST_OK || answer->code != RESP_SUCCESS)
		return;
	fair->open = true;
	if (++fair->opening > 1)
		event_seen(SEEN_TOPIC_AGAIN);
	fair->word = fair->word == WORD_KEPT ? WORD_NONE : fair->word;
	read_from_start(fair);
	note("fairs: topic %.*s is made, time %u", SPAN_ARGS(name_of(fair)), fair->opening);
}

static void on_deleted(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct fair *fair = context;

	(void)err;
	if (!answered(fair))
		return;
	if (status != ST_OK) {
		begin_anew(fair);
	} else if (answer->code == RESP_SUCCESS) {
		fair->open = false;
		note("fairs: topic %.*s is deleted", SPAN_ARGS(name_of(fair)));
	}
}

static uint64_t log_offset_of(const struct command *answer)
{
	struct send_reply_header reply;
	struct host host;
	int64_t offset = 0;

	if (send_reply_decode(answer, &reply, NULL) != ST_OK || offset_msg_id_decode(reply.msg_id, &host, &offset) != ST_OK)
		violation("I1", "the answer to a send cannot be read");
	return (uint64_t)offset;
}

static void on_sent(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct fair *fair = context;

	(void)err;
	if (!answered(fair) || status != ST_OK)
		return;
	if (answer->code == RESP_TOPIC_NOT_EXIST)
		violation("I1", "topic %.*s was made, but it is not there: %.*s", SPAN_ARGS(name_of(fair)), SPAN_ARGS(answer->remark));
	if (answer->code != RESP_SUCCESS)
		return;
	fair->posts[fair->asked].acked = true;
	fair->posts[fair->asked].log_offset = log_offset_of(answer);
	note("fairs: message %" PRId64 " of %.*s is acknowledged", fair->asked, SPAN_ARGS(name_of(fair)));
}

static void on_kept(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct fair *fair = context;

	(void)err;
	if (!answered(fair))
		return;
	if (status != ST_OK || answer->code != RESP_SUCCESS) {
		fair->word = WORD_UNSURE;
	} else if (fair->word != WORD_UNSURE) {
		fair->word = WORD_KEPT;
		fair->offset = fair->asked;
	}
}

static void on_told(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct fair *fair = context;
	int64_t told = 0;

	(void)err;
	if (!answered(fair) || status != ST_OK || fair->word == WORD_UNSURE)
		return;
	bool found = answer->code == RESP_SUCCESS && offset_reply_decode(answer, &told, NULL) == ST_OK;
	if (!found && answer->code != RESP_QUERY_NOT_FOUND)
		return;
	if (fair->word == WORD_KEPT && (!found || told != fair->offset))
		violation("I1", "offset %" PRId64 " in %.*s was kept, now the broker tells %" PRId64, fair->offset,
			  SPAN_ARGS(name_of(fair)), found ? told : -1);
	if (fair->word == WORD_NONE && found)
		violation("I3", "nobody kept an offset in %.*s since it was made, the broker tells %" PRId64, SPAN_ARGS(name_of(fair)), told);
}

/* --- reading ------------------------------------------------------------------------------------------------------------ */

static void see(struct fair *fair, const struct message *message)
{
	char text[TEXT_SIZE];
	int line;
	unsigned turn, number;

	if (message->queue_offset != fair->next && (settings()->retention_bytes == 0 || message->queue_offset < fair->next))
		violation("I7", "%.*s has offset %" PRId64 " where %" PRId64 " comes next", SPAN_ARGS(name_of(fair)),
			  message->queue_offset, fair->next);
	fair->next = message->queue_offset + 1;
	if (span_to_cstr(message->body, text, sizeof(text)) != ST_OK || sscanf(text, "fair %d %u %u", &line, &turn, &number) != 3 ||
	    line != (int)(fair - fairs) || turn != fair->turn || number >= fair->post_count) {
		violation("I3", "%.*s holds what nobody sent there: %.*s", SPAN_ARGS(name_of(fair)), SPAN_ARGS(message->body));
		return;
	}
	struct post *post = &fair->posts[number];
	if (post->acked && post->opening != fair->opening)
		violation("I3", "message %u of %.*s was sent when the topic was made for time %u, it is there after time %u", number,
			  SPAN_ARGS(name_of(fair)), post->opening, fair->opening);
	if (post->seen_in == fair->round)
		violation("I2", "message %u of %.*s is there twice", number, SPAN_ARGS(name_of(fair)));
	post->seen_in = fair->round;
}

/* What is delayed has come by the end of the run. What the log has let go need not be there. */
static void check_round(const struct fair *fair)
{
	for (uint32_t i = 0; i < fair->post_count; i++) {
		const struct post *post = &fair->posts[i];

		if (broker_node_let_go(broker_node(fair->broker), post->log_offset))
			continue;
		if (post->acked && post->opening == fair->opening && post->seen_in != fair->round && (!post->delayed || fair->last_round))
			violation("I1", "message %u of %.*s was acknowledged, it is not among the %" PRId64 " that are there", i,
				  SPAN_ARGS(name_of(fair)), fair->next);
	}
}

static void take(struct fair *fair, const struct command *answer, const struct pull_reply_header *reply)
{
	struct span body = answer->body;
	struct message message;

	while (answer->code == RESP_SUCCESS && message_next(&body, &message, NULL) == ST_OK)
		see(fair, &message);
	if (reply->max_offset < fair->next)
		violation("I1", "%.*s ends at %" PRId64 ", read was up to %" PRId64, SPAN_ARGS(name_of(fair)), reply->max_offset,
			  fair->next);
	/* What the log let go is passed over. */
	if (reply->next_begin_offset > fair->next && settings()->retention_bytes > 0)
		fair->next = reply->next_begin_offset;
	if (reply->max_offset > fair->next)
		return;
	check_round(fair);
	fair->read_all = fair->last_round;
	read_from_start(fair);
}

/* To where the topic begins now. */
static void move(struct fair *fair, const struct command *answer)
{
	struct pull_reply_header reply;

	if (settings()->retention_bytes == 0 || pull_reply_decode(answer, &reply, NULL) != ST_OK ||
	    reply.next_begin_offset < fair->next)
		violation("I1", "%.*s has no offset %" PRId64 " any more", SPAN_ARGS(name_of(fair)), fair->next);
	else
		fair->next = reply.next_begin_offset;
}

static void on_pulled(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct fair *fair = context;
	struct pull_reply_header reply;

	(void)err;
	if (!answered(fair) || status != ST_OK)
		return;
	if (answer->code == RESP_TOPIC_NOT_EXIST)
		violation("I1", "topic %.*s was made, but it is not there: %.*s", SPAN_ARGS(name_of(fair)), SPAN_ARGS(answer->remark));
	if (answer->code == RESP_PULL_OFFSET_MOVED)
		move(fair, answer);
	bool good = answer->code == RESP_SUCCESS || answer->code == RESP_PULL_NOT_FOUND ||
		    answer->code == RESP_PULL_RETRY_IMMEDIATELY;
	if (good && pull_reply_decode(answer, &reply, NULL) == ST_OK)
		take(fair, answer, &reply);
}

/* --- requests ----------------------------------------------------------------------------------------------------------- */

static struct encoder *ask(const struct fair *fair, int32_t code)
{
	struct errinfo err;

	return client_begin(node.client, broker_node_address(broker_node(fair->broker)), code, false, &err);
}

static void send(struct fair *fair, client_response done)
{
	fair->asking = true;
	client_send(node.client, TIMEOUT_MS, done, fair);
}

static void make_topic(struct fair *fair)
{
	struct encoder *encoder = ask(fair, REQ_UPDATE_AND_CREATE_TOPIC);

	if (encoder == NULL)
		return;
	create_topic_encode(encoder, &(struct create_topic_header){
		.topic = name_of(fair), .read_queue_nums = 1, .write_queue_nums = 1, .perm = PERM_READ | PERM_WRITE });
	send(fair, on_made);
}

static void delete_topic(struct fair *fair)
{
	struct encoder *encoder = ask(fair, REQ_DELETE_TOPIC_IN_BROKER);

	if (encoder == NULL)
		return;
	command_put(encoder, "topic", name_of(fair));
	send(fair, on_deleted);
}

static void put_post(struct encoder *encoder, const struct fair *fair, uint32_t number, int delay_level)
{
	struct buffer properties;
	char text[TEXT_SIZE];

	buffer_init(&properties, 0);
	if (delay_level > 0)
		property_put_i64(&properties, PROPERTY_DELAY, delay_level);
	send_header_encode(encoder, REQ_SEND_MESSAGE_V2, &(struct send_header){
		.producer_group = SPAN_LITERAL("fairs"), .topic = name_of(fair), .default_topic = SPAN_LITERAL("TBW102"),
		.default_topic_queue_nums = 1, .queue_id = 0, .born_timestamp = engine_true_wall_ms(),
		.properties = buffer_span(&properties), .max_reconsume_times = -1 });
	buffer_deinit(&properties);
	snprintf(text, sizeof(text), "fair %d %u %u", (int)(fair - fairs), fair->turn, number);
	command_body(encoder);
	buffer_append_span(encoder->out, span_of(text));
}

static void post(struct fair *fair, struct chance *chance)
{
	int delay_level = chance_one_in(chance, 4) ? (int)chance_between(chance, 1, DELAY_LEVELS) : 0;
	struct encoder *encoder = fair->post_count == POSTS_MAX ? NULL : ask(fair, REQ_SEND_MESSAGE_V2);

	if (encoder == NULL)
		return;
	fair->asked = fair->post_count++;
	fair->posts[fair->asked] = (struct post){ .opening = fair->opening, .delayed = delay_level > 0 };
	put_post(encoder, fair, (uint32_t)fair->asked, delay_level);
	send(fair, on_sent);
}

static void pull(struct fair *fair)
{
	struct encoder *encoder = ask(fair, REQ_PULL_MESSAGE);

	if (encoder == NULL)
		return;
	pull_header_encode(encoder, &(struct pull_header){
		.consumer_group = SPAN_LITERAL("visitors"), .topic = name_of(fair), .queue_id = 0, .queue_offset = fair->next,
		.max_msg_nums = BATCH_MAX_MESSAGES, .sys_flag = PULL_SUBSCRIPTION, .subscription = SPAN_LITERAL("*"),
		.max_msg_bytes = -1 });
	send(fair, on_pulled);
}

static struct consumer_offset_header header_of(const struct fair *fair)
{
	return (struct consumer_offset_header){ .consumer_group = SPAN_LITERAL("visitors"), .topic = name_of(fair), .queue_id = 0,
						.set_zero_if_not_found = false, .commit_offset = fair->asked };
}

static void keep_offset(struct fair *fair, struct chance *chance)
{
	struct encoder *encoder = ask(fair, REQ_UPDATE_CONSUMER_OFFSET);

	if (encoder == NULL)
		return;
	fair->asked = (int64_t)chance_below(chance, 1000);
	struct consumer_offset_header header = header_of(fair);
	update_consumer_offset_encode(encoder, &header);
	send(fair, on_kept);
}

static void ask_offset(struct fair *fair)
{
	struct encoder *encoder = ask(fair, REQ_QUERY_CONSUMER_OFFSET);

	if (encoder == NULL)
		return;
	struct consumer_offset_header header = header_of(fair);
	query_consumer_offset_encode(encoder, &header);
	send(fair, on_told);
}

void fairs_step(struct chance *chance)
{
	struct fair *fair = &fairs[chance_below(chance, FAIRS)];
	uint64_t dice = chance_below(chance, 100);

	if (fair->asking)
		return;
	if (!fair->open)
		make_topic(fair);
	else if (dice < 40)
		post(fair, chance);
	else if (dice < 70)
		pull(fair);
	else if (dice < 80)
		keep_offset(fair, chance);
	else if (dice < 92)
		ask_offset(fair);
	else
		delete_topic(fair);
	virtual_loop_end_turn(node.loop);
}

static void read_on(struct fair *fair)
{
	if (fair->asking)
		return;
	if (!fair->last_round)
		read_from_start(fair);
	fair->last_round = true;
	pull(fair);
}

bool fairs_read_on(void)
{
	bool all = true;

	for (int i = 0; i < FAIRS; i++) {
		bool done = !fairs[i].asking && (!fairs[i].open || fairs[i].read_all);

		all = all && done;
		if (!done)
			read_on(&fairs[i]);
	}
	virtual_loop_end_turn(node.loop);
	return all;
}
