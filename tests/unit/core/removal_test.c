/* broker/core/removal: what a deleted topic or group leaves behind, and that it stays gone over every kind of start. */
#include "broker/core/assignment.h"
#include "broker/core/inspect.h"
#include "broker/core/key_query.h"
#include "broker/core/pop.h"
#include "broker/core/removal.h"
#include "broker/core/state.h"
#include "tests/unit/core/core_fixture.h"

static void must_delete(struct fixture *f, const char *topic)
{
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL_FATAL(core_delete_topic(f->core, span_of(topic), &outcome), ST_OK);
	CU_ASSERT_EQUAL(outcome.code, RESP_SUCCESS);
	CU_ASSERT_TRUE(outcome.wait_offset > 0);
	fixture_disk(f, true);
}

static bool is_there(const struct fixture *f, const char *topic)
{
	return topics_find(core_topics(f->core), span_of(topic)) != NULL;
}

static void must_set_offset(struct fixture *f, const char *group, const char *topic, int64_t offset)
{
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_update_offset(f->core, span_of(group), span_of(topic), 0, offset, true, &outcome), ST_OK);
	fixture_disk(f, true);
}

/* -1: none. */
static int64_t offset_of(struct fixture *f, const char *group, const char *topic)
{
	struct outcome outcome = { 0 };
	int64_t offset = -1;

	return core_query_offset(f->core, span_of(group), span_of(topic), 0, false, &offset, &outcome) == ST_OK ? offset : -1;
}

enum start { START_SERVING, START_FROM_LOG, START_FROM_SNAPSHOT, STARTS };

static void restart(struct fixture *f, enum start how)
{
	if (how == START_SERVING)
		return;
	if (how == START_FROM_SNAPSHOT)
		fixture_snapshot(f);
	fixture_restart(f);
	CU_ASSERT_EQUAL(f->store.snapshot_from != 0, how == START_FROM_SNAPSHOT);
}

static void test_a_topic_made_again_begins_at_nothing(void)
{
	for (enum start how = START_SERVING; how < STARTS; how++) {
		struct fixture *f = fixture_create(NULL);
		struct pulled pulled = { 0 };
		char key[16];

		fixture_heartbeat(f, false);
		for (int i = 0; i < 300; i++) {
			snprintf(key, sizeof(key), "old-%d", i);
			(void)must_send(f, (struct sent){ .topic = "orders", .key = key });
		}
		fixture_disk(f, true);
		must_set_offset(f, "readers", "orders", 250);
		must_delete(f, "orders");
		CU_ASSERT_FALSE(is_there(f, "orders"));
		restart(f, how);
		CU_ASSERT_FALSE(is_there(f, "orders"));
		CU_ASSERT_EQUAL(must_send(f, (struct sent){ .topic = "orders", .key = "new" }).queue_offset, 0);
		fixture_disk(f, true);
		CU_ASSERT_EQUAL(offset_of(f, "readers", "orders"), -1);
		restart(f, how);
		CU_ASSERT_EQUAL(fixture_pull(f, "orders", 0, 0, "*", &pulled), 1);
		CU_ASSERT_EQUAL(pulled.result.max_offset, 1);
		CU_ASSERT_TRUE(pulled.count == 1 && span_is(pulled.messages[0].body, "new"));
		CU_ASSERT_EQUAL(must_send(f, (struct sent){ .topic = "orders", .key = "next" }).queue_offset, 1);
		pulled_free(&pulled);
		fixture_destroy(f);
	}
}

