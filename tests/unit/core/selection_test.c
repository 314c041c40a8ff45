/* broker/core: which messages a subscription gets: SQL92, several tags on a message, and whom an arrival wakes. */
#include "tests/unit/core/core_fixture.h"

#include "broker/core/expression.h"
#include "broker/core/progress.h"
#include "broker/core/selection.h"
#include "broker/core/state.h"
#include "lib/wire/properties.h"

static void send_with(struct fixture *f, const char *key, const char *tag, const char *name, const char *value)
{
	char more[256];

	snprintf(more, sizeof(more), "%s\x01%s\x02", name, value);
	(void)must_send(f, (struct sent){ .topic = "t", .key = key, .tag = tag, .more = name == NULL ? NULL : more });
	fixture_disk(f, true);
}

static struct pull_header carried(const char *type, const char *expression)
{
	return (struct pull_header){ .consumer_group = SPAN_LITERAL("readers"), .topic = SPAN_LITERAL("t"), .max_msg_nums = 32,
				     .sys_flag = PULL_SUBSCRIPTION, .subscription = span_of(expression),
				     .expression_type = span_of(type), .max_msg_bytes = -1 };
}

static int32_t prepare(struct fixture *f, const struct pull_header *header, struct pull_request *out, struct outcome *outcome)
{
	*outcome = (struct outcome){ 0 };
	return core_prepare_pull(f->core, header, out, outcome) == ST_OK ? RESP_SUCCESS : outcome->code;
}

/* The keys of what a subscription gets from queue 0, one after the other; tags after a colon. */
static const char *got(struct fixture *f, const char *type, const char *expression, uint64_t *next)
{
	static char text[512];
	struct pull_header header = carried(type, expression);
	struct pull_request request;
	struct pull_result result;
	struct outcome outcome;
	struct buffer bytes;
	struct message message;

	header.queue_offset = (int64_t)*next;
	CU_ASSERT_EQUAL_FATAL(prepare(f, &header, &request, &outcome), RESP_SUCCESS);
	CU_ASSERT_EQUAL_FATAL(core_pull(f->core, &request, &result, &outcome), ST_OK);
	*next = result.next_offset;
	buffer_init(&bytes, 0);
	core_pull_copy(f->core, &result, &bytes);
	struct span rest = buffer_span(&bytes);
	text[0] = '\0';
	while (message_next(&rest, &message, NULL) == ST_OK) {
		struct span tag = property_get(message.properties, PROPERTY_TAGS);

		CU_ASSERT_TRUE(message_crc_matches(&message));
		CU_ASSERT_TRUE(message.body.size > 0 && span_is(message.topic, "t"));
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s:%.*s ", SPAN_ARGS(message.body), SPAN_ARGS(tag));
	}
	CU_ASSERT_EQUAL(rest.size, 0);
	buffer_deinit(&bytes);
	return text;
}

#define GETS(type, expression, wanted)                                                 \
	do {                                                                           \
		uint64_t next_offset = 0;                                              \
		CU_ASSERT_STRING_EQUAL(got(f, type, expression, &next_offset), wanted); \
		CU_ASSERT_EQUAL(next_offset, 4);                                       \
	} while (0)

static void test_several_tags_on_one_message(void)
{
	struct fixture *f = fixture_create(NULL);

	send_with(f, "k0", "a", PROPERTY_ESCROW_TAGS, "b || c");
	send_with(f, "k1", "b", NULL, NULL);
	send_with(f, "k2", NULL, PROPERTY_ESCROW_TAGS, "c||d");
	send_with(f, "k3", NULL, NULL, NULL);
	GETS("TAG", "*", "k0:a k1:b k2: k3: ");
	GETS("", "", "k0:a k1:b k2: k3: ");
	GETS("TAG", "a", "k0:a ");
	/* Delivered with the tag that fits: consumers look at it again. */
	GETS("TAG", "b", "k0:b k1:b ");
	GETS("TAG", " x||c ", "k0:c k2:c ");
	GETS("TAG", "d || a", "k0:a k2:d ");
	GETS("TAG", "x", "");
	GETS("SQL92", "TRUE", "k0:a k1:b k2: k3: "); /* The same words, of two languages. */
	GETS("TAG", "TRUE", "");
	GETS("SQL92", "TAGS = 'a'", "k0:a ");
	GETS("SQL92", "ESCROW_TAGS CONTAINS 'c'", "k0:a k2: ");
	fixture_destroy(f);
}

