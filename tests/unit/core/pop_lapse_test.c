/* Consuming by POP: what is not acknowledged in time comes again by the retry topic, until it is a dead letter; what cannot come
 * again, or not yet. */
#include "tests/unit/core/pop_fixture.h"

static void test_what_lapses_comes_again(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped first = { 0 }, again = { 0 };

	send_and_pop(f, &whole_topic, 1, &first);
	CU_ASSERT_EQUAL(first.messages[0].reconsume_times, 0);
	fixture_advance(f, INVISIBLE_MS - 200);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &again), 0);
	fixture_advance(f, 400);
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &again), 1);
	CU_ASSERT_EQUAL(again.messages[0].reconsume_times, 1);
	CU_ASSERT_TRUE(span_is(again.messages[0].topic, "t"));
	CU_ASSERT_TRUE(is_retried(&again.messages[0]));
	CU_ASSERT_EQUAL(property_get_i64(again.messages[0].properties, PROPERTY_FIRST_POP_TIME, 0), first.result.pop_ms);
	CU_ASSERT_STRING_EQUAL(again.start_info, "1 0 0");
	CU_ASSERT_EQUAL(position(f, "t", 0), 1);
	/* The old handle is done with and harms nobody; the new one counts. */
	struct pop_handle old = handle_of(&first, 0, false), good = handle_of(&again, 0, false);
	CU_ASSERT_EQUAL(ack(f, &old), RESP_SUCCESS);
	CU_ASSERT_EQUAL(position(f, "%RETRY%readers_t", 0), 0);
	CU_ASSERT_EQUAL(ack(f, &good), RESP_SUCCESS);
	CU_ASSERT_EQUAL(position(f, "%RETRY%readers_t", 0), 1);
	buffer_deinit(&first.bytes);
	buffer_deinit(&again.bytes);
	fixture_destroy(f);
}

/* What lapsed comes again by the retry topic alone, where it is counted, also to whoever asks before it is there. */
static void test_what_lapsed_is_not_given_out_in_its_place(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_request request = { 0 };
	struct popped popped = { 0 };

	send_and_pop(f, &whole_topic, 1, &popped);
	clock_manual_advance(&f->clock, INVISIBLE_MS + 1);
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 0);
	fixture_advance(f, 200);
	request = prepared(f, &whole_topic);
	CU_ASSERT_TRUE(core_pop_has_message(f->core, &request));
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &popped), 1);
	CU_ASSERT_EQUAL(popped.messages[0].reconsume_times, 1);
	CU_ASSERT_FALSE(core_pop_has_message(f->core, &request));
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* A message, and one that comes again at the next offset of a queue with the same number: each is checked out where it is. */
static void test_what_comes_again_is_checked_out_of_its_own_topic(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header one = whole_topic;
	struct popped popped = { 0 };

	one.max_msg_nums = 1;
	send_and_pop(f, &whole_topic, 2, &popped);
	lapse(f);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 2);
	lapse(f);
	CU_ASSERT_EQUAL(pop(f, &one, &popped), 1);
	ack_first(f, &popped, 1, false);
	send(f, "k", 0);
	f->core->pop.turn = 1; /* What comes again is not first. */
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &popped), 2);
	CU_ASSERT_STRING_EQUAL(popped.offset_info, "0 0 2;1 0 3");
	ack_first(f, &popped, 2, false);
	CU_ASSERT_EQUAL(position(f, "t", 0), 3);
	CU_ASSERT_EQUAL(position(f, "%RETRY%readers_t", 0), 4);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_a_retry_topic_is_not_popped_twice_at_once(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	send_and_pop(f, &whole_topic, 2, &popped);
	lapse(f);
	header.topic = SPAN_LITERAL("%RETRY%readers_t");
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 2);
	CU_ASSERT_STRING_EQUAL(popped.offset_info, "0 0 0,1");
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* What comes again was wanted once: no filter looks at it any more. */
static void test_what_comes_again_is_not_filtered(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	send_and_pop(f, &header, 1, &popped);
	lapse(f);
	header.expression = SPAN_LITERAL("B");
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* A new group that wants only what comes last wants all that it did not get done, however much that is. */
static void test_retries_are_read_from_the_first_on(void)
{
	enum { COUNT = 30 };
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	send_and_pop(f, &header, COUNT, &popped);
	fixture_advance(f, INVISIBLE_MS + 1000);
	const struct topic *retry = topics_find(core_topics(f->core), SPAN_LITERAL("%RETRY%readers_t"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(retry);
	CU_ASSERT_FALSE(progress_is_young(f->core, topic_queue(retry, 0)));
	header.init_mode = 1;
	CU_ASSERT_EQUAL(pop(f, &header, &popped), COUNT);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_invisible_time_is_changed(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };
	struct pop_changed changed = { 0 };

	send_and_pop(f, &whole_topic, 1, &popped);
	fixture_advance(f, 5000);
	struct pop_handle handle = handle_of(&popped, 0, false), old = handle;
	CU_ASSERT_EQUAL(core_pop_change(f->core, &handle, 60 * 1000, &changed, &outcome), ST_OK);
	CU_ASSERT_EQUAL(changed.pop_ms, f->clock.wall_now_ms);
	CU_ASSERT_EQUAL(changed.invisible_ms, 60 * 1000);
	fixture_advance(f, 2 * INVISIBLE_MS);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 0);
	CU_ASSERT_EQUAL(ack(f, &old), RESP_NO_MESSAGE);
	fixture_restart(f);
	handle.pop_ms = changed.pop_ms;
	fixture_advance(f, 300); /* What is due when has been looked at. */
	CU_ASSERT_EQUAL(core_pop_change(f->core, &handle, 0, &changed, &outcome), ST_OK);
	fixture_advance(f, 300);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_after_the_last_retry_it_is_dead(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };
	struct pulled dead = { 0 };
	int64_t first_ms = 0;

	set_retries(f, 2);
	send(f, "k", 0);
	for (int times = 0; times <= 2; times++) {
		CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &popped), 1);
		CU_ASSERT_EQUAL(popped.messages[0].reconsume_times, times);
		CU_ASSERT_EQUAL(property_get_i64(popped.messages[0].properties, PROPERTY_FIRST_POP_TIME, 0), first_ms);
		if (times == 0)
			first_ms = popped.result.pop_ms;
		lapse(f);
	}
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 0);
	CU_ASSERT_EQUAL(fixture_pull(f, "%DLQ%readers", 0, 0, "*", &dead), 1);
	pulled_free(&dead);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* --- what cannot come again at once --------------------------------------------------------------------------------------- */