static uint32_t pop_all(struct fixture *f, const char *topic)
{
	struct pop_header header = { .consumer_group = SPAN_LITERAL("readers"), .topic = span_of(topic), .queue_id = 0,
				     .max_msg_nums = 32, .invisible_ms = 10 * 1000 };
	struct pop_request request;
	struct pop_result result;
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL_FATAL(core_prepare_pop(f->core, &header, &request, &outcome), ST_OK);
	CU_ASSERT_EQUAL_FATAL(core_pop(f->core, &request, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	return result.count;
}

/* What was checked out of the old one is neither waited for nor stands for the new one's first messages. */
static void test_pop_begins_at_nothing_too(void)
{
	for (enum start how = START_SERVING; how < STARTS; how++) {
		struct fixture *f = fixture_create(NULL);

		for (int i = 0; i < 3; i++)
			(void)must_send(f, (struct sent){ .topic = "orders", .key = "old" });
		fixture_disk(f, true);
		CU_ASSERT_EQUAL(pop_all(f, "orders"), 3);
		must_delete(f, "orders");
		CU_ASSERT_EQUAL(f->core->pops.live, 0);
		(void)must_send(f, (struct sent){ .topic = "orders", .key = "new" });
		fixture_disk(f, true);
		restart(f, how);
		CU_ASSERT_EQUAL(f->core->pops.live, 0);
		CU_ASSERT_EQUAL(pop_all(f, "orders"), 1);
		fixture_destroy(f);
	}
}

/* Its line in the visibility list is still waiting when the topic goes. */
static void test_what_is_not_committed_when_the_topic_goes_never_shows(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	struct pulled pulled = { 0 };

	(void)must_send(f, (struct sent){ .topic = "orders", .key = "first" });
	fixture_disk(f, true);
	(void)must_send(f, (struct sent){ .topic = "orders", .key = "uncommitted" });
	CU_ASSERT_EQUAL(core_delete_topic(f->core, SPAN_LITERAL("orders"), &outcome), ST_OK);
	(void)must_send(f, (struct sent){ .topic = "orders", .key = "new" });
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "orders", 0, 0, "*", &pulled), 1);
	CU_ASSERT_TRUE(pulled.count == 1 && span_is(pulled.messages[0].body, "new"));
	CU_ASSERT_EQUAL(pulled.result.max_offset, 1);
	pulled_free(&pulled);
	fixture_destroy(f);
}

static void test_old_messages_are_not_found_by_key(void)
{
	struct fixture *f = fixture_create(NULL);
	struct key_query query = { .topic = SPAN_LITERAL("orders"), .key = SPAN_LITERAL("a"), .end_ms = INT64_MAX };
	struct stored_message stored;
	struct errinfo err;

	uint64_t old = must_send(f, (struct sent){ .topic = "orders", .key = "a" }).log_offset;
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(core_key_message(f->core, old, &query, &stored, &err), ST_OK);
	must_delete(f, "orders");
	CU_ASSERT_EQUAL(core_key_message(f->core, old, &query, &stored, &err), ST_NOTFOUND);
	uint64_t new = must_send(f, (struct sent){ .topic = "orders", .key = "a" }).log_offset;
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(core_key_message(f->core, old, &query, &stored, &err), ST_NOTFOUND);
	CU_ASSERT_EQUAL(core_key_message(f->core, new, &query, &stored, &err), ST_OK);
	fixture_destroy(f);
}

static void test_waiting_pulls_are_told(void)
{
	struct fixture *f = fixture_create(NULL);

	(void)must_send(f, (struct sent){ .topic = "orders", .key = "a" });
	fixture_disk(f, true);
	struct pull_request pull = pull_of(f, "orders", 0, 1, "*");
	CU_ASSERT_TRUE(core_hold_pull(f->core, &pull, CONSUMER, 17, 0, 15000));
	must_delete(f, "orders");
	CU_ASSERT_EQUAL(f->woken_count, 1);
	CU_ASSERT_EQUAL(f->woken[0], 17);
	fixture_destroy(f);
}

static void test_a_commit_into_a_deleted_topic_is_a_rollback(void)
{
	for (int made_again = 0; made_again < 2; made_again++) {
		for (enum start how = START_SERVING; how < STARTS; how++) {
			struct fixture *f = fixture_create(NULL);
			struct outcome outcome;
			struct pulled pulled = { 0 };

			struct send_result half = must_send(f, (struct sent){ .topic = "orders", .key = "half", .half = true });
			fixture_disk(f, true);
			must_delete(f, "orders");
			if (made_again)
				(void)must_send(f, (struct sent){ .topic = "orders", .key = "new" });
			fixture_disk(f, true);
			restart(f, how);
			CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_DENIED);
			CU_ASSERT_EQUAL(outcome.code, RESP_TOPIC_NOT_EXIST);
			CU_ASSERT_TRUE(outcome.wait_offset > 0);
			fixture_disk(f, true);
			CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 0);
			restart(f, how);
			CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
			CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_DENIED);
			CU_ASSERT_EQUAL(outcome.code, RESP_ILLEGAL_OPERATION);
			CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "by policy topic deleted"));
			if (made_again)
				CU_ASSERT_EQUAL(fixture_pull(f, "orders", 0, 0, "*", &pulled), 1);
			pulled_free(&pulled);
			fixture_destroy(f);
		}
	}
}

