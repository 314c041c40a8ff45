/* namesrv/route_table without the requests around it: its limit of topics, and random comings and goings against an array
 * of who should be there. */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "namesrv/route_table.h"

enum { NAMES = 5, TOPICS = 7, TIMEOUT_MS = 1000 };

static enum status reg(struct route_table *table, const char *name, const char *addr, const struct topic_config *topics,
		       size_t count, int64_t counter, uint64_t conn_id, int64_t now_ms)
{
	struct broker_header header = { .broker_name = span_of(name), .broker_addr = span_of(addr),
					.cluster_name = SPAN_LITERAL("c"), .heartbeat_timeout_ms = -1 };
	struct topic_config_table config = { .version = { .counter = counter }, .topics = topics, .topic_count = count };
	struct errinfo err;
	bool is_new;

	return route_table_register(table, &header, &config, conn_id, now_ms, &is_new, &err);
}

static bool routes(const struct route_table *table, const char *topic, const char *addr)
{
	struct buffer out;

	buffer_init(&out, 0);
	bool found = route_table_route(table, span_of(topic), SPAN_NONE, true, &out);
	buffer_put_u8(&out, 0);
	bool has = found && strstr((const char *)buffer_span(&out).data, addr) != NULL;
	buffer_deinit(&out);
	return has;
}

static void test_topics_are_bounded_and_known_ones_are_served_on(void)
{
	enum { AT_ONCE = 100 * 1000 };
	struct route_table *table = route_table_create(TIMEOUT_MS);
	struct topic_config *topics = calloc(AT_ONCE, sizeof(*topics));
	char (*names)[16] = calloc(AT_ONCE, sizeof(*names));

	if (table == NULL || topics == NULL || names == NULL)
		abort();
	for (int round = 0; round <= ROUTE_TOPICS_MAX / AT_ONCE; round++) {
		for (int i = 0; i < AT_ONCE; i++) {
			snprintf(names[i], sizeof(names[i]), "t-%d-%d", round, i);
			topics[i] = (struct topic_config){ .name = span_of(names[i]), .read_queue_nums = 4, .write_queue_nums = 4, .perm = 6 };
		}
		enum status status = reg(table, "a", "1.1.1.1:1", topics, AT_ONCE, round + 1, 1, 0);
		if (round < ROUTE_TOPICS_MAX / AT_ONCE)
			CU_ASSERT_EQUAL(status, ST_OK);
	}
	CU_ASSERT_TRUE(routes(table, "t-0-0", "1.1.1.1:1"));
	CU_ASSERT_TRUE(routes(table, "t-9-99999", "1.1.1.1:1"));
	CU_ASSERT_FALSE(routes(table, "t-10-0", "1.1.1.1:1"));
	struct errinfo err = { ST_OK, "" };
	struct queue_data queue = { .broker_name = SPAN_LITERAL("a"), .read_queue_nums = 1, .write_queue_nums = 1, .perm = 6 };
	CU_ASSERT_EQUAL(route_table_add_topic(table, SPAN_LITERAL("one-more"), &queue, 1, &err), ST_TOOBIG);
	/* Room again, and it is taken. */
	route_table_delete_topic(table, SPAN_LITERAL("t-3-3"), SPAN_NONE);
	CU_ASSERT_EQUAL(route_table_add_topic(table, SPAN_LITERAL("one-more"), &queue, 1, &err), ST_OK);
	CU_ASSERT_TRUE(routes(table, "one-more", "1.1.1.1:1"));
	free(names);
	free(topics);
	route_table_destroy(table);
}

struct model {
	bool here;
	uint64_t conn_id;
	int64_t seen_ms;
	int64_t counter;
	bool topics[TOPICS];
};

static size_t gone_count;

static void on_gone(void *context, struct span broker_name, struct span addr)
{
	struct model *model = context;

	CU_ASSERT_TRUE_FATAL(broker_name.size == 1 && addr.size > 0);
	struct model *m = &model[broker_name.data[0] - 'a'];
	if (!m->here)
		CU_FAIL("a broker went twice");
	m->here = false;
	memset(m->topics, 0, sizeof(m->topics));
	gone_count++;
}