/* Three are checked out; then so much is stored that the ring does not hold them any more. */
static struct send_result pop_three(struct fixture *f, const char *first)
{
	static char text[8 * 1024];
	struct popped popped = { 0 };
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = first, .queue_id = 0 });

	fixture_disk(f, true);
	send(f, "k1", 0);
	send(f, "k2", 0);
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &popped), 3);
	buffer_deinit(&popped.bytes);
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 60; i++) {
		must_send(f, (struct sent){ .topic = "other", .key = text });
		fixture_disk(f, true);
	}
	return sent;
}

/* The first of three that have lapsed cannot be given: the others are. */
static void check_others_come_again(struct fixture *f)
{
	struct popped again = { 0 };

	lapse(f);
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &again), 2);
	CU_ASSERT_TRUE(span_is(property_get(again.messages[0].properties, PROPERTY_UNIQ_KEY), "k1"));
	CU_ASSERT_TRUE(span_is(property_get(again.messages[1].properties, PROPERTY_UNIQ_KEY), "k2"));
	buffer_deinit(&again.bytes);
}

/* Several at once, and they come when they have been read. */
static void test_what_lapses_is_read_from_the_disk(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped again = { 0 };
	struct send_result first = pop_three(f, "k0");
	uint64_t offset;
	uint32_t size;

	memdisk_set_cold(f->disk, true);
	lapse(f);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE_FATAL(core_take_own_read(f->core, &offset, &size));
		CU_ASSERT_TRUE(offset >= first.log_offset && (i > 0 || offset == first.log_offset));
	}
	CU_ASSERT_FALSE(core_take_own_read(f->core, &offset, &size));
	memdisk_set_cold(f->disk, false);
	fixture_advance(f, 200);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &again), 3);
	buffer_deinit(&again.bytes);
	fixture_destroy(f);
}

/* Nobody will ever be given it again: it must not hold the group's position. */
static void test_a_damaged_message_is_passed_over(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result damaged = pop_three(f, "k0");
	size_t size;

	memdisk_data(f->disk, "/store/commitlog/00000000000000000000", &size)[damaged.log_offset + 100] ^= 1;
	check_others_come_again(f);
	CU_ASSERT_EQUAL(position(f, "t", 0), 3);
	fixture_destroy(f);
}