/* A half that was sent after the topic was made again is an ordinary one. */
static void test_a_half_of_the_new_topic_is_committed(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome;
	struct pulled pulled = { 0 };

	(void)must_send(f, (struct sent){ .topic = "orders", .key = "old" });
	must_delete(f, "orders");
	struct send_result half = must_send(f, (struct sent){ .topic = "orders", .key = "half", .half = true });
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "orders", 0, 0, "*", &pulled), 1);
	CU_ASSERT_TRUE(pulled.count == 1 && span_is(pulled.messages[0].body, "half"));
	pulled_free(&pulled);
	fixture_destroy(f);
}

static void test_delayed_messages_of_a_deleted_topic_are_recalled(void)
{
	for (enum start how = START_SERVING; how < STARTS; how++) {
		struct fixture *f = fixture_create(NULL);
		struct outcome outcome;
		struct pulled pulled = { 0 };

		(void)must_send(f, (struct sent){ .topic = "orders", .key = "delayed", .delay_level = 2 });
		struct send_result half = must_send(f, (struct sent){ .topic = "orders", .key = "half", .half = true, .delay_level = 3 });
		CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
		must_delete(f, "orders");
		(void)must_send(f, (struct sent){ .topic = "orders", .key = "new" });
		(void)must_send(f, (struct sent){ .topic = "orders", .key = "new delayed", .delay_level = 4 });
		fixture_disk(f, true);
		restart(f, how);
		fixture_advance(f, 15000);
		restart(f, how);
		CU_ASSERT_EQUAL(fixture_pull(f, "orders", 0, 0, "*", &pulled), 1);
		fixture_advance(f, 10000);
		restart(f, how);
		CU_ASSERT_EQUAL(fixture_pull(f, "orders", 0, 0, "*", &pulled), 2);
		CU_ASSERT_TRUE(pulled.count == 2 && span_is(pulled.messages[1].body, "new delayed"));
		CU_ASSERT_EQUAL(f->core->delays.count, 0);
		pulled_free(&pulled);
		fixture_destroy(f);
	}
}

static void test_retry_topics_of_pop_go_along(void)
{
	struct fixture *f = fixture_create(NULL);
	struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = PERM_READ | PERM_WRITE };
	static const char *const retries[] = { "%RETRY%readers_orders", "%RETRY%readers+orders", "%RETRY%others_orders" };
	struct outcome outcome = { 0 };

	fixture_heartbeat(f, false);
	(void)must_send(f, (struct sent){ .topic = "orders", .key = "a" });
	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(core_put_topic(f->core, span_of(retries[i]), &settings, &outcome), ST_OK);
		CU_ASSERT_TRUE(is_there(f, retries[i]));
	}
	must_delete(f, "orders");
	CU_ASSERT_FALSE(is_there(f, "orders"));
	CU_ASSERT_FALSE(is_there(f, "%RETRY%readers_orders"));
	CU_ASSERT_FALSE(is_there(f, "%RETRY%readers+orders"));
	CU_ASSERT_TRUE(is_there(f, "%RETRY%others_orders"));
	CU_ASSERT_TRUE(is_there(f, "%RETRY%readers"));
	fixture_destroy(f);
}

/* The first one's answer may be lost, and the next one comes before its record is safe: it rests on that record, too. */
static void test_what_is_repeated_waits_for_the_first(void)
{
	struct fixture *f = fixture_create(NULL);

	fixture_heartbeat(f, false);
	(void)must_send(f, (struct sent){ .topic = "orders", .key = "a" });
	fixture_disk(f, true);
	for (int time = 0; time < 2; time++) {
		struct outcome topic = { 0 }, group = { 0 }, readable = { 0 };

		CU_ASSERT_EQUAL(core_delete_topic(f->core, SPAN_LITERAL("orders"), &topic), ST_OK);
		CU_ASSERT_TRUE(topic.wait_offset > core_committed_offset(f->core));
		CU_ASSERT_EQUAL(core_delete_group(f->core, SPAN_LITERAL("readers"), false, &group), ST_OK);
		CU_ASSERT_TRUE(group.wait_offset > core_committed_offset(f->core));
		CU_ASSERT_EQUAL(core_set_group_readable(f->core, SPAN_LITERAL("others"), SPAN_LITERAL("orders"), false, &readable), ST_OK);
		CU_ASSERT_TRUE(readable.wait_offset > core_committed_offset(f->core));
	}
	fixture_destroy(f);
}