/* "Aa" and "BB" have the same hash, and the client would drop what came with the wrong one. */
static void test_a_collision_does_not_choose_the_tag(void)
{
	struct fixture *f = fixture_create(NULL);

	CU_ASSERT_EQUAL(tag_hash(SPAN_LITERAL("Aa")), tag_hash(SPAN_LITERAL("BB")));
	send_with(f, "k0", "Aa", PROPERTY_ESCROW_TAGS, "BB");
	send_with(f, "k1", "x", PROPERTY_ESCROW_TAGS, "Aa||y");
	/* The hash that stands for several tags, as the hash of one. */
	CU_ASSERT_EQUAL(tag_hash(SPAN_LITERAL("polygenelubricants")), TAG_HASH_MANY);
	send_with(f, "k2", "polygenelubricants", NULL, NULL);
	send_with(f, "k3", "Aa", NULL, NULL);
	GETS("TAG", "BB", "k0:BB k3:Aa "); /* The last one by its hash; the client compares. */
	GETS("TAG", "polygenelubricants", "k2:polygenelubricants ");
	GETS("TAG", "y", "k1:y ");
	fixture_destroy(f);
}

static void test_sql_moves_past_what_it_looked_at(void)
{
	struct fixture *f = fixture_create(NULL);

	for (int i = 0; i < 4; i++)
		send_with(f, "k", "a", "n", i == 3 ? "7" : "1");
	GETS("SQL92", "n = 7", "k:a ");
	GETS("SQL92", "n = 8", "");
	GETS("SQL92", "n = 'x' OR missing = 1", "");
	fixture_destroy(f);
}

/* A scan is bounded: an expression that costs much gets fewer messages looked at, and the pull says how far it came. */
static void test_a_dear_expression_is_asked_in_pieces(void)
{
	enum { COUNT = 200 };
	struct fixture *f = fixture_create(NULL);
	struct buffer expression;
	char value[2048];
	uint64_t next = 0, before;
	int turns = 0;

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	char more[sizeof(value) + 8];
	snprintf(more, sizeof(more), "p\x01%s\x02", value);
	for (int i = 0; i < COUNT; i++)
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .more = more });
	fixture_disk(f, true);
	buffer_init(&expression, 0);
	for (int i = 0; i < 200; i++)
		buffer_append_text(&expression, "p CONTAINS 'w' OR ");
	buffer_append_text(&expression, "FALSE");
	buffer_put_u8(&expression, 0);
	while (next < COUNT) {
		before = next;
		CU_ASSERT_STRING_EQUAL(got(f, "SQL92", (const char *)expression.data, &next), "");
		CU_ASSERT_TRUE_FATAL(next > before);
		turns++;
	}
	CU_ASSERT_TRUE(turns > 5 && turns < COUNT / 2);
	buffer_deinit(&expression);
	fixture_destroy(f);
}

/* --- refusals -------------------------------------------------------------------------------------------------------- */

static void beat(struct fixture *f, const char *type, const char *expression, int64_t version, bool class_filter)
{
	struct subscription_data said = { .topic = SPAN_LITERAL("t"), .sub_string = span_of(expression), .sub_version = version,
					  .expression_type = span_of(type), .class_filter_mode = class_filter };
	struct consumer_data consumer = { .group_name = SPAN_LITERAL("readers"), .consume_type = CONSUME_PASSIVELY,
					  .message_model = MODEL_CLUSTERING, .subscriptions = &said, .subscription_count = 1 };
	struct heartbeat heartbeat = { .client_id = SPAN_LITERAL("c"), .consumers = &consumer, .consumer_count = 1 };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_heartbeat(f->core, CONSUMER, &(struct host){ 0 }, 0, 453, &heartbeat, &outcome), ST_OK);
}