static void compare(const struct route_table *table, const struct model *model)
{
	for (int t = 0; t < TOPICS; t++) {
		char topic[8];

		snprintf(topic, sizeof(topic), "topic%d", t);
		for (int b = 0; b < NAMES; b++) {
			char addr[16];

			snprintf(addr, sizeof(addr), "10.0.0.%d:1", b);
			if (routes(table, topic, addr) != (model[b].here && model[b].topics[t]))
				CU_FAIL("a route is not what the registrations say");
		}
	}
}

static void random_register(struct route_table *table, struct model *model, uint64_t *random, uint64_t *next_conn, int64_t now)
{
	int b = (int)(check_random(random) % NAMES);
	struct topic_config topics[TOPICS];
	char names[TOPICS][8], name[2] = { (char)('a' + b), '\0' }, addr[16];
	bool named[TOPICS] = { false };
	size_t count = 0;

	for (int t = 0; t < TOPICS; t++) {
		if (check_random(random) % 3 != 0)
			continue;
		snprintf(names[t], sizeof(names[t]), "topic%d", t);
		topics[count++] = (struct topic_config){ .name = span_of(names[t]), .read_queue_nums = 4, .write_queue_nums = 4, .perm = 6 };
		named[t] = true;
	}
	snprintf(addr, sizeof(addr), "10.0.0.%d:1", b);
	uint64_t conn_id = check_random(random) % 4 == 0 || model[b].conn_id == 0 ? ++*next_conn : model[b].conn_id;
	enum status status = reg(table, name, addr, topics, count, ++model[b].counter, conn_id, now);
	/* One topic alone is an addition to a registration, not one. */
	CU_ASSERT_EQUAL(status, !model[b].here && count == 1 ? ST_DENIED : ST_OK);
	if (status != ST_OK)
		return;
	model[b].here = true;
	model[b].conn_id = conn_id;
	model[b].seen_ms = now;
	/* What a broker named once it keeps, until it goes. */
	for (int t = 0; t < TOPICS; t++)
		model[b].topics[t] |= named[t];
}

static void test_random_comings_and_goings(void)
{
	uint64_t random = check_seed(91), next_conn = 0;
	struct route_table *table = route_table_create(TIMEOUT_MS);
	struct model model[NAMES] = { { .here = false } };
	int64_t now = 0;

	for (int step = 0; step < 3000; step++) {
		int b = (int)(check_random(&random) % NAMES);
		uint64_t dice = check_random(&random) % 10;

		if (dice < 5) {
			random_register(table, model, &random, &next_conn, now);
		} else if (dice < 7) {
			uint64_t conn = 1 + check_random(&random) % (next_conn + 1);
			size_t expected = 0, before = gone_count;

			for (int i = 0; i < NAMES; i++)
				expected += model[i].here && model[i].conn_id == conn;
			route_table_connection_gone(table, conn, on_gone, model);
			CU_ASSERT_EQUAL(gone_count - before, expected);
		} else if (dice < 8 && model[b].here) {
			char name[2] = { (char)('a' + b), '\0' }, addr[16];

			snprintf(addr, sizeof(addr), "10.0.0.%d:1", b);
			CU_ASSERT_TRUE(route_table_unregister(table, span_of(name), span_of(addr), 0));
			CU_ASSERT_FALSE(route_table_unregister(table, span_of(name), span_of(addr), 0));
			on_gone(model, span_of(name), span_of(addr));
		} else {
			now += (int64_t)(check_random(&random) % 300);
			route_table_expire(table, now, on_gone, model);
			for (int i = 0; i < NAMES; i++) {
				if (model[i].here && now - model[i].seen_ms > TIMEOUT_MS)
					CU_FAIL("a silent broker stays");
			}
		}
		compare(table, model);
	}
	route_table_expire(table, now + 10 * TIMEOUT_MS, on_gone, model);
	compare(table, model);
	route_table_destroy(table);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_topics_are_bounded_and_known_ones_are_served_on),
		CHECK_TEST(test_random_comings_and_goings),
	};
	return check_main("route_table", tests, sizeof(tests) / sizeof(tests[0]));
}