static void test_what_cannot_be_deleted(void)
{
	static const char *const refused[] = { "", "TBW102", "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "c", "a" };
	struct fixture *f = fixture_create(NULL);

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct outcome outcome = { 0 };

		CU_ASSERT_EQUAL(core_delete_topic(f->core, span_of(refused[i]), &outcome), ST_DENIED);
		CU_ASSERT_EQUAL(outcome.code, RESP_INVALID_PARAMETER);
		CU_ASSERT_TRUE(outcome.err.text[0] != '\0');
	}
	struct outcome outcome = { 0 };
	uint64_t before = commitlog_appended(f->log);
	CU_ASSERT_EQUAL(core_delete_topic(f->core, SPAN_LITERAL("nobody-made-it"), &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_delete_group(f->core, SPAN_LITERAL("nobody-made-it"), true, &outcome), ST_OK);
	CU_ASSERT_EQUAL(commitlog_appended(f->log), before);
	fixture_destroy(f);
}

/* The limits count what is there. */
static void test_what_is_deleted_makes_room(void)
{
	struct core_config config = fixture_config();

	config.topic_max = 12;
	config.auto_create_group = true;
	struct fixture *f = fixture_create(&config);
	char name[16];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "topic-%d", i);
		(void)must_send(f, (struct sent){ .topic = name, .key = "a" });
		must_delete(f, name);
	}
	fixture_restart(f);
	(void)must_send(f, (struct sent){ .topic = "one-more", .key = "a" });
	fixture_destroy(f);
}

/* So do those of consumers' offsets, of a topic or of a group. */
static void test_offsets_that_are_deleted_make_room(void)
{
	struct core_config config = fixture_config();

	config.offset_row_max = 10;
	struct fixture *f = fixture_create(&config);
	struct group_config group = group_config_default();
	struct outcome outcome = { 0 };
	char name[16];

	(void)must_send(f, (struct sent){ .topic = "stays", .key = "a" });
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("reader-0"), &group, &outcome), ST_OK);
	must_set_offset(f, "reader-0", "stays", 1);
	for (int i = 1; i < 50; i++) {
		snprintf(name, sizeof(name), "topic-%d", i);
		(void)must_send(f, (struct sent){ .topic = name, .key = "a" });
		must_set_offset(f, "reader-0", name, 1);
		must_delete(f, name);
		CU_ASSERT_EQUAL(offset_of(f, "reader-0", name), -1);
		snprintf(name, sizeof(name), "reader-%d", i);
		CU_ASSERT_EQUAL(core_put_group(f->core, span_of(name), &group, &outcome), ST_OK);
		must_set_offset(f, name, "stays", 1);
		CU_ASSERT_EQUAL(core_delete_group(f->core, span_of(name), true, &outcome), ST_OK);
	}
	CU_ASSERT_EQUAL(offset_of(f, "reader-0", "stays"), 1);
	fixture_disk(f, true);
	fixture_restart(f);
	CU_ASSERT_EQUAL(offset_of(f, "reader-0", "stays"), 1);
	fixture_destroy(f);
}

static void test_a_group_goes_with_or_without_its_offsets(void)
{
	for (int clean = 0; clean < 2; clean++) {
		for (enum start how = START_SERVING; how < STARTS; how++) {
			struct fixture *f = fixture_create(NULL);
			struct outcome outcome = { 0 };

			fixture_heartbeat(f, false);
			(void)must_send(f, (struct sent){ .topic = "orders", .key = "a" });
			must_set_offset(f, "readers", "orders", 1);
			CU_ASSERT_EQUAL(core_delete_group(f->core, SPAN_LITERAL("readers"), clean == 1, &outcome), ST_OK);
			fixture_disk(f, true);
			restart(f, how);
			CU_ASSERT_PTR_NULL(groups_find(core_groups(f->core), SPAN_LITERAL("readers")));
			fixture_heartbeat(f, false);
			CU_ASSERT_PTR_NOT_NULL(groups_find(core_groups(f->core), SPAN_LITERAL("readers")));
			CU_ASSERT_EQUAL(offset_of(f, "readers", "orders"), clean ? -1 : 1);
			fixture_destroy(f);
		}
	}
}

