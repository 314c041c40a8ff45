/* What a scrape says, and that it is made in slices. */
#include "broker/handlers/metrics.h"
#include "broker/core/inspect.h"
#include "broker/core/progress.h"
#include "tests/unit/handlers/handlers_fixture.h"

static struct machine_facts look(void *context)
{
	(void)context;
	return (struct machine_facts){ .disk_bytes = 4000, .disk_free_bytes = 1000, .connections = 5, .oplog = true,
				       .oplog_lag_bytes = 77 };
}

/* The whole text; how many slices it took. */
static unsigned scrape(const struct bench *b, struct buffer *out)
{
	struct metrics_walk walk = { .handlers = &b->handlers };
	unsigned slices = 1;

	buffer_reset(out);
	while (metrics_next(&walk, out))
		slices++;
	return slices;
}

static bool says(const struct buffer *text, const char *line)
{
	struct span all = buffer_span(text);

	return memmem(all.data, all.size, line, strlen(line)) != NULL;
}

#define ALL "{node_type=\"broker\",cluster=\"c\",node_id=\"a\""

static void read_orders(struct bench *b, uint64_t from, int64_t confirmed)
{
	struct pull_request request = pull_of(b->f, "orders", 1, from, "*");
	struct pull_result result;
	struct outcome outcome;

	request.group_id = core_name_id(b->f->core, SPAN_LITERAL("readers"));
	CU_ASSERT_EQUAL(core_pull(b->f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_update_offset(b->f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("orders"), 1, confirmed, true, &outcome),
			ST_OK);
	fixture_disk(b->f, true);
}

static void test_what_is_said(void)
{
	struct bench *b = bench_open();
	struct outcome outcome;
	struct buffer text;

	buffer_init(&text, 0);
	b->handlers.machine = (struct machine_port){ b, look };
	bench_consumer(b, 100, "one", LANGUAGE_JAVA, 453);
	fixture_heartbeat(b->f, true);
	for (int i = 0; i < 10; i++)
		must_send(b->f, (struct sent){ .topic = "orders", .key = "k", .queue_id = 1 });
	struct send_result half = must_send(b->f, (struct sent){ .topic = "orders", .key = "h1", .half = true });
	must_send(b->f, (struct sent){ .topic = "orders", .key = "h2", .half = true });
	fixture_disk(b->f, true);
	CU_ASSERT_EQUAL(fixture_end(b->f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	fixture_advance(b->f, 5000);
	read_orders(b, 0, 4);
	read_orders(b, 4, 4);
	CU_ASSERT_EQUAL(scrape(b, &text), 1);
	CU_ASSERT_FALSE(text.failed);
	CU_ASSERT_TRUE(says(&text, "# TYPE rocketmq_messages_in_total counter\n"
			    "rocketmq_messages_in_total" ALL ",topic=\"orders\",is_system=\"false\"} 10\n"));
	CU_ASSERT_TRUE(says(&text, "rocketmq_messages_out_total" ALL ",consumer_group=\"readers\",topic=\"orders\",is_system=\"false\"} 16\n"));
	CU_ASSERT_TRUE(says(&text, "rocketmq_consumer_lag_messages" ALL
			    ",consumer_group=\"readers\",topic=\"orders\",is_system=\"false\",is_retry=\"false\"} 6\n"));
	CU_ASSERT_TRUE(says(&text, "rocketmq_consumer_inflight_messages" ALL
			    ",consumer_group=\"readers\",topic=\"orders\",is_system=\"false\",is_retry=\"false\"} 6\n"));
	CU_ASSERT_TRUE(says(&text, "rocketmq_consumer_ready_messages" ALL
			    ",consumer_group=\"readers\",topic=\"orders\",is_system=\"false\",is_retry=\"false\"} 0\n"));
	CU_ASSERT_TRUE(says(&text, "rocketmq_consumer_connections" ALL ",language=\"JAVA\",version=\"453\",protocol_type=\"remoting\","
			    "consumer_group=\"readers\",consume_mode=\"CONSUME_PASSIVELY\"} 1\n"));
	CU_ASSERT_TRUE(says(&text, "rocketmq_producer_connections" ALL
			    ",language=\"JAVA\",version=\"453\",protocol_type=\"remoting\"} 1\n"));
	CU_ASSERT_TRUE(says(&text, "rocketmq_half_messages" ALL "} 1\n"));
	CU_ASSERT_TRUE(says(&text, "rocketmq_rollback_messages_total" ALL "} 1\n"));
	CU_ASSERT_TRUE(says(&text, "rocketmq_commit_messages_total" ALL "} 0\n"));
	CU_ASSERT_TRUE(says(&text, "escrow_transaction_oldest_age_seconds" ALL "} 5\n"));
	CU_ASSERT_TRUE(says(&text, "escrow_disk_free_bytes" ALL "} 1000\n"));
	CU_ASSERT_TRUE(says(&text, "escrow_oplog_lag_bytes" ALL "} 77\n"));
	CU_ASSERT_FALSE(says(&text, "%")); /* No retry topic was put to or read. */
	buffer_deinit(&text);
	bench_close(b);
}

/* The oldest is decided: the next one's age is told, and none when there is none. */
static void test_the_age_of_the_oldest_open_transaction(void)
{
	static const char *const ages[] = { "9", "6", "0" };
	struct bench *b = bench_open();
	struct send_result halves[2];
	struct outcome outcome;
	struct buffer text;
	char line[128];

	buffer_init(&text, 0);
	halves[0] = must_send(b->f, (struct sent){ .topic = "orders", .key = "h1", .half = true });
	fixture_advance(b->f, 5000);
	halves[1] = must_send(b->f, (struct sent){ .topic = "orders", .key = "h2", .half = true });
	fixture_advance(b->f, 4000);
	for (int i = 0; i < 3; i++) {
		(void)scrape(b, &text);
		snprintf(line, sizeof(line), "escrow_transaction_oldest_age_seconds" ALL "} %s\n", ages[i]);
		CU_ASSERT_TRUE(says(&text, line));
		if (i < 2)
			CU_ASSERT_EQUAL(fixture_end(b->f, &halves[i], OUTCOME_COMMIT, false, &outcome), ST_OK);
		fixture_advance(b->f, 2000);
	}
	buffer_deinit(&text);
	bench_close(b);
}

/* Each slice is short, all lines of a family stand together, and what goes between two slices does no harm. */
static void test_slices(void)
{
	struct bench *b = bench_open();
	struct metrics_walk walk = { .handlers = &b->handlers };
	struct outcome outcome;
	struct buffer text;
	char topic[32];
	unsigned slices = 0;

	buffer_init(&text, 0);
	bench_consumer(b, 100, "one", LANGUAGE_JAVA, 453);
	for (int i = 0; i < 80; i++) {
		snprintf(topic, sizeof(topic), "topic-%d", i);
		must_send(b->f, (struct sent){ .topic = topic, .key = "k", .queue_id = 1 });
		CU_ASSERT_EQUAL(core_update_offset(b->f->core, SPAN_LITERAL("readers"), span_of(topic), 1, 0, true, &outcome), ST_OK);
		fixture_disk(b->f, true);
	}
	CU_ASSERT_TRUE(scrape(b, &text) > 2);
	CU_ASSERT_TRUE(says(&text, "topic=\"topic-79\",is_system=\"false\",is_retry=\"false\"} 1\n"));
	for (bool more = true; more; slices++) {
		buffer_reset(&text);
		more = metrics_next(&walk, &text);
		CU_ASSERT_TRUE(buffer_size(&text) < 64 * 1024);
		snprintf(topic, sizeof(topic), "topic-%u", slices);
		const char *const fields[] = { "topic", topic, NULL };
		CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_DELETE_TOPIC_IN_BROKER, fields, ""), ST_OK);
	}
	CU_ASSERT_TRUE(slices > 2);
	buffer_deinit(&text);
	bench_close(b);
}

/* Clients of more kinds than are told apart are counted all the same. */
static void test_no_client_is_left_out(void)
{
	enum { CLIENTS = 40 };
	struct bench *b = bench_open();
	struct buffer text;
	unsigned long count = 0;
	char id[16];

	for (int i = 0; i < CLIENTS; i++) {
		snprintf(id, sizeof(id), "client-%d", i);
		bench_consumer(b, 100 + (uint64_t)i, id, LANGUAGE_JAVA, i);
	}
	buffer_init(&text, 0);
	(void)scrape(b, &text);
	buffer_put_u8(&text, '\0');
	for (const char *at = (const char *)buffer_span(&text).data; (at = strstr(at, "\nrocketmq_consumer_connections{")) != NULL; at++)
		count += strtoul(strstr(at, "} ") + 2, NULL, 10);
	CU_ASSERT_EQUAL(count, CLIENTS);
	buffer_deinit(&text);
	bench_close(b);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_is_said),
		CHECK_TEST(test_the_age_of_the_oldest_open_transaction),
		CHECK_TEST(test_slices),
		CHECK_TEST(test_no_client_is_left_out),
	};

	return check_main("metrics", tests, sizeof(tests) / sizeof(tests[0]));
}