/* The log takes less at once than it did: what does not fit now stays checked out, and comes when it fits. */
static void test_a_message_that_became_too_large_waits(void)
{
	static char large[16 * 1024];
	struct core_config config = fixture_config();
	struct popped again = { 0 };

	memset(large, 'x', sizeof(large) - 500);
	config.max_message_size = 100 * 1024;
	struct fixture *f = fixture_create(&config);
	(void)pop_three(f, large);
	f->segment_size = LOG_SEGMENT_SIZE_MIN;
	fixture_restart(f);
	check_others_come_again(f);
	CU_ASSERT_EQUAL(position(f, "t", 0), 0);
	struct pop_row *row = f->core->pops.rows;
	while (row != NULL && row->live == 0)
		row = row->hh.next;
	CU_ASSERT_FATAL(row != NULL && row->due_ms > f->clock.wall_now_ms); /* Tried now and then, not with each tick. */
	f->segment_size = 0;
	fixture_restart(f);
	fixture_advance(f, 61 * 1000);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &again), 3);
	CU_ASSERT_EQUAL(position(f, "t", 0), 3);
	buffer_deinit(&again.bytes);
	fixture_destroy(f);
}

/* The log's room, down to some bytes more or less than `left`. */
static void fill_log(struct fixture *f, uint64_t left)
{
	static uint8_t body[8 * 1024];
	struct send_request filler = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("bulk"),
				       .default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
				       .body = { body, sizeof(body) }, .max_reconsume_times = -1 };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	uint64_t before = 0, around = 0;

	while (commitlog_room(f->log) > 3 * sizeof(body) + left) {
		before = commitlog_room(f->log);
		CU_ASSERT_EQUAL_FATAL(core_send(f->core, &filler, &result, &outcome), ST_OK);
		around = before - commitlog_room(f->log) - sizeof(body);
	}
	while (commitlog_room(f->log) > left + around + 8) {
		uint64_t size = commitlog_room(f->log) - left - around;
		filler.body.size = size < sizeof(body) ? size : sizeof(body);
		CU_ASSERT_EQUAL_FATAL(core_send(f->core, &filler, &result, &outcome), ST_OK);
	}
}

/* However little room the log has: a message that lapsed comes again with the word that it did, or later. */
static void test_what_lapses_in_a_full_log_comes_once(void)
{
	for (uint64_t left = 0; left < 400; left += 16) {
		struct fixture *f = fixture_create(NULL);
		struct popped popped = { 0 };

		send(f, "k", 0);
		CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
		fixture_advance(f, INVISIBLE_MS - 1000);
		must_send(f, (struct sent){ .topic = "%RETRY%readers_t", .key = "first" }); /* The topic is there. */
		fixture_disk(f, true);
		clock_manual_advance(&f->clock, 2000);
		core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
		fill_log(f, left);
		core_tick(f->core);
		fixture_disk(f, true);
		fixture_advance(f, 500);
		const struct topic *retry = topics_find(core_topics(f->core), SPAN_LITERAL("%RETRY%readers_t"));
		uint64_t count = 0;
		for (uint32_t i = 0; i < retry->queue_count; i++)
			count += retry->queues[i] == NULL ? 0 : retry->queues[i]->visible_offset;
		CU_ASSERT_EQUAL(count, 2);
		buffer_deinit(&popped.bytes);
		fixture_destroy(f);
	}
}

/* --- full properties ------------------------------------------------------------------------------------------------------ */

/* A message with as many bytes of properties as are taken. */
static struct send_result send_full(struct fixture *f, const char *key)
{
	char *more = malloc(MESSAGE_PROPERTIES_MAX + 1);
	struct send_result result;
	struct outcome outcome;
	enum status status = ST_DENIED;

	CU_ASSERT_PTR_NOT_NULL_FATAL(more);
	for (size_t size = MESSAGE_PROPERTIES_MAX; status != ST_OK && size > MESSAGE_PROPERTIES_MAX - 1000; size--) {
		memset(more, 'x', size);
		memcpy(more, "FULL\1", 5);
		more[size] = '\0';
		status = fixture_send(f, (struct sent){ .topic = "t", .key = key, .tag = "A", .queue_id = 0, .more = more }, &result, &outcome);
	}
	CU_ASSERT_EQUAL_FATAL(status, ST_OK);
	free(more);
	fixture_disk(f, true);
	return result;
}

