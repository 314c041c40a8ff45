#include "tests/sim/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/wire/body_config.h"
#include "lib/wire/headers.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/client_node.h"
#include "tests/sim/engine.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

enum { LINES = 6, TIMEOUT_MS = 3000 };

/* One (group, topic, queue) of a broker. When the fate of a word is unknown, the line begins anew with another group. */
struct line {
	int broker;
	unsigned turn;            /* Part of the group's name. */
	bool made;                /* The broker was asked to make the group. */
	bool known;               /* `word` must be told. */
	int64_t word;
	bool asking;
	bool hoped;               /* A one-way word has left, that nobody was told yet. */
	int64_t hoped_word;
	int64_t asked_word;       /* Under way; -1: a question is. */
};

static struct client_node node;
static struct line lines[LINES];

void ledger_begin(void)
{
	memset(lines, 0, sizeof(lines));
	for (int i = 0; i < LINES; i++)
		lines[i].broker = i % settings()->brokers;
	client_node_init(&node, "ledger");
	client_node_start(&node, NULL);
}

void ledger_end(void)
{
	if (node.loop != NULL)
		client_node_die(&node);
}

static void name_group(const struct line *line, char out[32])
{
	snprintf(out, 32, "ledger-%d-%u", (int)(line - lines), line->turn);
}

static void begin_anew(struct line *line)
{
	line->turn++;
	line->made = line->known = line->hoped = false;
}

/* --- answers ------------------------------------------------------------------------------------------------------------ */

static void check_told(struct line *line, bool found, int64_t told)
{
	struct broker_node *broker = broker_node(line->broker);

	if (line->known && (!found || told != line->word)) {
		violation("I1", "offset %" PRId64 " of group ledger-%d-%u was kept, now the broker tells %" PRId64, line->word,
			  (int)(line - lines), line->turn, found ? told : -1);
		return;
	}
	/* On a full disk it is told without a record of it. */
	if (!line->hoped || !found || told != line->hoped_word || engine_now_us() < broker_node_disturbed_until(broker))
		return;
	line->known = true;
	line->word = told;
	line->hoped = false;
	note("ledger: offset %" PRId64 " of group %d-%u was told", told, (int)(line - lines), line->turn);
}

static void on_word(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct line *line = context;

	(void)err;
	line->asking = false;
	if (node.dying)
		return;
	if (status != ST_OK || answer->code != RESP_SUCCESS) {
		begin_anew(line);
		return;
	}
	line->known = true;
	line->word = line->asked_word;
	note("ledger: offset %" PRId64 " of group %d-%u is acknowledged", line->word, (int)(line - lines), line->turn);
}

static void on_told(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct line *line = context;
	int64_t told = 0;

	(void)err;
	line->asking = false;
	if (node.dying || status != ST_OK)
		return;
	bool found = answer->code == RESP_SUCCESS && offset_reply_decode(answer, &told, NULL) == ST_OK;
	if (found || answer->code == RESP_QUERY_NOT_FOUND)
		check_told(line, found, told);
}

/* --- words and questions ------------------------------------------------------------------------------------------------ */

static struct consumer_offset_header header_of(const struct line *line, const char *group)
{
	return (struct consumer_offset_header){ .consumer_group = span_of(group), .topic = span_of(topic_name(0)), .queue_id = 0,
						.set_zero_if_not_found = false, .commit_offset = line->asked_word };
}

static void on_made(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	(void)context;
	(void)status;
	(void)answer;
	(void)err;
}

/* In front of the first word, on the same connection. */
static bool make_group(struct line *line, const char *group)
{
	struct group_config config = group_config_default();
	struct errinfo err;
	struct encoder *encoder;
	struct json_writer writer;

	if (line->made)
		return true;
	encoder = client_begin(node.client, broker_node_address(broker_node(line->broker)),
			       REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, false, &err);
	if (encoder == NULL)
		return false;
	config.group_name = span_of(group);
	command_body(encoder);
	writer = json_writer_of(encoder->out);
	group_config_encode(&writer, &config);
	client_send(node.client, TIMEOUT_MS, on_made, NULL);
	line->made = true;
	return true;
}

static void ask(struct line *line)
{
	struct errinfo err;
	char group[32];
	struct encoder *encoder = client_begin(node.client, broker_node_address(broker_node(line->broker)),
					       REQ_QUERY_CONSUMER_OFFSET, false, &err);

	if (encoder == NULL)
		return;
	name_group(line, group);
	struct consumer_offset_header header = header_of(line, group);
	query_consumer_offset_encode(encoder, &header);
	line->asking = true;
	client_send(node.client, TIMEOUT_MS, on_told, line);
}

static void say(struct line *line, struct chance *chance)
{
	bool oneway = chance_one_in(chance, 3);
	struct errinfo err;
	char group[32];

	/* A one-way word may come to nothing, and a later word must not meet it: a line for it alone. */
	if (oneway || line->hoped)
		begin_anew(line);
	name_group(line, group);
	struct encoder *encoder = !make_group(line, group) ? NULL
				  : client_begin(node.client, broker_node_address(broker_node(line->broker)),
						 REQ_UPDATE_CONSUMER_OFFSET, oneway, &err);
	if (encoder == NULL)
		return;
	line->asked_word = (int64_t)chance_below(chance, 100000);
	struct consumer_offset_header header = header_of(line, group);
	update_consumer_offset_encode(encoder, &header);
	if (oneway) {
		line->hoped = true;
		line->hoped_word = line->asked_word;
		client_send(node.client, 0, NULL, NULL);
		ask(line); /* Who asks at once is told what no record may carry yet. */
		return;
	}
	line->known = false;
	line->asking = true;
	client_send(node.client, TIMEOUT_MS, on_word, line);
}

void ledger_step(struct chance *chance)
{
	struct line *line = &lines[chance_below(chance, LINES)];

	if (!line->asking && chance_one_in(chance, 3))
		say(line, chance);
	else if (!line->asking)
		ask(line);
	virtual_loop_end_turn(node.loop);
}

void ledger_ask_all(void)
{
	for (int i = 0; i < LINES; i++) {
		if (!lines[i].asking)
			ask(&lines[i]);
	}
	virtual_loop_end_turn(node.loop);
}

bool ledger_is_idle(void)
{
	for (int i = 0; i < LINES; i++) {
		if (lines[i].asking)
			return false;
	}
	return true;
}
