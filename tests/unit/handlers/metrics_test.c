/* What a scrape says, and that it is made in slices. */
#include "broker/handlers/metrics.h"
#include "tests/unit/handlers/busy_bench.h"

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

/* The lines without their comments and the labels that all have. */
static void shorten(struct buffer *text)
{
	struct span rest = buffer_span(text), line;
	struct buffer out;

	buffer_init(&out, 0);
	while ((line = span_take_until(&rest, '\n')).size > 0) {
		const uint8_t *labels = line.data[0] == '#' ? NULL : memmem(line.data, line.size, ALL, strlen(ALL));
		if (line.data[0] == '#')
			continue;
		CU_ASSERT_PTR_NOT_NULL_FATAL(labels);
		buffer_append(&out, line.data, (size_t)(labels + 1 - line.data));
		labels += strlen(ALL) + (labels[strlen(ALL)] == ',');
		buffer_append(&out, labels, (size_t)(line.data + line.size - labels));
		buffer_put_u8(&out, '\n');
	}
	buffer_deinit(text);
	*text = out;
}

#define OF(topic) "{topic=\"" topic "\",is_system=\"false\"} "
#define READ(labels) "{consumer_group=\"readers\",topic=\"orders\",is_system=\"false\"" labels "} "
#define CLIENTS(language, more) "{language=\"" language "\",version=\"453\",protocol_type=\"remoting\"" more "} "
#define DISK "{storage_type=\"local\",storage_medium=\"disk\"} "

/* Ten of the topics are the broker's own, and eight of the groups. */
static const char busy_figures[] =
	"rocketmq_broker_permission{} 4\n"
	"rocketmq_topic_number{} 16\n"
	"rocketmq_consumer_group_number{} 9\n"
	"rocketmq_messages_in_total" OF("orders") "23\n"
	"rocketmq_messages_in_total" OF("%%RETRY%%readers") "1\n"
	"rocketmq_messages_in_total" OF("%%DLQ%%readers") "2\n"
	"rocketmq_messages_in_total" OF("pay") "3\n"
	"rocketmq_messages_in_total" OF("late") "20\n"
	"rocketmq_throughput_in_total" OF("orders") "%llu\n"
	"rocketmq_throughput_in_total" OF("%%RETRY%%readers") "%llu\n"
	"rocketmq_throughput_in_total" OF("%%DLQ%%readers") "%llu\n"
	"rocketmq_throughput_in_total" OF("pay") "%llu\n"
	"rocketmq_throughput_in_total" OF("late") "%llu\n"
	"rocketmq_messages_out_total" READ("") "20\n"
	"rocketmq_throughput_out_total" READ("") "%llu\n"
	"rocketmq_consumer_lag_messages" READ(",is_retry=\"false\"") "7\n"
	"rocketmq_consumer_inflight_messages" READ(",is_retry=\"false\"") "4\n"
	"rocketmq_consumer_ready_messages" READ(",is_retry=\"false\"") "3\n"
	"rocketmq_send_to_dlq_messages_total{consumer_group=\"readers\",topic=\"%%DLQ%%readers\",is_system=\"false\"} 2\n"
	"rocketmq_producer_connections" CLIENTS("JAVA", "") "1\n"
	"rocketmq_consumer_connections" CLIENTS("JAVA", ",consumer_group=\"readers\",consume_mode=\"CONSUME_PASSIVELY\"") "1\n"
	"rocketmq_consumer_connections" CLIENTS("GO", ",consumer_group=\"readers\",consume_mode=\"CONSUME_PASSIVELY\"") "2\n"
	"rocketmq_half_messages{} 4\n"
	"rocketmq_commit_messages_total{} 3\n"
	"rocketmq_rollback_messages_total{} 2\n"
	"rocketmq_storage_size_bytes" DISK "%llu\n"
	"rocketmq_storage_flush_behind_bytes" DISK "%llu\n"
	"rocketmq_storage_dispatch_behind_bytes" DISK "0\n"
	"rocketmq_storage_message_reserve_time_milliseconds" DISK "94200000\n"
	"rocketmq_timing_messages{} 1\n"
	"escrow_half_messages_total{} 9\n"
	"escrow_transactions_in_doubt{} 3\n"
	"escrow_transaction_oldest_age_seconds{} 8\n"
	"escrow_checks_total{} 3\n"
	"escrow_decisions_refused_total{} 1\n"
	"escrow_resends_total{} 1\n"
	"escrow_put_failures_total{} 7\n"
	"escrow_connections{} 5\n"
	"escrow_disk_level{} 1\n"
	"escrow_disk_size_bytes{} 4294967296\n"
	"escrow_disk_free_bytes{} 1073741824\n"
	"escrow_oplog_lag_bytes{} 77\n"
	"escrow_oplog_rows_total{} 88\n"
	"escrow_oplog_failures_total{} 9\n";

static void test_what_is_said(void)
{
	struct bench *b = busy_bench();
	uint64_t end = commitlog_appended(b->f->log), start = commitlog_start(b->f->log), durable = commitlog_durable(b->f->log);
	struct buffer text, expected;

	buffer_init(&text, 0);
	buffer_init(&expected, 0);
	CU_ASSERT_EQUAL(scrape(b, &text), 1);
	CU_ASSERT_FALSE(text.failed);
	CU_ASSERT_TRUE(says(&text, "# TYPE rocketmq_messages_in_total counter\nrocketmq_messages_in_total" ALL ",topic=\"orders\""));
	shorten(&text);
	unsigned long long orders = busy_bytes(b, "orders", 1);
	buffer_printf(&expected, busy_figures, orders, (unsigned long long)busy_bytes(b, "%RETRY%readers", 0),
		      (unsigned long long)busy_bytes(b, "%DLQ%readers", 0), (unsigned long long)busy_bytes(b, "pay", 1),
		      (unsigned long long)busy_bytes(b, "late", 1), orders / 23 * 20, (unsigned long long)(end - start),
		      (unsigned long long)(end - durable));
	busy_check_text(buffer_span(&text), buffer_span(&expected));
	buffer_deinit(&text);
	buffer_deinit(&expected);
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