static void test_heartbeats_expressions_and_their_codes(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pull_header header = carried("TAG", ""); /* As Go's clients say it, whatever they subscribed with. */
	struct pull_request request;
	struct outcome outcome;

	send_with(f, "k", "a", "n", "7");
	header.sys_flag = 0;
	header.sub_version = 0;
	CU_ASSERT_EQUAL(prepare(f, &header, &request, &outcome), RESP_SUBSCRIPTION_NOT_EXIST);
	beat(f, "SQL92", "n >", 1, false);
	CU_ASSERT_EQUAL(prepare(f, &header, &request, &outcome), RESP_FILTER_DATA_NOT_EXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "at position 4"));
	beat(f, "SQL92", "n > 5", 2, false);
	CU_ASSERT_EQUAL(prepare(f, &header, &request, &outcome), RESP_SUCCESS);
	CU_ASSERT_EQUAL(selection_by_hash(&request, 0), FIT_LOOK);
	const struct expression *first = request.expression;
	beat(f, "SQL92", "n > 5", 2, false);
	CU_ASSERT_EQUAL(prepare(f, &header, &request, &outcome), RESP_SUCCESS);
	CU_ASSERT_PTR_EQUAL(request.expression, first); /* Compiled once. */
	header.sub_version = 3;
	CU_ASSERT_EQUAL(prepare(f, &header, &request, &outcome), RESP_SUBSCRIPTION_NOT_LATEST);
	beat(f, "SQL92", "n > 'x'", 3, false);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(prepare(f, &header, &request, &outcome), RESP_FILTER_DATA_NOT_LATEST);
		beat(f, "SQL92", "n > 'x'", 3, false);
	}
	beat(f, "TAG", "*", 4, true);
	CU_ASSERT_EQUAL(prepare(f, &header, &request, &outcome), RESP_SUBSCRIPTION_PARSE_FAILED);
	beat(f, "TAG", "a", 5, false);
	CU_ASSERT_EQUAL(prepare(f, &header, &request, &outcome), RESP_SUCCESS);
	header = carried("JAVASCRIPT", "true");
	CU_ASSERT_EQUAL(prepare(f, &header, &request, &outcome), RESP_SUBSCRIPTION_PARSE_FAILED);
	header = carried("SQL92", "n >");
	CU_ASSERT_EQUAL(prepare(f, &header, &request, &outcome), RESP_SUBSCRIPTION_PARSE_FAILED);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "at position 4"));
	header = carried("TAG", "a");
	header.sys_flag |= PULL_CLASS_FILTER;
	CU_ASSERT_EQUAL(prepare(f, &header, &request, &outcome), RESP_SUBSCRIPTION_PARSE_FAILED);
	fixture_destroy(f);
}

static int32_t check(struct fixture *f, const char *type, const char *expression)
{
	struct subscription_data said = { .topic = SPAN_LITERAL("t"), .sub_string = span_of(expression),
					  .expression_type = span_of(type) };
	struct outcome outcome = { 0 };

	return core_check_subscription(f->core, &said, &outcome) == ST_OK ? RESP_SUCCESS : outcome.code;
}