/* What a deletion left is taken away by a later one. */
static void test_offsets_of_a_deleted_group_are_cleaned_later(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };

	fixture_heartbeat(f, false);
	(void)must_send(f, (struct sent){ .topic = "orders", .key = "a" });
	must_set_offset(f, "readers", "orders", 1);
	for (int clean = 0; clean < 2; clean++) {
		CU_ASSERT_EQUAL(core_delete_group(f->core, SPAN_LITERAL("readers"), clean == 1, &outcome), ST_OK);
		fixture_disk(f, true);
		CU_ASSERT_EQUAL(offset_of(f, "readers", "orders"), clean ? -1 : 1);
	}
	fixture_destroy(f);
}

/* Nor does a topic that is made again have anything of the old one's figures, or of how it was shared out. */
static void test_a_topic_made_again_is_counted_and_shared_out_anew(void)
{
	struct fixture *f = fixture_create(NULL);
	struct assignment_request asked = { .topic = SPAN_LITERAL("orders"), .group = SPAN_LITERAL("readers"),
					    .client_id = SPAN_LITERAL("10.0.0.1@1"), .strategy = SPAN_LITERAL("AVG"),
					    .own_name = SPAN_LITERAL("a") };
	struct assignment assignment;
	struct statistics_flow flow = { 0 };
	struct outcome outcome = { 0 };

	fixture_heartbeat(f, false);
	for (int i = 0; i < 3; i++)
		(void)must_send(f, (struct sent){ .topic = "orders", .key = "a" });
	CU_ASSERT_EQUAL(core_set_request_mode(f->core, asked.topic, asked.group, REQUEST_MODE_POP, 0, &outcome), ST_OK);
	CU_ASSERT_TRUE(core_assign(f->core, &asked, &assignment));
	CU_ASSERT_EQUAL(assignment.mode, REQUEST_MODE_POP);
	assignment_free(&assignment);
	must_delete(f, "orders");
	(void)must_send(f, (struct sent){ .topic = "orders", .key = "a" });
	CU_ASSERT_TRUE(core_assign(f->core, &asked, &assignment));
	CU_ASSERT_EQUAL(assignment.mode, REQUEST_MODE_PULL);
	assignment_free(&assignment);
	const struct topic *topic = topics_find(core_topics(f->core), asked.topic);
	CU_ASSERT_TRUE(statistics_flow(core_statistics(f->core), topic->id, 0, &flow));
	CU_ASSERT_EQUAL(flow.count, 1);
	fixture_destroy(f);
}

static bool may_read(struct fixture *f, const char *topic)
{
	struct pull_header header = { .consumer_group = SPAN_LITERAL("readers"), .topic = span_of(topic), .max_msg_nums = 32,
				      .sys_flag = PULL_SUBSCRIPTION, .subscription = SPAN_LITERAL("*") };
	struct pull_request pull;
	struct outcome outcome = { 0 };
	enum status status = core_prepare_pull(f->core, &header, &pull, &outcome);

	CU_ASSERT(status == ST_OK || outcome.code == RESP_NO_PERMISSION);
	return status == ST_OK;
}

static void test_a_group_can_be_kept_from_topics(void)
{
	for (enum start how = START_SERVING; how < STARTS; how++) {
		struct fixture *f = fixture_create(NULL);
		struct outcome outcome = { 0 };
		struct group_config settings = group_config_default();
		struct span group = SPAN_LITERAL("readers");

		fixture_heartbeat(f, false);
		for (int i = 0; i < 3; i++)
			(void)must_send(f, (struct sent){ .topic = i == 0 ? "orders" : i == 1 ? "order" : "parcels", .key = "a" });
		CU_ASSERT_EQUAL(core_set_group_readable(f->core, group, SPAN_LITERAL("orders"), false, &outcome), ST_OK);
		CU_ASSERT_EQUAL(core_set_group_readable(f->core, group, SPAN_LITERAL("parcels"), false, &outcome), ST_OK);
		CU_ASSERT_EQUAL(core_set_group_readable(f->core, group, SPAN_LITERAL("parcels"), false, &outcome), ST_OK);
		/* Other settings do not touch it. */
		CU_ASSERT_EQUAL(core_put_group(f->core, group, &settings, &outcome), ST_OK);
		fixture_disk(f, true);
		restart(f, how);
		CU_ASSERT_FALSE(may_read(f, "orders"));
		CU_ASSERT_FALSE(may_read(f, "parcels"));
		CU_ASSERT_TRUE(may_read(f, "order"));
		CU_ASSERT_EQUAL(core_set_group_readable(f->core, group, SPAN_LITERAL("orders"), true, &outcome), ST_OK);
		fixture_disk(f, true);
		restart(f, how);
		CU_ASSERT_TRUE(may_read(f, "orders"));
		CU_ASSERT_FALSE(may_read(f, "parcels"));
		CU_ASSERT_EQUAL(core_delete_group(f->core, group, false, &outcome), ST_OK);
		fixture_heartbeat(f, false);
		CU_ASSERT_TRUE(may_read(f, "parcels"));
		fixture_destroy(f);
	}
}