/* A message whose properties leave no room for a handle comes again nevertheless, and can be acknowledged: what the broker
 * added to it makes room; where that is not enough, clients make the handle from the retry topic that it shows. */
static void check_full(const char *broker_name, const char *topic_shown)
{
	struct core_config config = fixture_config();
	struct popped popped = { 0 };

	config.broker_name = broker_name;
	struct fixture *f = fixture_create(&config);
	send_full(f, "k");
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	lapse(f);
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &popped), 1);
	CU_ASSERT_TRUE(span_is(popped.messages[0].topic, topic_shown));
	CU_ASSERT_EQUAL(is_retried(&popped.messages[0]), strcmp(topic_shown, "t") == 0);
	CU_ASSERT_TRUE(property_get(popped.messages[0].properties, "FULL").size > 32000);
	CU_ASSERT_TRUE(span_is(property_get(popped.messages[0].properties, PROPERTY_UNIQ_KEY), "k"));
	CU_ASSERT_STRING_EQUAL(popped.start_info, "1 0 0");
	struct pop_handle handle = handle_of(&popped, 0, false);
	handle.topic = SPAN_LITERAL("%RETRY%readers_t");
	CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
	CU_ASSERT_EQUAL(f->core->pops.live, 0);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_full_properties_come_again(void)
{
	check_full("a", "t");
	check_full("a-broker-with-a-name-that-takes-more-room-than-all-that-the-broker-has-added-to-the-message-itself",
		   "%RETRY%readers_t");
}

static void test_full_properties_become_a_dead_letter(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };
	struct pulled dead = { 0 };

	set_retries(f, 0);
	send_full(f, "k0");
	send(f, "k1", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 2);
	lapse(f);
	CU_ASSERT_EQUAL(f->core->pops.live, 0);
	CU_ASSERT_EQUAL(position(f, "t", 0), 2);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%DLQ%readers", 0, 0, "*", &dead), 2);
	CU_ASSERT_TRUE(span_is(dead.messages[0].body, "k0"));
	CU_ASSERT_TRUE(property_get(dead.messages[0].properties, "FULL").size > 32000);
	pulled_free(&dead);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* The same by a consumer's word: what its client needs to show the message's own topic stays as long as it can. */
static void test_full_properties_are_sent_back(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	struct pulled again = { 0 };
	struct send_result sent = send_full(f, "k");
	struct send_back_request request = { .group = SPAN_LITERAL("readers"), .log_offset = sent.log_offset, .delay_level = 1,
					     .max_reconsume_times = -1 };

	fixture_heartbeat(f, false);
	CU_ASSERT_EQUAL(core_send_back(f->core, &request, &outcome), ST_OK);
	fixture_advance(f, 1100);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &again), 1);
	CU_ASSERT_EQUAL(again.messages[0].reconsume_times, 1);
	CU_ASSERT_TRUE(span_is(property_get(again.messages[0].properties, PROPERTY_RETRY_TOPIC), "t"));
	CU_ASSERT_TRUE(property_get(again.messages[0].properties, "FULL").size > 32000);
	pulled_free(&again);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_lapses_comes_again),
		CHECK_TEST(test_what_lapsed_is_not_given_out_in_its_place),
		CHECK_TEST(test_what_comes_again_is_checked_out_of_its_own_topic),
		CHECK_TEST(test_a_retry_topic_is_not_popped_twice_at_once),
		CHECK_TEST(test_what_comes_again_is_not_filtered),
		CHECK_TEST(test_retries_are_read_from_the_first_on),
		CHECK_TEST(test_invisible_time_is_changed),
		CHECK_TEST(test_after_the_last_retry_it_is_dead),
		CHECK_TEST(test_what_lapses_is_read_from_the_disk),
		CHECK_TEST(test_a_damaged_message_is_passed_over),
		CHECK_TEST(test_a_message_that_became_too_large_waits),
		CHECK_TEST(test_what_lapses_in_a_full_log_comes_once),
		CHECK_TEST(test_full_properties_come_again),
		CHECK_TEST(test_full_properties_become_a_dead_letter),
		CHECK_TEST(test_full_properties_are_sent_back),
	};
	return check_main("pop lapsing", tests, sizeof(tests) / sizeof(tests[0]));
}