static void test_the_check_of_a_clients_configuration(void)
{
	struct core_config config = fixture_config();
	struct fixture *f = fixture_create(&config);

	CU_ASSERT_EQUAL(check(f, "TAG", "a || b"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(check(f, "", "*"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(check(f, "SQL92", "n > 5"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(check(f, "SQL92", "n > 'x'"), RESP_SUBSCRIPTION_PARSE_FAILED);
	CU_ASSERT_EQUAL(check(f, "LUA", "n"), RESP_SUBSCRIPTION_PARSE_FAILED);
	config.property_filter = false;
	core_reconfigure(f->core, &config);
	CU_ASSERT_EQUAL(check(f, "SQL92", "n > 5"), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(check(f, "TAG", "a"), RESP_SUCCESS);
	fixture_destroy(f);
}

/* --- waking ------------------------------------------------------------------------------------------------------------ */

static void hold(struct fixture *f, const char *type, const char *expression, int32_t opaque)
{
	struct pull_header header = carried(type, expression);
	struct pull_request request;
	struct outcome outcome;

	header.queue_offset = (int64_t)topics_find(core_topics(f->core), SPAN_LITERAL("t"))->queues[0]->visible_offset;
	CU_ASSERT_EQUAL_FATAL(prepare(f, &header, &request, &outcome), RESP_SUCCESS);
	CU_ASSERT_TRUE_FATAL(core_hold_pull(f->core, &request, CONSUMER, opaque, 0, 20000));
}

static void woken(struct fixture *f, int32_t a, int32_t b)
{
	size_t count = (a != 0) + (b != 0);

	CU_ASSERT_EQUAL(f->woken_count, count);
	CU_ASSERT_TRUE(f->woken_count < 1 || f->woken[0] == a);
	CU_ASSERT_TRUE(f->woken_count < 2 || f->woken[1] == b);
	f->woken_count = 0;
}

static void test_an_arrival_wakes_whom_it_concerns(void)
{
	struct fixture *f = fixture_create(NULL);

	send_with(f, "k", NULL, NULL, NULL);
	hold(f, "TAG", "a", 1);
	hold(f, "TAG", "b||c", 2);
	hold(f, "SQL92", "n = 7", 3);
	/* More expressions than are kept: those that are held stay whole. */
	for (int i = 0; i < 3 * PULL_EXPRESSIONS; i++) {
		char text[32];
		struct pull_header header;
		struct pull_request request;
		struct outcome outcome;

		snprintf(text, sizeof(text), "n = 1%d", i);
		header = carried("SQL92", text);
		CU_ASSERT_EQUAL(prepare(f, &header, &request, &outcome), RESP_SUCCESS);
	}
	send_with(f, "k", "x", "n", "8");
	send_with(f, "k", NULL, NULL, NULL);
	send_with(f, "k", NULL, PROPERTY_ESCROW_TAGS, "x||y");
	woken(f, 0, 0);
	send_with(f, "k", "x", "n", "7");
	woken(f, 3, 0);
	send_with(f, "k", "a", PROPERTY_ESCROW_TAGS, "z || c");
	woken(f, 1, 2);
	/* What came while nobody waited is no arrival for those that come now. */
	send_with(f, "k", "b", NULL, NULL);
	hold(f, "TAG", "b", 6);
	send_with(f, "k", "x", NULL, NULL);
	woken(f, 0, 0);
	send_with(f, "k", "b", NULL, NULL);
	woken(f, 6, 0);
	hold(f, "TAG", "*", 4);
	hold(f, "TAG", "b||b||c", 5);
	send_with(f, "k", "b", NULL, NULL);
	woken(f, 5, 4);
	CU_ASSERT_EQUAL(f->core->holds.count, 0);
	CU_ASSERT_PTR_NULL(f->core->holds.buckets);
	fixture_destroy(f);
}

/* What arrives is not in memory when it was sent long before its commit: who may want it is woken, and looks himself. */
static void test_an_arrival_that_is_on_the_disk_wakes_whom_it_may_concern(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true,
							      .more = PROPERTY_ESCROW_TAGS "\001a||b\002" });

	for (int i = 0; commitlog_in_memory(f->log, half.log_offset); i++) {
		CU_ASSERT_TRUE_FATAL(i < 100000);
		send_with(f, "k", "x", NULL, NULL);
	}
	hold(f, "TAG", "b", 1);
	hold(f, "SQL92", "n = 7", 2);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	woken(f, 1, 2);
	half = must_send(f, (struct sent){ .topic = "t", .key = "l", .tag = "x", .half = true });
	while (commitlog_in_memory(f->log, half.log_offset))
		send_with(f, "k", "x", NULL, NULL);
	hold(f, "TAG", "b", 3); /* Its tag is in the index: no concern of this one. */
	hold(f, "SQL92", "n = 7", 4);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	woken(f, 4, 0);
	fixture_destroy(f);
}

static void test_ten_thousand_subscriptions_with_their_own_tags(void)
{
	enum { COUNT = 10000 };
	struct core_config config = fixture_config();
	char tag[16];

	config.hold_max = COUNT;
	struct fixture *f = fixture_create(&config);
	send_with(f, "k", NULL, NULL, NULL);
	for (int i = 1; i <= COUNT; i++) {
		snprintf(tag, sizeof(tag), "tag%d", i);
		hold(f, "TAG", tag, i);
	}
	const struct queue *queue = topics_find(core_topics(f->core), SPAN_LITERAL("t"))->queues[0];
	CU_ASSERT_PTR_NULL(queue->asked_holds); /* Nobody is asked one by one. */
	CU_ASSERT_EQUAL(f->core->holds.count, COUNT);
	send_with(f, "k", "tag77", NULL, NULL);
	woken(f, 77, 0);
	send_with(f, "k", "tag77", NULL, NULL);
	woken(f, 0, 0);
	send_with(f, "k", NULL, PROPERTY_ESCROW_TAGS, "tag9999||tag5");
	woken(f, 9999, 5);
	core_connection_gone(f->core, CONSUMER);
	CU_ASSERT_EQUAL(f->core->holds.count, 0);
	CU_ASSERT_PTR_NULL(f->core->holds.buckets);
	fixture_destroy(f);
}

/* However many and however long the expressions are that wait, a message does not keep the loop for them; tags wait as ever. */
static void test_what_an_arrival_may_cost_is_bounded(void)
{
	struct core_config config = fixture_config();
	struct pull_header header;
	struct pull_request request;
	struct outcome outcome;
	char text[1200];
	int size = snprintf(text, sizeof(text), "n = 1"), held = 0;

	while (size < 1000)
		size += snprintf(text + size, sizeof(text) - (size_t)size, " OR n = 1");
	config.hold_max = 1000;
	struct fixture *f = fixture_create(&config);
	send_with(f, "k", NULL, NULL, NULL);
	header = carried("SQL92", text);
	header.queue_offset = (int64_t)topics_find(core_topics(f->core), SPAN_LITERAL("t"))->queues[0]->visible_offset;
	do {
		CU_ASSERT_EQUAL_FATAL(prepare(f, &header, &request, &outcome), RESP_SUCCESS);
	} while (core_hold_pull(f->core, &request, CONSUMER, ++held, 0, 20000));
	CU_ASSERT_TRUE(held > 50 && held < (int)config.hold_max);
	hold(f, "TAG", "a", 100000);
	send_with(f, "k", "a", NULL, NULL);
	woken(f, 100000, 0);
	/* Those that leave make room. */
	core_connection_gone(f->core, CONSUMER);
	CU_ASSERT_EQUAL(topics_find(core_topics(f->core), SPAN_LITERAL("t"))->queues[0]->asked_cost, 0);
	hold(f, "SQL92", "n = 7", 3);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_several_tags_on_one_message),
		CHECK_TEST(test_a_collision_does_not_choose_the_tag),
		CHECK_TEST(test_sql_moves_past_what_it_looked_at),
		CHECK_TEST(test_a_dear_expression_is_asked_in_pieces),
		CHECK_TEST(test_heartbeats_expressions_and_their_codes),
		CHECK_TEST(test_the_check_of_a_clients_configuration),
		CHECK_TEST(test_an_arrival_wakes_whom_it_concerns),
		CHECK_TEST(test_an_arrival_that_is_on_the_disk_wakes_whom_it_may_concern),
		CHECK_TEST(test_ten_thousand_subscriptions_with_their_own_tags),
		CHECK_TEST(test_what_an_arrival_may_cost_is_bounded),
	};

	return check_main("selection", tests, sizeof(tests) / sizeof(tests[0]));
}