/* A queue of millions: its table of pages takes more than one slice. */
static void make_long(struct fixture *f, const char *topic)
{
	struct queue *queue = topic_queue(topics_find(core_topics(f->core), span_of(topic)), 0);
	struct cq_entry last;

	CU_ASSERT_EQUAL_FATAL(consume_queue_get(&queue->entries, 0, &last, NULL), ST_OK);
	for (uint64_t at = ENTRY_GAP_MAX; at <= 4 * ENTRY_GAP_MAX; at += ENTRY_GAP_MAX)
		CU_ASSERT_EQUAL_FATAL(consume_queue_put(&queue->entries, at, &last, NULL), ST_OK);
	queue->next_offset = queue->visible_offset = consume_queue_max(&queue->entries);
}

/* Whichever slices of a snapshot are out when the topic is deleted and made again: it begins at nothing. */
static void test_a_long_queue_goes_between_two_slices(void)
{
	for (int slices = 1; slices <= 8; slices++) {
		struct fixture *f = fixture_create(NULL);
		struct pulled pulled = { 0 };
		struct outcome outcome = { 0 };

		(void)must_send(f, (struct sent){ .topic = "t", .key = "old" });
		fixture_disk(f, true);
		make_long(f, "t");
		snapshotter_want(f->snapshotter);
		for (int i = 0; i < slices; i++)
			fixture_snapshot_step(f);
		CU_ASSERT_EQUAL_FATAL(core_delete_topic(f->core, SPAN_LITERAL("t"), &outcome), ST_OK);
		(void)must_send(f, (struct sent){ .topic = "t", .key = "new" });
		for (int i = 0; i < 100 && snapshotter_busy(f->snapshotter); i++) {
			fixture_disk(f, true);
			fixture_snapshot_step(f);
		}
		fixture_disk(f, true);
		fixture_restart(f);
		CU_ASSERT_NOT_EQUAL(f->store.snapshot_from, 0);
		CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &pulled), 1);
		pulled_free(&pulled);
		fixture_destroy(f);
	}
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_topic_made_again_begins_at_nothing),
		CHECK_TEST(test_pop_begins_at_nothing_too),
		CHECK_TEST(test_what_is_not_committed_when_the_topic_goes_never_shows),
		CHECK_TEST(test_old_messages_are_not_found_by_key),
		CHECK_TEST(test_waiting_pulls_are_told),
		CHECK_TEST(test_a_commit_into_a_deleted_topic_is_a_rollback),
		CHECK_TEST(test_a_half_of_the_new_topic_is_committed),
		CHECK_TEST(test_delayed_messages_of_a_deleted_topic_are_recalled),
		CHECK_TEST(test_retry_topics_of_pop_go_along),
		CHECK_TEST(test_what_is_repeated_waits_for_the_first),
		CHECK_TEST(test_what_cannot_be_deleted),
		CHECK_TEST(test_what_is_deleted_makes_room),
		CHECK_TEST(test_offsets_that_are_deleted_make_room),
		CHECK_TEST(test_a_group_goes_with_or_without_its_offsets),
		CHECK_TEST(test_offsets_of_a_deleted_group_are_cleaned_later),
		CHECK_TEST(test_a_topic_made_again_is_counted_and_shared_out_anew),
		CHECK_TEST(test_a_group_can_be_kept_from_topics),
		CHECK_TEST(test_a_long_queue_goes_between_two_slices),
	};
	return check_main("removal", tests, sizeof(tests) / sizeof(tests[0]));
}
